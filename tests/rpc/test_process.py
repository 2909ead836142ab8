"""The plugin process as the controller sees it: started, shaken hands with, asked, ended and killed."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from rollout_verdict.rpc import process
from rollout_verdict.wire.handshake import Offer
from tests.rpc import gob_client as c
from tests.rpc.host import COOKIE, DEADLINE_S, ROOT, RpcError, analysis_run, dial, metric, until

THIRD_PARTY = ("pydantic", "httpx", "numpy", "google", "kubernetes", "rich", "typer")


def leftovers(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != "stderr")


# Starting


@pytest.mark.parametrize("environ", [{}, dict.fromkeys(COOKIE, "wrong")])
def test_without_the_cookie_a_person_is_told_and_the_status_is_1(start_plugin, environ):
    plugin = start_plugin(environ=environ)
    assert plugin.wait() == 1
    assert plugin.process.stdout.read() == b""
    assert "started by the Argo Rollouts controller" in plugin.log()
    assert leftovers(plugin.folder) == []


def test_mutual_tls_is_refused_loudly(start_plugin):
    plugin = start_plugin(environ={**COOKIE, "PLUGIN_CLIENT_CERT": "-----BEGIN CERTIFICATE-----"})
    assert plugin.wait() == 1
    assert "PLUGIN_CLIENT_CERT" in plugin.log()


def test_a_folder_too_long_for_a_socket_is_told(start_plugin, tmp_path):
    plugin = start_plugin(environ={**COOKIE, "TMPDIR": "/" + "x" * 120})
    assert plugin.wait() == 1
    assert "set TMPDIR to a shorter one" in plugin.log()


def test_it_listens_before_it_says_so(start_plugin):
    address = start_plugin().handshake()
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(address)


def test_the_socket_is_for_its_owner_only(start_plugin):
    assert Path(start_plugin().handshake()).stat().st_mode & 0o777 == 0o600


def test_a_folder_and_a_group_the_host_asks_for(start_plugin, tmp_path):
    folder = tmp_path / "sockets"
    folder.mkdir()
    environ = {**COOKIE, "PLUGIN_UNIX_SOCKET_DIR": str(folder), "PLUGIN_UNIX_SOCKET_GROUP": str(os.getgid())}
    address = start_plugin(environ=environ).handshake()
    assert address.startswith(str(folder))
    assert Path(address).stat().st_mode & 0o777 == 0o660
    assert Path(address).stat().st_gid == os.getgid()


def test_a_group_may_have_a_name(tmp_path):
    import grp

    path = str(tmp_path / "s")
    process._listen(path, Offer(socket_dir="", socket_group=grp.getgrgid(os.getgid()).gr_name)).close()
    assert Path(path).stat().st_gid == os.getgid()


def test_nothing_but_the_line_is_ever_on_standard_output(start_plugin):
    plugin = start_plugin()
    plugin.connect().quit()
    assert plugin.wait() == 0
    assert plugin.process.stdout.read() == b""


def test_what_anybody_prints_goes_to_standard_error(tmp_path):
    program = (
        "import os, sys\n"
        "from rollout_verdict.rpc.__main__ import reserve_stdout\n"
        "fd = reserve_stdout()\n"
        "print('noise'); sys.stdout.flush(); os.write(1, b'more noise'); os.system('echo even more'); os.write(fd, b'line')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": str(ROOT / "plugin")}, capture_output=True, check=True
    )
    assert done.stdout == b"line"
    assert {b"noise", b"more noiseeven more"} <= set(done.stderr.splitlines())


def test_an_idle_plugin_imports_the_standard_library_only(tmp_path):
    """The controller's pod pays for every module: no third party, and nothing heavy before it is needed."""
    program = "import sys; from rollout_verdict.rpc import process, remote; print('\\n'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-IS", "-c", f"import sys; sys.path.insert(0, {str(ROOT / 'plugin')!r}); {program}"],
        capture_output=True,
        check=True,
        text=True,
    )
    loaded = set(done.stdout.split())
    assert not [name for name in loaded if name.partition(".")[0] in THIRD_PARTY]
    assert not loaded & {"asyncio", "ssl", "http.client", "logging", "hashlib", "pathlib", "tempfile", "subprocess"}


# A conversation


def test_all_seven_methods_and_the_ping(start_plugin, make_service):
    plugin = start_plugin(f"--service={make_service('rollback').url}")
    host = plugin.connect()
    assert host.init() == ""
    assert host.type() == "RolloutVerdict"
    host.ping()
    assert host.get_metadata(metric())["model"] == "gemini-2.5-flash"
    started = host.run(analysis_run(), metric())
    assert started["Phase"] == "Running"
    over = host.resume(analysis_run(), metric(), started)
    assert over["Phase"] == "Failed"
    assert over["StartedAt"] == started["StartedAt"]
    assert json.loads(over["Value"])["verdict"] == "rollback"
    assert host.terminate(analysis_run(), metric(), started)["Phase"] == "Inconclusive"
    assert host.garbage_collect(analysis_run(), metric(), 10) == ""
    host.quit()
    assert plugin.wait() == 0
    assert leftovers(plugin.folder) == []


def test_settings_that_are_wrong_do_not_stop_the_process(start_plugin):
    host = start_plugin("--sevrice=x").connect()
    assert "unknown plugin argument" in host.init()
    found = host.run(analysis_run(), metric())
    assert (found["Phase"], "unknown plugin argument" in found["Message"]) == ("Error", True)


def test_local_measuring_needs_a_bundle_or_a_cluster(start_plugin):
    host = start_plugin("--local").connect()
    assert host.init() == ""
    found = host.run(analysis_run(), metric())
    until(lambda: host.resume(analysis_run(), metric(), found)["Phase"] != "Running", "it is over")
    found = host.resume(analysis_run(), metric(), found)
    assert (found["Phase"], "kubeconfig" in found["Message"]) == ("Error", True), found["Message"]


def test_unknown_methods_and_arguments_do_no_harm(start_plugin):
    host = start_plugin().connect()
    with pytest.raises(RpcError, match=r"rpc: can't find method Plugin.Fly"):
        host.plugin.call("Plugin.Fly", c.FLOAT_T, 1.5)
    with pytest.raises(RpcError, match=r"^invalid args NoneType"):
        host.plugin.call("Plugin.Run", c.INTERFACE_T, None)
    with pytest.raises(RpcError, match="unknown plugin type"):
        host.control.call("Dispenser.Dispense", c.STRING_T, "Other")
    assert host.type() == "RolloutVerdict"


# Restarts


def test_a_measurement_survives_the_restart_of_the_plugin(start_plugin, make_service):
    service = make_service("promote", delay_s=3600)
    first = start_plugin(f"--service={service.url}")
    started = first.connect().run(analysis_run(), metric())
    until(lambda: service.service.started, "the service has it")
    first.kill()
    service.service.delay_s = 0
    second = start_plugin(f"--service={service.url}").connect()
    over = second.resume(analysis_run(), metric(), started)
    assert (over["Phase"], over["StartedAt"]) == ("Successful", started["StartedAt"])
    assert len(service.service.started) == 1


def test_a_measurement_survives_the_restart_of_a_forgetful_service(start_plugin, make_service):
    service = make_service("promote")
    host = start_plugin(f"--service={service.url}").connect()
    started = host.run(analysis_run(), metric())
    until(lambda: service.service.started, "the service has it")
    with service.service.lock:
        service.service.started.clear()
    assert host.resume(analysis_run(), metric(), started)["Phase"] == "Successful"
    assert list(service.service.started) == [started["Metadata"]["verdict.id"]]


def test_a_service_away_is_waited_for(start_plugin, make_service):
    service = make_service("promote")
    port = service.http.server_address[1]
    service.http.shutdown()
    service.http.server_close()
    host = start_plugin(f"--service={service.url}").connect()
    found = host.run(analysis_run(), metric())
    found = host.resume(analysis_run(), metric(), found)
    assert (found["Phase"], found["Message"][:8]) == ("Running", "waiting:")
    make_service("promote", port=port)
    assert host.resume(analysis_run(), metric(), found)["Phase"] == "Successful"


# Ending


def test_interrupts_are_for_the_host(start_plugin):
    plugin = start_plugin()
    host = plugin.connect()
    plugin.process.send_signal(signal.SIGINT)
    host.ping()


@pytest.mark.parametrize("connected", [True, False])
def test_sigterm_ends_it_and_leaves_nothing(start_plugin, connected):
    plugin = start_plugin()
    address = plugin.handshake()
    if connected:
        plugin.connect(address).ping()
    plugin.process.send_signal(signal.SIGTERM)
    assert plugin.wait() == 0
    assert leftovers(plugin.folder) == []


def test_the_end_of_the_connection_ends_it(start_plugin):
    plugin = start_plugin()
    plugin.connect().mux.sock.close()
    assert plugin.wait() == 0
    assert leftovers(plugin.folder) == []


def test_of_two_connections_the_last_one_counts(start_plugin):
    plugin = start_plugin()
    address = plugin.handshake()
    first, second = (plugin.connect(sock) for sock in (dial(address), dial(address)))
    first.mux.sock.close()
    second.ping()
    second.mux.sock.close()
    assert plugin.wait() == 0


def test_quit_counts_on_whichever_connection_it_comes(start_plugin):
    plugin = start_plugin()
    address = plugin.handshake()
    first, second = (plugin.connect(sock) for sock in (dial(address), dial(address)))
    second.ping()
    first.quit()
    assert plugin.wait() == 0


def test_quit_does_not_wait_for_running_calls(start_plugin, make_service):
    plugin = start_plugin(f"--service={make_service('slow').url}")
    host = plugin.connect()
    arguments = {"AnalysisRun": analysis_run(), "Metric": metric(), "Measurement": {"Phase": "Running"}}
    interface = c.Iface("TerminateAndResumeArgs", c.RESUME_ARGS, arguments)
    host.plugin.begin("Plugin.Resume", c.INTERFACE_T, interface)
    host.quit()
    assert plugin.wait() == 0


def test_a_broken_stream_ends_the_process_with_status_1(start_plugin):
    plugin = start_plugin()
    host = plugin.connect()
    host.mux.write(host.plugin.stream, b"\x05\x0c\x00\x02hi")
    assert plugin.wait() == 1
    assert "broke the protocol" in plugin.log()
    assert leftovers(plugin.folder) == []


def test_after_sigkill_in_service_nothing_is_left(start_plugin):
    plugin = start_plugin()
    plugin.connect().ping()
    assert leftovers(plugin.folder) == []
    plugin.kill()
    start_plugin().connect().ping()


def test_after_sigkill_before_that_the_socket_is_left_and_the_next_plugin_takes_it_away(start_plugin):
    first, neighbour = start_plugin(), start_plugin()
    first.handshake()
    address = neighbour.handshake()
    first.kill()
    assert len(leftovers(first.folder)) == 2
    theirs = [first.folder / name for name in ("plugin123", "plugin-verdict-x-1", "plugin-verdict-999999999-file")]
    for path in theirs:
        path.touch()
    start_plugin().connect().ping()
    wanted = sorted([Path(address).name, *(path.name for path in theirs)])
    assert leftovers(first.folder) == wanted, "what is not ours, or no socket, stays"
    neighbour.connect(address).ping()


def test_a_socket_of_an_earlier_process_with_our_id_is_taken_away(tmp_path):
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / f"plugin-verdict-{os.getpid()}-0123456789ab"))
    process._sweep(str(tmp_path))
    assert leftovers(tmp_path) == []


def test_a_knock_is_no_host(start_plugin):
    plugin = start_plugin()
    address = plugin.handshake()
    dial(address).close()
    plugin.connect(address).ping()


def test_a_host_that_is_gone_before_the_handshake_leaves_nothing_behind(start_plugin):
    plugin = start_plugin()
    plugin.process.stdout.close()
    assert plugin.wait() == 1
    assert "gone before the handshake" in plugin.log()
    assert leftovers(plugin.folder) == []


def test_it_does_not_outlive_a_host_that_never_connected(tmp_path):
    """The host dies between starting the plugin and connecting to it."""
    host = (
        "import os, subprocess, sys\n"
        "plugin = subprocess.Popen([sys.executable, '-m', 'rollout_verdict.rpc'], stdout=subprocess.PIPE)\n"
        "plugin.stdout.readline()\n"
        "print(plugin.pid, flush=True)\n"
        "os._exit(0)\n"
    )
    environ = {**COOKIE, "PYTHONPATH": str(ROOT / "plugin"), "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", host], env=environ, capture_output=True, check=True, timeout=DEADLINE_S
    )
    until(lambda: leftovers(tmp_path) == [], "the plugin noticed and took its socket along")
    until(lambda: not alive(int(done.stdout)), "the process is gone")


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
