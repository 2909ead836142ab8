"""What the empty-root test does inside its namespaces, as root: build the root, start the plugin in it, look at it.

    unshare --mount --net --pid --fork --mount-proc --kill-child python -m tests.packaging.inside SETTINGS

``SETTINGS`` is a JSON object (see ``Settings``). Prints one JSON object: what was seen. It judges nothing.

The root holds what ``distroless/static`` holds and no more: no libc, no loader, no shell. The process is started as
go-plugin does it, one fork and one exec, so the id that was started is the id that is looked at and killed.
"""

import ctypes
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

UID = 999
PLUGIN_BIN = "home/argo-rollouts/plugin-bin"
_NAME = "org/rollout-verdict"
_MOUNT = "opt/verdict"
# <linux/prctl.h>, <linux/capability.h>
_PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _LAST_CAPABILITY = 24, 38, 40
# <bits/ioctls.h>, <net/if.h>: to raise the loopback device of the new network namespace.
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1

_YAMUX_PING = bytes((0, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7))


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """``root`` is an empty folder; ``tree`` is "" for the single file; ``service`` is a URL and ``ca`` its CA's file."""

    root: str
    plugin: str
    tree: str
    ca: str
    certificate: str
    key: str
    port: int
    cycle: str
    noexec_tmp: bool


def run(*words: str | Path) -> None:
    subprocess.run(words, check=True, stdout=sys.stderr)


def make_root(settings: Settings) -> Path:
    """Mount an empty read-only root with what the controller's image has."""
    root = Path(settings.root)
    run("mount", "-t", "tmpfs", "-o", "size=256m,mode=0755", "tmpfs", root)
    for folder in ("etc/ssl/certs", "dev", "proc", "tmp", PLUGIN_BIN, _MOUNT):
        (root / folder).mkdir(parents=True)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/sbin/nologin\n")
    (root / "etc/hosts").write_text("127.0.0.1 localhost service.test\n")
    (root / "etc/nsswitch.conf").write_text("hosts: files dns\n")
    (root / "etc/resolv.conf").write_text("nameserver 127.0.0.1\noptions ndots:5\n")
    (root / "etc/ssl/certs/ca-certificates.crt").write_bytes(Path(settings.ca).read_bytes())
    for device in ("null", "zero", "random", "urandom"):
        (root / "dev" / device).touch()
        run("mount", "--bind", f"/dev/{device}", root / "dev" / device)
    run("mount", "-t", "proc", "proc", root / "proc")
    flags = "size=64m,mode=1777" + (",noexec" if settings.noexec_tmp else "")
    run("mount", "-t", "tmpfs", "-o", flags, "tmpfs", root / "tmp")
    run("mount", "-t", "tmpfs", "-o", f"size=128m,mode=0700,uid={UID},gid={UID}", "tmpfs", root / PLUGIN_BIN)
    if settings.tree:
        run("mount", "--bind", settings.tree, root / _MOUNT)
        run("mount", "-o", "remount,ro,bind", root / _MOUNT)
    run("mount", "-o", "remount,ro", root)
    target = root / PLUGIN_BIN / _NAME
    target.parent.mkdir(mode=0o700)
    target.write_bytes(Path(settings.plugin).read_bytes())
    target.chmod(0o700)  # as utils/plugin/downloader.go leaves it
    for path in (target.parent, target):
        os.chown(path, UID, UID)
    return root


def raise_loopback() -> None:
    import fcntl
    import struct

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP))


def start(root: Path, arguments: list[str]) -> tuple[subprocess.Popen[bytes], str, float]:
    """Start the plugin in the root. Return the process, its first line, and the seconds until then."""
    libc = ctypes.CDLL(None, use_errno=True)

    def confine() -> None:
        os.chroot(root)
        os.chdir("/home/argo-rollouts")
        for capability in range(_LAST_CAPABILITY + 1):
            if libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0):
                os._exit(97)
        os.setgroups([])
        os.setresgid(UID, UID, UID)
        os.setresuid(UID, UID, UID)
        if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
            os._exit(98)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    began = time.monotonic()
    process = subprocess.Popen(
        [f"/{PLUGIN_BIN}/{_NAME}", *arguments],
        env={"ARGO_ROLLOUTS_RPC_PLUGIN": "metricprovider", "PLUGIN_PROTOCOL_VERSIONS": "1", "PATH": "/nowhere"},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=sys.stderr.fileno(),
        preexec_fn=confine,  # noqa: PLW1509 -- no thread of ours is running then
    )  # fmt: skip
    assert process.stdout is not None
    timer = threading.Timer(30, process.kill)
    timer.start()
    line = process.stdout.readline().decode(errors="replace")
    timer.cancel()
    return process, line, time.monotonic() - began


def status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def processes() -> list[int]:
    return sorted(int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal())


def files(root: Path) -> dict[str, list[str]]:
    """Name what is in the two writable folders, two levels deep in plugin-bin."""
    plugin_bin = root / PLUGIN_BIN
    deep = [path.relative_to(plugin_bin).as_posix() for path in plugin_bin.glob("*/*")]
    return {"tmp": sorted(path.name for path in (root / "tmp").iterdir()), "plugin-bin": sorted(deep)}


@contextmanager
def stub(settings: Settings) -> Iterator[None]:
    """Run the service's stand-in over https."""
    words = ["--port", str(settings.port), "--delay", "0.3", "--tls", settings.certificate, settings.key]
    with subprocess.Popen(
        [sys.executable, "-m", "tests.fakes.service", *words], stdout=subprocess.PIPE, text=True
    ) as service:
        assert service.stdout is not None
        service.stdout.readline()
        try:
            yield
        finally:
            service.kill()


def look(settings: Settings) -> dict[str, Any]:
    """Start, measure, end it in three ways; return what was seen on the way."""
    raise_loopback()
    root = make_root(settings)
    found: dict[str, Any] = {"root": sorted(path.name for path in root.iterdir())}

    def measure(host: str) -> Any:
        process, line, _ = start(root, [f"--service=https://{host}:{settings.port}"])
        socket_path = f"{root}{line.split('|')[3]}"
        words = [settings.cycle, socket_path, str(process.pid), '{"unavailableGrace": "1s"}']
        cycle = subprocess.run(words, stdout=subprocess.PIPE, timeout=60, check=True)
        process.wait(10)  # the host of the measurement has gone without a word
        return {"exit": process.returncode, **json.loads(cycle.stdout)}

    before = processes()
    process, line, seconds = start(root, [])
    facts = status(process.pid)
    found["first"] = {
        "line": line, "seconds": seconds, "pid": process.pid,
        "new_processes": [pid for pid in processes() if pid not in before],
        "status": {key: facts[key].split() for key in ("Uid", "Gid", "CapEff", "CapPrm", "CapBnd", "NoNewPrivs", "Groups")},
        "rss_kb": int(facts["VmRSS"].split()[0]),
    }  # fmt: skip
    process.send_signal(signal.SIGTERM)
    process.wait(10)
    found["sigterm"] = {"exit": process.returncode, **files(root)}

    with stub(settings):
        found["measured"] = measure("service.test")
        found["wrong_name"] = measure("localhost")
    found["after_measuring"] = files(root)

    process, line, found["second_seconds"] = start(root, [])
    with socket.socket(socket.AF_UNIX) as host:
        host.connect(f"{root}{line.split('|')[3]}")
        host.sendall(_YAMUX_PING)
        host.recv(12)
        process.kill()
        process.wait(10)
    found["sigkill"] = {"new_processes": [pid for pid in processes() if pid not in before], **files(root)}
    process, _, _ = start(root, [])
    process.kill()
    process.wait(10)
    process, _, _ = start(root, [])
    process.send_signal(signal.SIGTERM)
    process.wait(10)
    found["end"] = {"new_processes": [pid for pid in processes() if pid not in before], **files(root)}
    return found


if __name__ == "__main__":
    json.dump(look(Settings(**json.loads(sys.argv[1]))), sys.stdout)
