"""The single file's launcher: hostile payloads, hostile directories, starts that race, starts that die.

Every case of a damaged file runs against the launcher as it ships and against one built with the address and
undefined-behaviour sanitizers. What is expected is always the same: exit code 1, one line that says why, and nothing
left beside the file.
"""

import fcntl
import gzip
import io
import os
import random
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT, needs
from tests.packaging.conftest import Built

sys.path.insert(0, str(ROOT / "scripts" / "package"))
import archive

_TIMEOUT_S = 60
_COOKIE = {"ARGO_ROLLOUTS_RPC_PLUGIN": "metricprovider"}


@pytest.fixture(scope="module", params=["as shipped", "sanitized"])
def launcher(request: pytest.FixtureRequest, built: Built, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The launcher's program, without a payload."""
    if request.param == "as shipped":
        return built.launcher.read_bytes()
    program = tmp_path_factory.mktemp("sanitized") / "launch"
    link = built.launcher.parent / "zlib" / "usr"
    subprocess.run(
        [needs("gcc"), "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-isystem", link / "include",
         "-L", link / "lib/x86_64-linux-gnu", "-o", program, ROOT / "scripts/package/launch.c", "-l:libz.a"],
        check=True,
    )  # fmt: skip
    return program.read_bytes()


def tar(*members: tuple[str, bytes | None], change: Callable[[tarfile.TarInfo], None] | None = None) -> bytes:
    """A ustar of files, and of folders where the content is None."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as packed:
        for name, content in members:
            info = tarfile.TarInfo("placeholder")
            info.name, info.mode = name, 0o755
            info.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
            info.size = len(content or b"")
            if change is not None:
                change(info)
            packed.addfile(info, io.BytesIO(content or b""))
    return out.getvalue()


def run(folder: Path, file: bytes) -> tuple[int, str]:
    """Run a plugin file and return exit code and standard error; ``folder`` holds what it left."""
    path = folder / "plugin"
    path.write_bytes(file)
    path.chmod(0o700)
    done = subprocess.run(
        [path], capture_output=True, timeout=_TIMEOUT_S, check=False,
        env={"ASAN_OPTIONS": "detect_leaks=0", "UBSAN_OPTIONS": "halt_on_error=1"},
    )  # fmt: skip
    return done.returncode, done.stderr.decode(errors="replace")


def refused(folder: Path, file: bytes, *told: str) -> None:
    code, text = run(folder, file)
    assert code == 1, (code, text)
    assert text.startswith("rollout-verdict: "), text
    assert text.count("\n") == 1, text
    for word in told:
        assert word in text
    assert [path.name for path in folder.iterdir()] == ["plugin"]


def header(block: bytes, at: int, data: bytes) -> bytes:
    """The first header of a tar, changed, with its checksum made right again."""
    changed = bytearray(block)
    changed[at : at + len(data)] = data
    changed[148:156] = b" " * 8
    changed[148:156] = f"{sum(changed[:512]):06o}\0 ".encode()
    return bytes(changed)


def link(kind: bytes) -> Callable[[tarfile.TarInfo], None]:
    def change(info: tarfile.TarInfo) -> None:
        info.type, info.linkname, info.size = kind, "/etc/passwd", 0

    return change


_FILE = tar(("a", b"content"))
HOSTILE = {
    "parent": tar(("../escape", b"x")),
    "parent in the middle": tar(("a", None), ("a/../../escape", b"x")),
    "absolute": tar(("/tmp/escape", b"x")),
    "empty part": tar(("a", None), ("a//b", b"x")),
    "dot": tar((".", None)),
    "dot in the middle": tar(("a", None), ("a/./b", b"x")),
    "parent as a folder": tar(("..", None)),
    "parent in the prefix": header(_FILE, 345, b".."),
    "no name": header(_FILE, 0, bytes(100))[:512] + _FILE[512:],
    "symbolic link": tar(("a", b""), change=link(tarfile.SYMTYPE)),
    "hard link": tar(("a", b""), change=link(tarfile.LNKTYPE)),
    "device": tar(("a", b""), change=link(tarfile.CHRTYPE)),
    "pipe": tar(("a", b""), change=link(tarfile.FIFOTYPE)),
    "long name of GNU": tar(("a", b""), change=link(tarfile.GNUTYPE_LONGNAME)),
    "pax header": tar(("a", b""), change=link(tarfile.XHDTYPE)),
    "the same file twice": tar(("a", b"1"), ("a", b"2")),
    "a file where a folder is": tar(("a", None), ("a", b"2")),
    "a file in a file": tar(("a", b"1"), ("a/b", b"2")),
    "a folder with content": header(tar(("a", None)), 124, b"00000000010\0"),
    "wrong checksum": _FILE[:10] + b"x" + _FILE[11:],
    "not ustar": header(_FILE, 257, b"ustar  \0"),
    "size that is no number": header(_FILE, 124, b"9\0"),
    "size without an end": header(_FILE, 124, b"7" * 12),
    "size in base 256": header(_FILE, 124, b"\x80" + b"\xff" * 11),
    "size beyond the end": header(_FILE, 124, b"00000077777\0"),
    "no end": _FILE[:1024],
    "end that is not zero": _FILE[:1024] + bytes(511) + b"x" + bytes(512),
    "nothing": b"",
    "random": random.Random(1).randbytes(4096),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_member_is_refused(name: str, launcher: bytes, tmp_path: Path) -> None:
    """Nothing is written outside of the new tree, and the new tree goes too."""
    refused(tmp_path, archive.single_file(launcher, gzip.compress(HOSTILE[name])))
    assert not Path("/tmp/escape").exists()
    assert not (tmp_path.parent / "escape").exists()


def broken_payloads(packed: bytes) -> dict[str, bytes]:
    flipped = bytearray(packed)
    flipped[len(packed) // 2] ^= 1
    checksum = bytearray(packed)
    checksum[-8] ^= 1
    length = bytearray(packed)
    length[-1] ^= 1
    return {
        "cut off": packed[:-9], "without its checksum": packed[:-8], "half": packed[: len(packed) // 2],
        "flipped": bytes(flipped), "wrong checksum": bytes(checksum), "wrong length": bytes(length),
        "more behind it": packed + b"x", "a second one behind it": packed + packed, "no gzip": b"\0" + packed, "empty": b"",
    }  # fmt: skip


@pytest.mark.parametrize("name", broken_payloads(b"0123456789abcdef0123456789"))
def test_a_damaged_payload_is_refused(name: str, launcher: bytes, tmp_path: Path) -> None:
    """A truncated download ends with a message, not with half a tree."""
    packed = gzip.compress(tar(("a", random.Random(2).randbytes(300_000))), mtime=0)
    refused(tmp_path, archive.single_file(launcher, broken_payloads(packed)[name]), "damaged")


def test_too_much_is_refused(launcher: bytes, tmp_path: Path) -> None:
    """A payload that unpacks to more than the bound, or to very many files, stops there."""
    zeros = bytes(1 << 20)
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=1) as packed:
        packed.write(header(_FILE, 124, b"02400000000\0")[:512])  # 320 MiB
        for _ in range(320):
            packed.write(zeros)
    refused(tmp_path, archive.single_file(launcher, out.getvalue()), "too much")
    many = tar(*((f"f{i}", b"") for i in range(20_010)))
    refused(tmp_path, archive.single_file(launcher, gzip.compress(many)), "too many")


def trailers(file: bytes) -> dict[str, bytes]:
    body, trailer = file[:-48], file[-48:]
    offset, length = int.from_bytes(trailer[:8], "little"), int.from_bytes(trailer[8:16], "little")

    def made(offset: int, length: int, rest: bytes = trailer[16:]) -> bytes:
        return body + (offset % 2**64).to_bytes(8, "little") + (length % 2**64).to_bytes(8, "little") + rest

    return {
        "none": body, "cut off": file[:-1], "no magic": file[:-8] + b"VERDICTR",
        "offset beyond the end": made(len(body) + 1, length), "offset negative": made(-1, length),
        "offset and length wrap around": made(2**64 - 48, length + offset + 48), "length too long": made(offset, length + 1),
        "length too short": made(offset, length - 1), "length negative": made(offset, -1), "offset moved": made(offset - 1, length + 1),
        "id with a slash": made(offset, length, b"../../../../../tmp/escap" + trailer[40:]),
        "id in capitals": made(offset, length, trailer[16:40].upper().replace(b"0", b"A") + trailer[40:]),
        "id with NUL": made(offset, length, bytes(24) + trailer[40:]),
    }  # fmt: skip


@pytest.mark.parametrize("name", trailers(bytes(100)))
def test_a_damaged_trailer_is_refused(name: str, launcher: bytes, tmp_path: Path) -> None:
    """Every number of the trailer is checked before it is used."""
    file = archive.single_file(launcher, gzip.compress(_FILE, mtime=0))
    refused(tmp_path, trailers(file)[name], "damaged")


def test_flipped_bits_never_crash(launcher: bytes, tmp_path: Path) -> None:
    """Any byte of payload and trailer may be wrong: it ends with exit code 1, by its own decision."""
    chance = random.Random(3)
    raw = tar(("a", None), ("a/b", b"content" * 50), ("lib", None))
    for turn in range(150):
        changed = bytearray(raw)
        changed[chance.randrange(len(changed))] = chance.randrange(256)
        file = bytearray(archive.single_file(launcher, gzip.compress(bytes(changed if turn % 2 else raw), mtime=0)))
        if turn % 2 == 0:
            file[chance.randrange(len(launcher), len(file))] = chance.randrange(256)
        code, text = run(tmp_path, bytes(file))
        assert code == 1, (turn, code, text)
        assert text.startswith("rollout-verdict: ")
        for path in tmp_path.glob(".verdict-*"):  # a payload that is well formed is unpacked; it just has no loader
            assert "partial" not in path.name
            subprocess.run(["rm", "-rf", path], check=True)


# What is in the directory


@pytest.fixture
def single(built: Built, tmp_path: Path) -> Path:
    """The single file in a folder of its own."""
    path = tmp_path / "plugin"
    path.write_bytes(built.file.read_bytes())
    path.chmod(0o700)
    return path


def cache_of(single: Path) -> Path:
    return single.parent / f".verdict-{single.read_bytes()[-32:-8].decode()}"


def start(single: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [single], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**_COOKIE, "TMPDIR": str(single.parent)}
    )


def first_line(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    timer = threading.Timer(_TIMEOUT_S, process.kill)
    timer.start()
    try:
        return process.stdout.readline()
    finally:
        timer.cancel()


def end(process: subprocess.Popen[bytes]) -> int:
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=_TIMEOUT_S)
    return process.returncode


def test_the_second_start_unpacks_nothing(single: Path) -> None:
    """The tree stays, with no file that others may write; the process id is the one that was started."""
    process = start(single)
    assert first_line(process).startswith(b"1|1|unix|")
    assert Path(f"/proc/{process.pid}/exe").readlink() == cache_of(single) / "lib/ld.so"
    assert end(process) == 0
    states = {path: path.lstat() for path in cache_of(single).rglob("*")}
    assert len(states) > 200
    assert not any(state.st_mode & 0o077 for state in states.values())
    process = start(single)
    assert first_line(process).startswith(b"1|1|unix|")
    assert end(process) == 0
    assert {path: path.lstat().st_mtime_ns for path in cache_of(single).rglob("*")} == {
        path: state.st_mtime_ns for path, state in states.items()
    }
    assert sorted(path.name for path in single.parent.iterdir()) == [cache_of(single).name, "plugin"]


def test_starts_that_race(single: Path) -> None:
    """Six first starts at once all come up, and leave one tree."""
    processes = [start(single) for _ in range(6)]
    lines = [first_line(process) for process in processes]
    assert all(line.startswith(b"1|1|unix|") for line in lines)
    assert [end(process) for process in processes] == [0] * 6
    assert sorted(path.name for path in single.parent.iterdir()) == [cache_of(single).name, "plugin"]


def test_a_start_that_dies_leaves_work_for_the_next(single: Path) -> None:
    """SIGKILL while unpacking: the next start comes up and takes the partial tree away."""
    killed = 0
    for delay_s in (0.001, 0.005, 0.01, 0.02, 0.04, 0.08):
        process = start(single)
        time.sleep(delay_s)  # the moment of death is what varies
        process.kill()
        process.communicate(timeout=_TIMEOUT_S)
        killed += not cache_of(single).exists()
    assert killed
    process = start(single)
    assert first_line(process).startswith(b"1|1|unix|")
    assert end(process) == 0
    left = [path.name for path in single.parent.iterdir() if not path.is_socket()]
    assert sorted(left) == [cache_of(single).name, "plugin"]


def test_only_dead_partial_trees_are_removed(single: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """One that somebody unpacks to is locked, and stays; a link is not followed; other names are not touched."""
    folder = single.parent
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "precious").write_text("")
    dead, living, other = (
        folder / name for name in (".verdict-0.partial-dead", ".verdict-0.partial-live", ".other.partial-x")
    )
    for path in (dead, living, other):
        (path / "deep").mkdir(parents=True)
    (dead / "deep/link").symlink_to(elsewhere)
    linked = folder / ".verdict-0.partial-link"
    linked.symlink_to(elsewhere)
    lock = os.open(living, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = start(single)
        assert first_line(process).startswith(b"1|1|unix|")
        assert end(process) == 0
    finally:
        os.close(lock)
    assert not dead.exists()
    assert (living / "deep").exists()
    assert (other / "deep").exists()
    assert linked.is_symlink()
    assert (elsewhere / "precious").exists()


def planted(cache: Path, elsewhere: Path) -> dict[str, Callable[[], None]]:
    def folder(mode: int, owner: int = os.geteuid()) -> None:
        cache.mkdir()
        cache.chmod(mode)
        os.chown(cache, owner, -1)

    return {
        "a link to a folder": lambda: cache.symlink_to(elsewhere),
        "a link to nothing": lambda: cache.symlink_to(elsewhere / "none"),
        "a file": lambda: cache.write_text("#!/bin/sh\n") and None,
        "a folder that others may write": lambda: folder(0o777),
        "a folder that the group may write": lambda: folder(0o770),
        "a folder of somebody else": lambda: folder(0o700, 998),
    }


@pytest.mark.parametrize("name", planted(Path(), Path()))
def test_what_stands_in_the_trees_place_is_not_run(
    name: str, single: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A tree is used only if it is a real directory of ours that nobody else may write."""
    if "somebody" in name and os.geteuid() != 0:
        pytest.skip("giving a folder away needs root")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    planted(cache_of(single), elsewhere)[name]()
    process = start(single)
    _, text = process.communicate(timeout=_TIMEOUT_S)
    assert process.returncode == 1
    assert b"only this user can write" in text
    assert list(elsewhere.iterdir()) == []


def test_a_folder_that_cannot_be_written(single: Path) -> None:
    """The message says what was attempted and where."""
    if os.geteuid() == 0:
        command = ["setpriv", "--reuid=999", "--regid=999", "--clear-groups", str(single)]
        needs("setpriv")
        single.chmod(0o755)
        for folder in (single.parent, *single.parent.parents[:3]):
            folder.chmod(folder.stat().st_mode | 0o055)
    else:
        command = [str(single)]
        single.parent.chmod(0o500)
    done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False, env=_COOKIE)
    single.parent.chmod(0o700)
    assert done.returncode == 1
    assert "cannot unpack beside the plugin" in done.stderr
    assert "Permission denied" in done.stderr


@pytest.fixture(autouse=True)
def _no_core_files() -> Iterator[None]:
    import resource

    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_CORE, before)
