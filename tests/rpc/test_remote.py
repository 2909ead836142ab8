"""Asking the service, over real HTTP, by the interface in docs/remote.md."""

import contextlib
import socket
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollout_verdict import __version__
from rollout_verdict.rpc import remote
from rollout_verdict.rpc.measurer import Broken, Job, Outcome, Owner, Running, UnavailableError
from rollout_verdict.rpc.pool import Pool
from rollout_verdict.rpc.remote import MAX_ANSWER, RemoteMeasurer, read_json, read_state
from rollout_verdict.rpc.settings import Settings
from tests.rpc.host import DEADLINE_S

WITHIN = DEADLINE_S


def job(config=None, number=1):
    return Job(
        id=f"{number:032x}",
        plugin="acme/verdict",
        metric="verdict",
        namespace="shop",
        analysis_run="run",
        analysis_run_uid="u",
        owner=Owner(kind="Rollout", name="shop", uid="r"),
        revision="2",
        template_hash="5d8f",
        arguments=("a",),
        dry_run=False,
        config=config or {},
    )


_made = []


@pytest.fixture(autouse=True)
def _no_connection_is_left():
    yield
    while _made:
        for _, connection in _made.pop()._idle:
            connection.close()


def measurer(service="", token_file="", ca_file="", problem="", pool=None):
    settings = Settings(service=service, token_file=str(token_file), ca_file=str(ca_file), local=False, problem=problem)
    _made.append(RemoteMeasurer(settings, pool or Pool(lambda error: None)))
    return _made[-1]


def unavailable(function, *arguments):
    with pytest.raises(UnavailableError) as caught:
        function(*arguments, within=WITHIN)
    return str(caught.value)


# The interface


def test_a_measurement_from_start_to_end(make_service):
    running = make_service("rollback", delay_s=3600)
    found = measurer(running.url)
    assert found.get(job(), within=WITHIN) is None
    assert found.start(job({"mode": "rules"}), within=WITHIN) == Running()
    assert found.start(job(), within=WITHIN) == Running(), "starting twice is starting once"
    assert found.get(job(), within=WITHIN) == Running()
    running.service.delay_s = 0
    outcome = found.get(job(), within=WITHIN)
    assert (outcome.verdict, outcome.score, outcome.confidence) == ("rollback", 4, 96)
    assert outcome.models == ({"modelName": "gemini-2.5-flash", "promote": False, "confidence": 96},)
    found.cancel(job(), within=WITHIN)
    assert found.get(job(), within=WITHIN) == Broken(reason="cancelled")


def test_what_is_told_to_start(make_service):
    running = make_service()
    measurer(running.url).start(job({"mode": "rules"}), within=WITHIN)
    assert running.service.bodies == {
        f"{1:032x}": {
            "id": f"{1:032x}",
            "plugin": {"name": "acme/verdict", "version": __version__},
            "metric": {"name": "verdict", "dryRun": False},
            "analysisRun": {
                "namespace": "shop",
                "name": "run",
                "uid": "u",
                "owner": {"kind": "Rollout", "name": "shop", "uid": "r"},
                "revision": "2",
                "templateHash": "5d8f",
                "arguments": ["a"],
            },
            "config": {"mode": "rules"},
        }
    }


def test_cancelling_what_is_unknown_is_no_error(make_service):
    measurer(make_service().url).cancel(job(), within=WITHIN)


def test_forgetting_asks_nobody(make_service):
    running = make_service()
    measurer(running.url).forget(("a",))
    assert running.service.requests == []


def test_the_service_tells_about_itself(make_service):
    assert measurer(make_service().url).about(within=WITHIN) == {
        "model": "gemini-2.5-flash",
        "promptDigest": "sha256:0f1e",
        "serviceVersion": "0.1.0",
    }


@pytest.mark.parametrize("scenario", ["broken", "nonsense"])
def test_telling_nothing_is_no_error(make_service, scenario):
    assert measurer(make_service(scenario).url).about(within=WITHIN) == {}
    assert measurer().about(within=WITHIN) == {}
    assert measurer("http://127.0.0.1:1").about(within=WITHIN) == {}


def test_a_path_in_the_address_is_kept(make_service):
    running = make_service()
    unavailable(measurer(running.url + "/team/").start, job())
    assert running.service.requests == [("POST", "/team/v1/measurements")]


def test_an_address_from_the_template_is_used_when_the_operator_set_none(make_service):
    running = make_service()
    assert isinstance(measurer().start(job({"agentUrl": running.url}), within=WITHIN), Outcome)


def test_the_operators_address_wins_and_the_token_goes_nowhere_else(make_service, tmp_path):
    (tmp_path / "token").write_text("t0ken\n")
    ours, theirs = make_service(token="t0ken"), make_service()
    found = measurer(ours.url, token_file=tmp_path / "token")
    assert isinstance(found.start(job({"agentUrl": theirs.url}), within=WITHIN), Outcome)
    assert theirs.service.requests == []
    assert "401" in unavailable(measurer(token_file=tmp_path / "token").start, job({"agentUrl": ours.url}))


def test_no_address_at_all_says_what_to_set():
    assert "set --service" in unavailable(measurer().start, job())


# Connections


def test_connections_are_kept(make_service):
    running = make_service()
    found = measurer(running.url)
    for _ in range(10):
        found.start(job(), within=WITHIN)
    assert running.service.connections == 1


def test_not_more_connections_are_kept_than_are_of_use(make_service):
    running = make_service()
    found = measurer(running.url)
    barrier = threading.Barrier(20)

    def ask():
        barrier.wait(DEADLINE_S)
        found.start(job(), within=WITHIN)

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found._idle) <= 8


def test_a_connection_that_was_closed_in_the_meantime_is_replaced(make_service):
    running = make_service()
    found = measurer(running.url)
    found.start(job(), within=WITHIN)
    found._idle[0][1].sock.shutdown(socket.SHUT_RDWR)
    assert isinstance(found.get(job(), within=WITHIN), Outcome)
    assert running.service.connections == 2


def test_a_service_that_restarts_is_found_again(make_service):
    running = make_service()
    found = measurer(running.url)
    found.start(job(), within=WITHIN)
    port = running.http.server_address[1]
    running.http.shutdown()
    running.http.server_close()
    found._idle.pop()[1].close()  # its server thread still lives in this process
    assert "Connection refused" in unavailable(found.get, job())
    make_service(port=port)
    assert found.get(job(), within=WITHIN) is None


# Trouble


@pytest.mark.parametrize(
    ("scenario", "told"),
    [
        ("broken", "status 503"),
        ("nonsense", "not understood"),
        ("overreach", "no verdict"),
        ("redirect", "redirect (302)"),
    ],
)
def test_answers_that_are_none(make_service, scenario, told):
    found = measurer(make_service(scenario).url)
    assert told in unavailable(found.start, job())


def test_redirects_are_not_followed_when_asking_and_cancelling(make_service):
    found = measurer(make_service("redirect").url)
    assert "redirect" in unavailable(found.get, job())
    assert "redirect" in unavailable(found.cancel, job())


def test_a_refusal_is_final_and_says_why(make_service):
    found = measurer(make_service("refuse").url)
    assert found.start(job(), within=WITHIN) == Broken(reason="minConfidence is 700; expected a whole number 0..100")


def test_a_measurement_that_failed_is_broken(make_service):
    found = measurer(make_service("error").url)
    assert found.start(job(), within=WITHIN) == Broken(reason="no pods match stableLabel role=stable")


def test_nobody_waits_longer_than_asked_for():
    silent = socket.create_server(("127.0.0.1", 0))
    with silent:
        found = measurer(f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(UnavailableError, match=r"did not answer within 0\.1 s"):
            found.start(job(), within=0.1)


def trickling(sock):
    """Answer a byte at a time, for ever, until the other side has had enough."""
    with sock, contextlib.suppress(OSError):
        sock.recv(65536)
        sock.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        sock.settimeout(0.01)
        while True:
            with contextlib.suppress(TimeoutError):
                if not sock.recv(1):
                    return
            sock.sendall(b"x")


@pytest.mark.parametrize("before", [0, 1], ids=["fresh", "idle"])
def test_a_server_that_trickles_costs_no_thread(make_service, before):
    """Otherwise each poll would leave one behind, until the pool is used up for good."""
    listener = socket.create_server(("127.0.0.1", 0))
    pool = Pool(lambda error: None, threads=1, waiting=0)
    ended = []

    def serve():
        sock, _ = listener.accept()
        for _ in range(before):
            sock.recv(65536)
            sock.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{"state": "running"}')
        trickling(sock)
        ended.append(True)

    server = threading.Thread(target=serve, daemon=True)
    server.start()
    with listener:
        found = measurer(f"http://127.0.0.1:{listener.getsockname()[1]}", pool=pool)
        for _ in range(before):
            assert found.get(job(), within=WITHIN) == Running()
        with pytest.raises(UnavailableError, match="did not answer within"):
            found.get(job(), within=0.1)
        server.join(WITHIN)
    assert ended
    assert not found._idle


def test_a_connection_that_comes_too_late_is_not_used():
    listener = socket.create_server(("127.0.0.1", 0))
    with listener:
        attempt = remote._Attempt()
        attempt.give_up()
        connection = measurer()._connect(f"http://127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(UnavailableError, match="nobody waits"):
            attempt.use(connection)
        assert connection.sock is None


@pytest.mark.parametrize("answer", [b"HTTP/1.1 hunter2\r\n\r\n", b"hunter2\r\n"])
def test_what_a_stranger_says_is_not_quoted(answer):
    told = unavailable(measurer(raw_service(answer)).start, job())
    assert told == "cannot reach the service: BadStatusLine"


def test_an_address_is_not_quoted():
    """It may hold a secret, and a text that was cut would hide it from the redaction."""
    assert "hunter2" not in unavailable(measurer().start, job({"agentUrl": "http://x/hunter2 y"}))


def raw_service(answer):
    """Return the address of a server that says ``answer`` to whatever it is asked."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        with listener:
            sock, _ = listener.accept()
            with sock:
                sock.recv(65536)
                with contextlib.suppress(OSError):  # the measurer may have had enough
                    sock.sendall(answer)
                    sock.shutdown(socket.SHUT_WR)
                    while sock.recv(65536):
                        pass

    threading.Thread(target=serve, daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"", "cannot reach the service"),
        (b"SSH-2.0-OpenSSH\r\n", "cannot reach the service"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}", "cut off"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nnot json!", "not understood"),
        (b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", "check --service"),
        (b"HTTP/1.1 418 No\r\nContent-Length: 0\r\n\r\n", "status 418"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b" " * (MAX_ANSWER + 1), f"exceeds {MAX_ANSWER} bytes"),
    ],
    ids=range(7),
)
def test_a_server_that_is_not_ours(answer, told):
    assert told in unavailable(measurer(raw_service(answer)).start, job())


@pytest.mark.parametrize(
    "address",
    [
        "",
        "service:8080",
        "ftp://x",
        "http://",
        "http://u:p@x",
        "http://x?a=b",
        "http://x#f",
        "http://x:99999",
        "http://x:0",
        "http://[x",
    ],
)
def test_an_address_must_be_one(address):
    if address:
        assert "http(s)://HOST" in measurer(address).problem()
        assert "http(s)://HOST" in unavailable(measurer().start, job({"agentUrl": address}))
    else:
        assert measurer(address).problem() == ""


@pytest.mark.parametrize("address", ["http://x/\r\nX: y", "http://x y/", "http://\udcff/"])
def test_an_address_cannot_smuggle(address):
    unavailable(measurer().start, job({"agentUrl": address}))


def test_a_full_pool_is_unavailable():
    gate = threading.Event()
    pool = Pool(lambda error: None, threads=1, waiting=0)
    pool.submit(lambda: gate.wait(DEADLINE_S))
    assert "waiting already" in unavailable(measurer("http://127.0.0.1:1", pool=pool).start, job())
    gate.set()


# Tokens and certificates


def test_the_token_is_read_anew_each_time(make_service, tmp_path):
    token = tmp_path / "token"
    token.write_text("old")
    running = make_service(token="new")
    found = measurer(running.url, token_file=token)
    assert "refused our token (401)" in unavailable(found.start, job())
    token.write_text("new\n")
    assert isinstance(found.start(job(), within=WITHIN), Outcome)


@pytest.mark.parametrize("content", [b"", b"\n", b"two words", b"line\nline", b"\xff", b"x" * 20_000])
def test_a_token_file_must_hold_a_token(tmp_path, content):
    (tmp_path / "token").write_bytes(content)
    found = measurer("http://127.0.0.1:1", token_file=tmp_path / "token")
    problem = found.problem()
    assert "token" in problem
    assert unavailable(found.start, job()) == problem


def test_missing_files_are_problems_from_the_start(tmp_path):
    assert "cannot read" in measurer("http://x", token_file=tmp_path / "none").problem()
    assert "cannot read" in measurer("http://x", ca_file=tmp_path / "none").problem()
    assert measurer("http://x", problem="unknown plugin argument").problem() == "unknown plugin argument"


def test_https_with_a_ca_of_our_own(make_service, certificates):
    ca, cert, key = certificates
    running = make_service(tls=(cert, key))
    found = measurer(running.url, ca_file=ca)
    assert found.problem() == ""
    assert isinstance(found.start(job(), within=WITHIN), Outcome)
    assert isinstance(found.start(job(), within=WITHIN), Outcome)
    assert running.service.connections == 1


def test_https_with_an_unknown_ca_is_refused(make_service, certificates, monkeypatch, tmp_path):
    _, cert, key = certificates
    running = make_service(tls=(cert, key))
    assert "CERTIFICATE_VERIFY_FAILED" in unavailable(measurer(running.url).start, job())
    monkeypatch.setattr(remote, "_SYSTEM_CA", str(tmp_path / "none"))
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    assert "CERTIFICATE_VERIFY_FAILED" in unavailable(measurer(running.url).start, job())


def test_https_for_another_host_is_refused(make_service, certificates):
    ca, cert, key = certificates
    running = make_service(tls=(cert, key))
    address = running.url.replace("127.0.0.1", "localhost")
    assert "CERTIFICATE_VERIFY_FAILED" in unavailable(measurer(address, ca_file=ca).start, job())


def test_certificates_from_the_environment(make_service, certificates, monkeypatch):
    ca, cert, key = certificates
    monkeypatch.setenv("SSL_CERT_FILE", ca)
    assert isinstance(measurer(make_service(tls=(cert, key)).url).start(job(), within=WITHIN), Outcome)


# Answers


GOOD = {"verdict": "promote", "score": 1, "confidence": 2}


@pytest.mark.parametrize(
    "change",
    [
        {"verdict": "pass"},
        {"verdict": None},
        {"verdict": ["promote"]},
        {"score": 101},
        {"score": -1},
        {"score": True},
        {"score": 1.5},
        {"confidence": "2"},
        {"confidence": None},
    ],
)
def test_a_verdict_that_is_none_is_not_understood(change):
    with pytest.raises(UnavailableError):
        read_state({"state": "done", "measurement": {**GOOD, **change}})


@pytest.mark.parametrize(
    "state", [None, [], {}, {"state": "ok"}, {"state": "done"}, {"state": "done", "measurement": []}]
)
def test_a_state_that_is_none_is_not_understood(state):
    with pytest.raises(UnavailableError):
        read_state(state)


def test_an_answer_nested_without_end_is_not_understood():
    assert read_json(b"[" * 100_000) is None
    assert read_json(b'{"a": "[[[["}') == {"a": "[[[["}


def test_odd_texts_are_left_out():
    outcome = read_state({"state": "done", "measurement": {**GOOD, "reason": 5, "models": {}, "warnings": [1, "w"]}})
    assert (outcome.reason, outcome.models, outcome.warnings) == ("", (), ("w",))
    outcome = read_state({"state": "done", "measurement": {**GOOD, "models": [1, {"a": 1}], "warnings": 3}})
    assert (outcome.models, outcome.warnings) == (({"a": 1},), ())
    assert read_state({"state": "error"}).reason


@settings(deadline=None)
@given(st.binary(max_size=30))
def test_any_answer_is_read_or_not_understood(body):
    try:
        read_state(read_json(body))
    except UnavailableError:
        return
    raise AssertionError("random bytes gave a state")
