"""A server that refuses, lies, stalls or breaks off: never an exception, always a gap that says what to do."""

import asyncio
import json
import ssl
import subprocess
import time

import pytest

from rollout_verdict.adapters.prometheus.client import LARGEST_ANSWER, Client
from rollout_verdict.adapters.prometheus.collect import Prometheus
from rollout_verdict.adapters.prometheus.memory import Memory
from rollout_verdict.adapters.prometheus.options import OwnQuery, Server, Wanted, permitted
from rollout_verdict.adapters.prometheus.trouble import TREATMENTS, Kind, TroubleError
from rollout_verdict.core.values import Side
from tests.adapters.prometheus.server import free_port
from tests.adapters.prometheus.world import END, World
from tests.conftest import needs
from tests.fakes.prometheus import Reply, failure, served, success, usual

STAGES = ("names", "sides", "details", "range", "counts")
SCOPE = World(namespace="shop").scope(routers=("nginx",))
SECRET = "s3cret-token-of-the-operator"
OWN = OwnQuery(name="own_failures", query='sum by (pod) (rate(failures{pod=~"${pods}"}[2m]))')
_SURMISE = "PromQL info: metric might not be a counter, name does not end in _total"


async def no_sleep(_seconds):
    """Waiting between attempts takes no time here."""


def collect(address, *, deadline_s=20.0, server=None, wanted=None, sleep=no_sleep, memory=None):
    source = Prometheus(
        server=server or Server(address=address, timeout_s=5.0),
        wanted=wanted or Wanted(presets=("nginx",)),
        memory=memory or Memory(),
        now=lambda: END + 3600,
        sleep=sleep,
        jitter=lambda: 1.0,
    )
    return source.collect(SCOPE, deadline_s=deadline_s, on_done=lambda _done, _total: None)


def at(stage, reply):
    """Behave as usual but at one stage."""
    return lambda request: (reply(request) if callable(reply) else reply) if request.stage == stage else usual(request)


def test_the_stand_in_is_good_enough():
    """Without a fault the whole way is gone, by POST."""
    with served() as (address, seen):
        evidence, gaps = collect(address)
    assert gaps == ()
    assert {request.stage for request in seen} == set(STAGES)
    assert {request.method for request in seen if request.stage != "names"} == {"POST"}
    assert {meta.name for meta in evidence.meta} >= {"nginx_error_ratio", "nginx_request_duration_p99_seconds"}


HTML = Reply(body=b"<html>Please log in</html>", headers={"content-type": "text/html"})
FAULTS = {
    "401": (failure(401, "", "unauthorized"), Kind.UNAUTHENTICATED),
    "403": (failure(403, "", "forbidden"), Kind.FORBIDDEN),
    "404": (Reply(status=404, body=b"404 page not found", headers={"content-type": "text/plain"}), Kind.NOT_FOUND),
    "400": (failure(400, "bad_data", "1:3: parse error"), Kind.BAD_QUERY),
    "422": (failure(422, "execution", "query processing would load too many samples into memory"), Kind.TOO_HEAVY),
    "422-other": (failure(422, "execution", "many-to-many matching not allowed"), Kind.BAD_QUERY),
    "429": (failure(429, "", "too many requests", **{"retry-after": "1"}), Kind.RATE_LIMITED),
    "500": (failure(500, "internal", "boom"), Kind.SERVER_ERROR),
    "502": (Reply(status=502, body=b"<html>bad gateway</html>", headers={"content-type": "text/html"}), Kind.UNAVAILABLE),
    "503": (failure(503, "unavailable", "starting up"), Kind.UNAVAILABLE),
    "503-timeout": (failure(503, "timeout", "query timed out in expression evaluation"), Kind.QUERY_TIMED_OUT),
    "414": (Reply(status=414), Kind.TOO_LONG),
    "302": (Reply(status=302, headers={"location": "https://login.example/?next=x"}), Kind.REDIRECTED),
    "html": (HTML, Kind.NO_JSON),
    "not-json": (Reply(body=b'{"status": "succ'), Kind.GARBLED),
    "no-status": (Reply(body=b"{}"), Kind.GARBLED),
    "no-data": (Reply(body=b'{"status": "success"}'), Kind.GARBLED),
    "wrong-data": (success({"resultType": "scalar", "result": [1, "2"]}), Kind.GARBLED),
    "wrong-samples": (success({"resultType": "matrix", "result": [{"metric": {}, "values": [["x", 1]]}]}), Kind.GARBLED),
    "deep": (Reply(body=b"[" * 200_000), Kind.GARBLED),
    "compressed": (
        Reply(body=b"\x1f\x8b", headers={"content-encoding": "gzip", "content-type": "application/json"}),
        Kind.GARBLED,
    ),
    "cut": (Reply(body=json.dumps({"status": "success", "data": []}).encode(), cut=12), Kind.CUT),
    "closed": (Reply(cut=0, body=b"x"), Kind.CUT),
}  # fmt: skip


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_at_every_stage_is_a_gap(fault, stage):
    """Early or late: the gap says what went wrong and what to do; nothing is made up for what is missing."""
    reply, kind = FAULTS[fault]
    with served(at(stage, reply)) as (address, _):
        evidence, gaps = collect(address)
    told = [gap for gap in gaps if kind.value in gap.reason]
    if stage == "names" and not told:  # the names can be had by a query, too
        assert evidence is not None
        return
    assert told, [gap.reason for gap in gaps]
    assert all(gap.hint == TREATMENTS[kind].hint for gap in told)
    if stage == "range":
        assert evidence is None
    if stage == "counts":  # without the number of requests nothing is judged by
        assert {meta.direction.value for meta in evidence.meta} == {"neutral"}


def test_an_endless_answer_is_not_read_to_its_end():
    """What is beyond the bound is neither kept nor waited for."""
    with served(at("sides", Reply(body=b" " * (LARGEST_ANSWER + 1)))) as (address, _):
        evidence, (gap,) = collect(address)
    assert evidence is None
    assert gap.reason == f"{Kind.TOO_LARGE.value}: more than 16 MiB"
    assert gap.hint


def test_a_fault_of_one_query_leaves_the_others():
    """Failures on the canary's side alone: that side's gap, and the other metrics stand."""

    def behave(request):
        query = request.form.get("query", "")
        if request.stage == "range" and "histogram_quantile" in query and 'canary!=""' in query:
            return failure(422, "execution", "too many samples")
        return usual(request)

    with served(behave) as (address, _):
        evidence, gaps = collect(address)
    (gap,) = gaps
    assert gap.side is Side.CANARY
    assert Kind.TOO_HEAVY.value in gap.reason
    assert "nginx_error_ratio" in {meta.name for meta in evidence.meta}


def test_a_refused_post_is_asked_again_by_get():
    """Proxies that know GET alone, or map POST to another permission; learnt once."""
    for status in (403, 404, 405, 501):
        with served(
            lambda request, status=status: usual(request) if request.method == "GET" else Reply(status=status)
        ) as (
            address,
            seen,
        ):
            evidence, gaps = collect(address)
        assert gaps == ()
        assert evidence is not None
        assert sum(request.method == "POST" for request in seen) <= Server().concurrency


def test_what_may_pass_is_tried_again():
    """A server that starts up answers the second time."""
    seen_stages = set()

    def behave(request):
        if request.stage not in seen_stages:
            seen_stages.add(request.stage)
            return failure(503, "unavailable", "starting up")
        return usual(request)

    with served(behave) as (address, _):
        evidence, gaps = collect(address)
    assert gaps == ()
    assert evidence is not None


def test_a_server_that_says_when_is_waited_for():
    """Retry-After is obeyed, in seconds or as a date; nothing is asked before."""
    waits, first = [], []

    async def sleep(seconds):
        waits.append(seconds)

    def behave(request):
        if request.stage == "sides" and not first:
            first.append(request)
            return failure(429, "", "slow down", **{"retry-after": "7"})
        return usual(request)

    with served(behave) as (address, _):
        _, gaps = collect(address, sleep=sleep)
    assert gaps == ()
    assert waits == [7.0]


@pytest.mark.parametrize("told", ["120", "Fri, 31 Dec 2999 23:59:59 GMT"])
def test_a_wait_beyond_the_deadline_is_not_waited(told):
    waits = []

    async def sleep(seconds):
        waits.append(seconds)

    with served(lambda _request: failure(429, "", "slow down", **{"retry-after": told})) as (address, seen):
        evidence, gaps = collect(address, sleep=sleep)
    assert (evidence, waits, len(seen)) == (None, [], 1)
    assert Kind.RATE_LIMITED.value in gaps[0].reason


def test_attempts_end():
    """One request is made three times at most, and the waits between double."""
    waits = []

    async def sleep(seconds):
        waits.append(seconds)

    with served(lambda _request: Reply(status=500)) as (address, seen):
        collect(address, sleep=sleep)
    assert len(seen) == 3
    assert waits == [0.5, 1.0]


def test_a_hung_server_costs_the_deadline_only():
    """Nothing comes: the deadline of all ends it, with a gap."""
    began = time.monotonic()
    with served(lambda _request: Reply(wait_s=30.0)) as (address, _):
        evidence, gaps = collect(address, deadline_s=1.5)
    assert time.monotonic() - began < 10
    assert evidence is None
    assert Kind.TIMED_OUT.value in gaps[0].reason


def test_a_body_that_drips_ends_too():
    """A byte now and then keeps a connection alive, and no request."""
    with served(at("range", Reply(drip=True))) as (address, _):
        evidence, gaps = collect(address, deadline_s=2.0)
    assert evidence is None
    assert any(Kind.TIMED_OUT.value in gap.reason for gap in gaps)


def test_what_was_answered_before_the_deadline_counts():
    """One slow query is missing; the others are there."""

    def behave(request):
        slow = request.stage == "range" and "histogram_quantile(0.99" in request.form.get("query", "")
        return Reply(wait_s=30.0) if slow else usual(request)

    with served(behave) as (address, _):
        evidence, gaps = collect(address, deadline_s=6.0)
    assert "nginx_error_ratio" in {meta.name for meta in evidence.meta}
    assert "nginx_request_duration_p99_seconds" not in {meta.name for meta in evidence.meta}
    assert any(Kind.TIMED_OUT.value in gap.reason for gap in gaps)


def test_nobody_listens():
    evidence, gaps = collect(f"http://127.0.0.1:{free_port()}")
    assert evidence is None
    assert gaps[0].reason.startswith(Kind.CONNECTION.value)


def test_a_name_that_does_not_exist():
    evidence, gaps = collect("http://prometheus.invalid:9090")
    assert evidence is None
    assert gaps[0].reason.startswith((Kind.NAME.value, Kind.TIMED_OUT.value))


def test_a_lost_server_is_not_asked_for_each_query():
    """After a refusal that every request would meet, the rest is not sent."""
    with served(at("range", Reply(status=401))) as (address, seen):
        collect(address, server=Server(address=address, concurrency=1))
    assert sum(request.stage == "range" for request in seen) == 1


@pytest.mark.parametrize("preset", [True, False], ids=["preset", "own query"])
def test_partial_answers_are_told_and_not_used(preset):
    """What Thanos, VictoriaMetrics and Prometheus 3 say beside the data: what is missing may be the failures."""

    def behave(request):
        reply = usual(request)
        if request.stage != "range":
            return reply
        body = json.loads(reply.body)
        told = {
            "warnings": ["store 10.0.0.7 is down", "store 10.0.0.7 is down", 7],
            "infos": [_SURMISE, "something else"],
            "isPartial": True,
        }
        return Reply(body=json.dumps({**body, **told}).encode())

    with served(behave) as (address, _):
        evidence, gaps = collect(address) if preset else collect(address, wanted=Wanted(queries=(OWN,)))
    assert evidence is None
    reasons = {gap.reason for gap in gaps}
    noted = {"the server noted: something else"}
    noted |= set() if preset else {f"the server noted: {_SURMISE}"}
    assert reasons >= noted | {
        "the server said that its answer is not whole: it was not used",
        "the server warned: store 10.0.0.7 is down",
    }
    assert all(gap.hint for gap in gaps)


DOWN = "store 10.0.0.9: rpc error: code = Unavailable"


def lacking(request):
    """Behave like Thanos with a store away: a good status, a warning, and less data."""
    body = json.loads(usual(request).body)
    data = [] if request.path.endswith("/values") else {**body["data"], "result": []}
    return success(data, warnings=[DOWN])


@pytest.mark.parametrize("auto", [False, True], ids=["by name", "auto"])
@pytest.mark.parametrize("stage", ["names", "sides", "details"])
def test_what_a_partial_answer_lacks_is_neither_absent_nor_remembered(stage, auto):
    """The gap says that a store is away, not that nobody scrapes; with the store back, the next measurement sees."""
    wanted, memory, away = Wanted(presets=() if auto else ("nginx",)), Memory(), True

    def behave(request):
        return lacking(request) if away and request.stage == stage else usual(request)

    with served(behave) as (address, _):
        evidence, gaps = collect(address, wanted=wanted, memory=memory)
        away = False
        later, none = collect(address, wanted=wanted, memory=memory)
    assert evidence is None
    assert f"{Kind.PARTIAL.value}: {DOWN}" in {gap.reason for gap in gaps}
    assert not [gap for gap in gaps if "absent" in gap.reason or "scrape" in gap.hint]
    assert none == ()
    assert "nginx_error_ratio" in {meta.name for meta in later.meta}


def test_an_own_query_needs_no_list_of_metrics():
    """What the presets lack for a partial answer, or a refused one, the operator's own query does not lack."""
    wanted = Wanted(presets=("nginx",), queries=(OWN,))
    with served(at("names", lacking)) as (address, _):
        evidence, gaps = collect(address, wanted=wanted)
    assert {meta.name for meta in evidence.meta} == {OWN.name}
    assert [gap.reason for gap in gaps] == [f"{Kind.PARTIAL.value}: {DOWN}"]


def test_a_warning_about_a_query_does_not_make_its_answer_partial():
    """Prometheus warns of histograms that it left out, say; nothing is missing of the answer."""

    def behave(request):
        reply = usual(request)
        if request.stage != "range":
            return reply
        body = json.loads(reply.body)
        return Reply(
            body=json.dumps({**body, "warnings": ["PromQL warning: quantile value should be below 1"]}).encode()
        )

    with served(behave) as (address, _):
        evidence, gaps = collect(address)
    assert evidence is not None
    assert [gap.reason for gap in gaps] == ["the server warned: PromQL warning: quantile value should be below 1"]


def test_credentials_go_along_and_nowhere_else(tmp_path):
    """Token and headers reach the operator's address; an address of the template's gets neither."""
    (tmp_path / "token").write_text(f"{SECRET}\n")
    with served() as (own, own_seen), served() as (other, other_seen):
        server = Server(
            address=own,
            allowed=(other,),
            token_file=str(tmp_path / "token"),
            headers=(("X-Scope-OrgID", "shop"), ("X-Key", SECRET)),
        )
        assert collect(own, server=server)[1] == ()
        assert collect(other, server=server, wanted=Wanted(address=other, presets=("nginx",)))[1] == ()
    assert {request.headers["authorization"] for request in own_seen} == {f"Bearer {SECRET}"}
    assert {request.headers["x-scope-orgid"] for request in own_seen} == {"shop"}
    for request in other_seen:
        assert not {"authorization", "x-scope-orgid", "x-key"} & set(request.headers)


def test_basic_authentication(tmp_path):
    (tmp_path / "password").write_text(SECRET)
    with served() as (address, seen):
        server = Server(address=address, username="reader", password_file=str(tmp_path / "password"))
        assert collect(address, server=server)[1] == ()
    (header,) = {request.headers["authorization"] for request in seen}
    assert header.startswith("Basic ")


@pytest.mark.parametrize("status", [400, 401, 403, 500])
def test_secrets_that_a_server_echoes_are_not_told(tmp_path, status):
    (tmp_path / "token").write_text(SECRET)
    reply = failure(status, "x", f"cannot accept Bearer {SECRET} nor {SECRET}-too")
    with served(lambda _request: reply) as (address, _):
        _, gaps = collect(address, server=Server(address=address, token_file=str(tmp_path / "token")))
    assert gaps
    assert SECRET not in repr(gaps)


def test_an_echo_is_quoted_harmlessly():
    """Text of the server is foreign: bounded, and without control characters."""
    with served(lambda _request: failure(400, "bad_data", "\x1b[2Jgone\u202e" + "x" * 10_000)) as (address, _):
        _, gaps = collect(address)
    assert "\x1b" not in gaps[0].reason
    assert len(gaps[0].reason) < 400


@pytest.mark.parametrize("content", [None, "", "two\nlines", "ümlaut", "x" * 20_000])
def test_credentials_that_cannot_be_read(tmp_path, content):
    """The gap names the file, and nothing of what is in it."""
    path = tmp_path / "token"
    if content is not None:
        path.write_text(content)
    with served() as (address, seen):
        evidence, gaps = collect(address, server=Server(address=address, token_file=str(path)))
    assert (evidence, seen) == (None, [])
    assert Kind.CREDENTIALS.value in gaps[0].reason
    assert str(path)[:60] in gaps[0].reason


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            needs("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem"), "-days", "2",
            "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
        ],
        check=True, capture_output=True, timeout=30,
    )  # fmt: skip
    return folder


@pytest.fixture
def secure(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    return context


def test_tls_with_an_authority_of_ones_own(certificate, secure):
    with served(tls=secure) as (address, _):
        _, gaps = collect(address, server=Server(address=address, ca_file=str(certificate / "cert.pem")))
    assert gaps == ()


def test_tls_with_an_unknown_authority(secure):
    with served(tls=secure) as (address, seen):
        evidence, gaps = collect(address)
    assert (evidence, seen) == (None, [])
    assert gaps[0].reason.startswith(Kind.TLS.value)
    assert "ROLLOUT_VERDICT_PROMETHEUS_CA_FILE" in gaps[0].hint


def test_tls_unchecked_when_told_so(secure):
    with served(tls=secure) as (address, _):
        assert collect(address, server=Server(address=address, skip_verify=True))[1] == ()


def test_a_client_certificate(certificate, secure):
    secure.verify_mode = ssl.CERT_REQUIRED
    secure.load_verify_locations(certificate / "cert.pem")
    own = {"cert_file": str(certificate / "cert.pem"), "key_file": str(certificate / "key.pem")}
    with served(tls=secure) as (address, _):
        server = Server(address=address, ca_file=str(certificate / "cert.pem"), **own)
        assert collect(address, server=server)[1] == ()
        _, gaps = collect(address, server=Server(address=address, ca_file=str(certificate / "cert.pem")))
    # The server's alert comes after its side of the handshake, now and then after the connection is gone.
    assert gaps[0].reason.startswith((Kind.TLS.value, Kind.CUT.value))


def test_tls_files_that_are_none(tmp_path):
    (tmp_path / "ca.pem").write_text("no certificate")
    _, gaps = collect("", server=Server(address="https://127.0.0.1:1", ca_file=str(tmp_path / "ca.pem")))
    assert Kind.CREDENTIALS.value in gaps[0].reason


def test_a_bug_of_ours_is_raised_where_somebody_waits():
    """Not swallowed by the thread that does the work."""
    with served() as (address, _):
        source = Prometheus(server=Server(address=address), wanted=Wanted(presets=("nginx",)))
        with pytest.raises(ZeroDivisionError):
            source.collect(SCOPE, deadline_s=10.0, on_done=lambda _done, _total: 1 / 0)


def test_every_kind_of_trouble_says_what_to_do():
    assert set(TREATMENTS) == set(Kind)
    assert all(treatment.hint for treatment in TREATMENTS.values())


def test_a_client_reads_another_shape_as_trouble():
    async def ask(address):
        client = Client(Server(address=address), permitted(Server(address=address), ""), end=time.monotonic() + 10)
        try:
            await client.metric_names("x", 0, 1)
        finally:
            await client.close()

    with served(lambda _request: success(["a", 1])) as (address, _), pytest.raises(TroubleError) as caught:
        asyncio.run(ask(address))
    assert caught.value.kind is Kind.GARBLED


def test_names_are_had_by_a_query_where_lists_of_labels_are_not_served():
    """Some proxies pass queries only."""
    with served(lambda request: Reply(status=404) if request.path.endswith("/values") else usual(request)) as (
        address,
        seen,
    ):
        evidence, gaps = collect(address)
    assert gaps == ()
    assert evidence is not None
    assert sum(request.form.get("query", "").startswith("count by (__name__)") for request in seen) == 1
