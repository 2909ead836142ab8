"""One connection over a real socket, with methods of the test's own."""

import contextlib
import socket
import struct
import threading
import time

import pytest

from rollout_verdict.rpc import messages, server
from rollout_verdict.rpc.log import Log
from rollout_verdict.rpc.pool import Pool
from rollout_verdict.rpc.provider import Method
from rollout_verdict.rpc.server import Connection
from rollout_verdict.wire.gob_encode import TEXT
from tests.rpc import gob_client as c
from tests.rpc.host import DEADLINE_S, Mux, Rpc, RpcError, until


class Table:
    """Methods that the test can hold up and watch."""

    def __init__(self):
        self.gate = threading.Event()
        self.running = 0
        self.lock = threading.Lock()

    def slow(self, arguments):
        with self.lock:
            self.running += 1
        self.gate.wait(DEADLINE_S)
        return "done"

    def methods(self):
        def method(call, reply=TEXT, *, blocks=True, argument="", only=None):
            return Method(argument=argument, only=only, reply=reply, call=call, blocks=blocks)

        def fail(_):
            raise ValueError("hush: a secret text")

        def leave(_):
            raise SystemExit(3)

        return {
            "Plugin.Slow": method(self.slow),
            "Plugin.Fast": method(lambda _: "fast", blocks=False),
            "Plugin.Fail": method(fail, blocks=False),
            "Plugin.FailSlowly": method(fail),
            "Plugin.Leave": method(leave),
            "Plugin.Odd": method(lambda _: 5, blocks=False),
            "Plugin.OddSlowly": method(lambda _: {"a": 5}, messages.METADATA),
            "Plugin.Echo": method(lambda arguments: arguments["Text"], argument="Say", blocks=False),
            "Plugin.Large": method(lambda _: "x" * 5_000_000),
        }


class Wire:
    """A connection being served on a thread, and the host's end of it."""

    def __init__(self, tmp_path, pool=None):
        ours, theirs = socket.socketpair()
        self.log_path = tmp_path / "log"
        self.log_file = self.log_path.open("wb")
        self.table = Table()
        self.pool = pool or Pool(lambda error: None)
        self.status = None
        self.connection = Connection(ours, self.table.methods(), self.pool, Log(self.log_file.fileno()), lambda: None)
        self.thread = threading.Thread(target=self.serve, args=(ours,), daemon=True)
        self.thread.start()
        self.mux = Mux(theirs)
        self.control = Rpc(self.mux, self.mux.open())
        self.mux.open()
        self.mux.open()
        self.plugin = self.dispense()

    def serve(self, sock):
        with sock:
            self.status = self.connection.serve()

    def dispense(self):
        number = self.control.call("Dispenser.Dispense", c.STRING_T, "RpcMetricProviderPlugin")
        stream = self.mux.open()
        self.mux.write(stream, struct.pack("<I", number))
        assert len(self.mux.read(stream, 4)) == 4
        return Rpc(self.mux, stream)

    def call(self, name):
        return self.plugin.call(f"Plugin.{name}", c.INTERFACE_T, None)

    def begin(self, name):
        return self.plugin.begin(f"Plugin.{name}", c.INTERFACE_T, None)

    def over(self):
        self.thread.join(DEADLINE_S)
        return self.status

    def log(self):
        return self.log_path.read_text()

    def close(self):
        self.table.gate.set()
        self.mux.sock.close()
        self.thread.join(DEADLINE_S)
        self.log_file.close()


@pytest.fixture
def wire(tmp_path):
    found = Wire(tmp_path)
    yield found
    found.close()


def test_five_hundred_slow_calls_run_together_and_quick_ones_pass_them(wire):
    calls = [wire.begin("Slow") for _ in range(500)]
    until(lambda: wire.table.running == 500, "all of them run")
    assert wire.call("Fast") == "fast"
    wire.mux.ping(7)
    wire.table.gate.set()
    assert {wire.plugin.finish(call) for call in calls} == {"done"}


def test_what_exceeds_the_pool_is_refused(tmp_path):
    wire = Wire(tmp_path, Pool(lambda error: None, threads=1, waiting=0))
    first = wire.begin("Slow")
    until(lambda: wire.table.running == 1, "it runs")
    with pytest.raises(RpcError, match="waiting already"):
        wire.call("Slow")
    wire.table.gate.set()
    assert wire.plugin.finish(first) == "done"
    wire.close()


@pytest.mark.parametrize("name", ["Fail", "FailSlowly", "Leave"])
def test_a_method_that_raises_is_answered_without_its_words(wire, name):
    with pytest.raises(RpcError, match=f"Plugin.{name} failed inside the plugin") as caught:
        wire.call(name)
    assert "hush" not in str(caught.value) + wire.log()
    assert "test_server.py" in wire.log(), "the log says where"
    assert wire.call("Fast") == "fast"


@pytest.mark.parametrize("name", ["Odd", "OddSlowly"])
def test_an_answer_that_does_not_fit_is_an_error_and_the_stream_lives(wire, name):
    with pytest.raises(RpcError, match="cannot be sent"):
        wire.call(name)
    assert "did not fit" in wire.log()
    assert wire.call("Fast") == "fast"


def test_an_argument_of_another_type_is_refused(wire):
    say = c.record("Say", Text=c.STRING_T)
    assert wire.plugin.interface("Plugin.Echo", "Say", say, {"Text": "hello"}) == "hello"
    with pytest.raises(RpcError, match=r"^invalid args Cry, expected Say"):
        wire.plugin.interface("Plugin.Echo", "Cry", say, {"Text": "hello"})


def test_a_large_answer_to_a_host_that_gives_no_credit_lets_others_pass(wire):
    wire.mux.grant = False
    large = wire.begin("Large")
    until(lambda: not wire.mux.pump() and len(wire.mux.buffers[wire.plugin.stream]) == 262144, "the credit is used up")
    wire.mux.ping(1)
    assert wire.control.call("Control.Ping", c.BOOL_T, True) == {}
    wire.mux.grant = True
    wire.mux.send_frame(1, 0, wire.plugin.stream, 262144)
    assert wire.plugin.finish(large) == "x" * 5_000_000


def test_a_large_argument(wire):
    say = c.record("Say", Text=c.STRING_T)
    text = "ä" * 600_000
    assert wire.plugin.interface("Plugin.Echo", "Say", say, {"Text": text}) == text


def test_quit_is_answered_and_the_hosts_goodbye_awaited(wire):
    slow = wire.begin("Slow")
    assert wire.control.call("Control.Quit", c.BOOL_T, True) == {}
    wire.mux.close(wire.control.stream)
    wire.mux.sock.shutdown(socket.SHUT_WR)
    assert wire.over() == 0
    assert slow not in wire.plugin.replies


def test_quit_without_a_goodbye_ends_too(wire):
    wire.control.call("Control.Quit", c.BOOL_T, True)
    assert wire.over() == 0


def test_quit_ends_even_when_the_host_talks_on(wire):
    wire.control.call("Control.Quit", c.BOOL_T, True)
    for value in range(10_000):
        wire.thread.join(0.01)
        if not wire.thread.is_alive():
            break
        with contextlib.suppress(OSError):
            wire.mux.send_frame(2, 1, 0, value)
    assert wire.status == 0


def test_the_end_of_the_host_is_the_end(wire):
    wire.mux.sock.shutdown(socket.SHUT_WR)
    assert wire.over() is None
    assert "the host is gone" in wire.log()


def test_a_broken_stream_breaks_the_connection(wire):
    wire.mux.write(wire.plugin.stream, b"\x05\x0c\x00\x02hi")
    assert wire.over() == 1
    assert "broke the protocol" in wire.log()


def test_a_broken_session_is_told_with_a_go_away(wire):
    wire.mux.sock.sendall(b"\x09" * 12)
    assert wire.over() == 1
    wire.mux.pump()
    assert wire.mux.away == 1


def test_a_bug_in_serving_ends_the_connection_and_says_where(wire, monkeypatch):
    def fail(_):
        raise AssertionError("hush")

    monkeypatch.setattr(wire.connection._session, "receive_data", fail)
    wire.mux.send_frame(2, 1, 0, 1)
    assert wire.over() == 1
    assert "serving failed" in wire.log()
    assert "hush" not in wire.log()


def test_a_host_that_takes_no_bytes_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(server, "_WRITE_TIMEOUT_S", 1)
    wire = Wire(tmp_path)
    wire.begin("Large")
    wire.mux.send_frame(1, 0, wire.plugin.stream, 10_000_000)  # all the credit, and never a read
    assert wire.over() == 1
    assert "broke, ending" in wire.log()
    wire.close()


def test_an_answer_after_the_host_has_gone_harms_nobody(wire):
    wire.begin("Slow")
    until(lambda: wire.table.running == 1, "it runs")
    wire.mux.sock.close()
    assert wire.over() is None
    wire.table.gate.set()
    until(lambda: wire.pool._open == 0, "it is over")


def test_calls_from_two_dispensed_clients(wire):
    other = wire.dispense()
    first, second = wire.begin("Slow"), other.begin("Plugin.Slow", c.INTERFACE_T, None)
    until(lambda: wire.table.running == 2, "both run")
    wire.table.gate.set()
    assert wire.plugin.finish(first) == other.finish(second) == "done"


def test_answers_of_many_threads_arrive_whole(wire):
    """Encoding and queueing are one step: a description that one answer brings is relied on by the next."""
    wire.table.gate.set()
    end = time.monotonic() + 1
    while time.monotonic() < end:
        calls = [wire.begin(name) for name in ("Slow", "OddSlowly", "FailSlowly") * 10]
        for call in calls[::3]:
            assert wire.plugin.finish(call) == "done"
        for call in (*calls[1::3], *calls[2::3]):
            with pytest.raises(RpcError):
                wire.plugin.finish(call)
