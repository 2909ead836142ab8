"""Injected faults, of each class, at each source, early, midway and late.

Whatever breaks: there is a verdict and no traceback, nothing is promoted that the remaining evidence would not have
promoted, nothing at all where the lost source is required, and a gap says what is missing and what to do.
"""

import json
import random
import socket
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from rollout_verdict.adapters.kubernetes import KubernetesCluster, Patience, connect
from rollout_verdict.adapters.kubernetes.logs import LogLimits
from rollout_verdict.adapters.prometheus.collect import Prometheus
from rollout_verdict.adapters.prometheus.options import OwnQuery, Wanted
from rollout_verdict.adapters.prometheus.options import Server as PrometheusServer
from rollout_verdict.core.evidence import Evidence
from rollout_verdict.core.policy import Mode, Policy
from rollout_verdict.core.redaction.redact import Redactor
from rollout_verdict.core.target import Gathering, Target, TargetError, TargetKind
from rollout_verdict.core.values import Decision, Gap, SourceKind
from rollout_verdict.engine import judge
from rollout_verdict.gather import gather
from tests.adapters.prometheus.server import Tsdb, prometheus
from tests.cli.commands import run
from tests.cli.live import failing, live
from tests.fakes.kubernetes import Cluster, Fault, Stub, scenarios, tls
from tests.fakes.kubernetes.faults import ANSWERS, HTML
from tests.fakes.kubernetes.objects import Place, requests
from tests.fakes.kubernetes.status import Refusal
from tests.fakes.proxy import Proxy

__all__ = ["live", "run"]
NOW = datetime(2026, 1, 31, 10, 0, tzinfo=UTC)
PLACE = Place(now=NOW)
TARGET = Target(kind=TargetKind.ROLLOUT, namespace="shop", name="checkout")
IMPATIENT = Patience(connect_s=0.5, read_s=0.3, attempts=1)
PATIENT = Patience(attempts=3, wait_s=0.001, longest_wait_s=0.002)
GATHERING = Gathering(deadline_s=4.0)
BROKE = "broke ("  # the words of gaps that stand for a bug of ours
# Where a fault strikes the API server, and the source that a verdict may then lack.
PLACES = {
    "rollout": (Fault(resource="rollouts.argoproj.io"), SourceKind.KUBERNETES),
    "replicasets": (Fault(resource="replicasets.apps"), SourceKind.DIFF),
    "pods": (Fault(resource="pods", verb="list"), SourceKind.KUBERNETES),
    "logs": (Fault(resource="pods/log"), SourceKind.LOGS),
    "canary logs": (Fault(resource="pods/log", name="checkout-7d4cc1-*"), SourceKind.LOGS),
    "stable logs": (Fault(resource="pods/log", name="checkout-5b8f9c-*"), SourceKind.LOGS),
    "events": (Fault(resource="events"), SourceKind.KUBERNETES),
    "resource use": (Fault(resource="pods.metrics.k8s.io"), SourceKind.KUBERNETES),
}
WAYS = {
    **{name: {"answer": answer} for name, answer in ANSWERS.items() if name != "404 path"},
    "silence": {"share": 0.0, "then": "hang"},
    "hung early": {"share": 0.02, "then": "hang"},
    "hung late": {"share": 0.98, "then": "hang"},
    "reset early": {"share": 0.02, "then": "reset"},
    "reset midway": {"share": 0.5, "then": "reset"},
    "reset late": {"share": 0.98, "then": "reset"},
    "cut early": {"share": 0.02, "then": "close"},
    "cut midway": {"share": 0.5, "then": "close"},
    "cut late": {"share": 0.98, "then": "close"},
    "nothing": {"share": 0.0, "then": "close"},
}
NOT_OF_LOGS = {"html", "not json", "wrong shape"}  # any text is a log; a test of its own says what comes of a page
NO_GAP = {("resource use", "404")}  # a cluster without a metrics server lacks nothing


@dataclass
class World:
    """A served cluster and what became of it without any fault."""

    stub: Stub
    config: str
    clean: Evidence


@pytest.fixture(scope="module")
def worlds(tmp_path_factory):
    """A canary that does as well as stable, and one whose harm stands in its logs alone."""
    folder, found, stubs = tmp_path_factory.mktemp("worlds"), {}, []
    good = requests(rate=1.0)
    harm = requests(rate=1.0, failing=0.2, error="connect to payments:8443 failed: connection refused")
    for name, lines in (("healthy", good), ("harmful", harm)):
        cluster = Cluster(clock=lambda: NOW)
        stable, canary = replace(scenarios.STABLE, pods=2, lines=good), replace(scenarios.CANARY, lines=lines)
        scenarios.canary(cluster, PLACE, stable=stable, newest=canary)
        stub = Stub(cluster).__enter__()
        stubs.append(stub)
        config = str(stub.kubeconfig(folder / name))
        found[name] = World(stub, config, gathered(config, PATIENT))
    yield found
    for stub in stubs:
        stub.__exit__()


def gathered(config, patience, metrics=None, gathering=GATHERING):
    """Gather from the cluster of a kubeconfig."""
    limits = LogLimits(idle_s=patience.read_s, container_s=2.0)
    cluster = KubernetesCluster(
        connect(config), patience=patience, limits=limits, now=lambda: NOW, sleep=lambda _seconds: None
    )
    try:
        return gather(TARGET, cluster, metrics, gathering)
    finally:
        cluster.close()


def decided(evidence, *required):
    """Return the decision on evidence."""
    return judge(evidence, Policy(mode=Mode.RULES, required_sources=required), None, Redactor()).verdict.decision


def without(evidence, source):
    """Return evidence as it is when a source gave nothing at all."""
    gap = Gap(source=source, what=source.value, reason="taken away", hint="put it back")
    return replace(evidence, **{source.value: None}, gaps=(*evidence.gaps, gap))


def held(found, clean, source, *, remains=False):
    """Say whether what came of a fault is what may come of one. With ``remains`` some of the source is there to judge."""
    new = [gap for gap in found.gaps if gap not in clean.gaps]
    assert new, "a fault without a gap"
    assert all(BROKE not in gap.reason for gap in found.gaps)
    assert any(gap.hint for gap in new), new
    assert all(gap.reason for gap in new)
    if decided(found) is Decision.PROMOTE and not remains:
        assert decided(without(clean, source)) is Decision.PROMOTE
    if getattr(found, source.value) is None:
        assert decided(found, source) is not Decision.PROMOTE


def test_the_worlds_are_what_they_are_said_to_be(worlds):
    """Without a fault one is promoted and the other one is not: else the tests below would hold for nothing."""
    assert decided(worlds["healthy"].clean) is Decision.PROMOTE
    assert decided(worlds["harmful"].clean) is Decision.ROLLBACK
    assert decided(without(worlds["healthy"].clean, SourceKind.LOGS)) is Decision.INCONCLUSIVE


MINOR = ("replicasets", "events", "resource use")  # read as the others are: fewer ways of breaking an answer will do
FEWER = {"504", "not json", "hung late", "reset early", "reset late", "cut early", "cut late", "nothing"}
CASES = [
    (place, way)
    for place in PLACES
    for way in WAYS
    if not ("logs" in place and way in NOT_OF_LOGS)
    and not (place in MINOR and way in FEWER)
    and (place, way) != ("rollout", "404")
]


@pytest.mark.parametrize(("place", "way"), CASES, ids=[f"{place}: {way}" for place, way in CASES])
def test_a_fault_of_the_api_server(worlds, place, way):
    """Each class of fault, at each thing that is asked for."""
    where, source = PLACES[place]
    for name, world in worlds.items():
        if name == "harmful" and place in MINOR:
            continue  # which take no part in how its harm is seen
        world.stub.cluster.fail(replace(where, **WAYS[way]))
        found = gathered(world.config, IMPATIENT)
        if (place, way) in NO_GAP:
            assert decided(found) is decided(world.clean)
            continue
        # Stable's logs are what the canary's are compared with: a part of them, and the whole of the canary's, may do.
        remains = place == "stable logs" and found.logs is not None and any(log.lines for log in found.logs.pods.stable)
        held(found, world.clean, source, remains=remains)
        if name == "harmful":
            assert decided(found) is not Decision.PROMOTE
        if place == "canary logs":
            assert decided(found) is not Decision.PROMOTE


def test_a_rollout_that_is_gone_is_told(worlds):
    """There is nothing to gather then; the error says how to list those that exist."""
    world = worlds["healthy"]
    world.stub.cluster.fail(replace(PLACES["rollout"][0], answer=ANSWERS["404"]))
    with pytest.raises(TargetError, match="kubectl get rollouts"):
        gathered(world.config, IMPATIENT)


@pytest.mark.parametrize("way", ["429", "500", "503", "504", "reset early", "cut midway", "nothing"])
@pytest.mark.parametrize("place", ["rollout", "pods"])
def test_a_fault_that_passes_costs_nothing(worlds, place, way):
    """Struck once, asked again: the evidence is what it was."""
    world = worlds["healthy"]
    world.stub.cluster.fail(replace(PLACES[place][0], **WAYS[way], times=1))
    found = gathered(world.config, PATIENT)
    assert decided(found) is Decision.PROMOTE
    assert found.gaps == world.clean.gaps


@pytest.mark.parametrize("place", ["rollout", "pods", "logs"])
def test_a_slow_answer_is_no_fault(worlds, place):
    """Bytes that come late, each within the time for one, are evidence like any other."""
    world = worlds["healthy"]
    world.stub.cluster.fail(replace(PLACES[place][0], pause_s=0.05))
    found = gathered(world.config, PATIENT)
    assert decided(found) is Decision.PROMOTE
    assert found.gaps == world.clean.gaps


@pytest.mark.parametrize("place", ["rollout", "pods", "logs"])
def test_an_answer_that_never_ends_is_left_at_the_deadline(worlds, place):
    """A byte now and then keeps a connection alive, but not the measurement waiting."""
    world = worlds["healthy"]
    world.stub.cluster.fail(replace(PLACES[place][0], pause_s=0.2))
    found = gathered(world.config, replace(PATIENT, attempts=1), gathering=Gathering(deadline_s=0.6))
    held(found, world.clean, PLACES[place][1])


def test_one_pod_that_hangs_takes_nothing_from_the_others(worlds):
    """Its log is a gap by its name, the others' are read."""
    world = worlds["healthy"]
    pod = world.clean.pods.stable[0]
    world.stub.cluster.fail(Fault(resource="pods/log", name=pod, share=0.0, then="hang"))
    found = gathered(world.config, IMPATIENT)
    read = {log.pod: log.lines for side in (found.logs.pods.stable, found.logs.pods.canary) for log in side}
    assert read.pop(pod) == 0
    assert all(read.values())
    assert any(pod in gap.reason + gap.what for gap in found.gaps)


def test_a_page_in_place_of_a_log_promotes_nothing(worlds):
    """A login page is text: what it lacks is any line that stable and canary have in the window."""
    for world in worlds.values():
        world.stub.cluster.fail(Fault(resource="pods/log", answer=HTML))
        assert decided(gathered(world.config, IMPATIENT)) is not Decision.PROMOTE


@pytest.mark.parametrize("seconds", [-7200, -60, 60, 7200])
def test_clocks_that_differ_are_told_and_the_window_is_the_clusters(worlds, seconds):
    """By the Date header; logs carry the cluster's time, so that is what counts."""
    world = worlds["healthy"]
    world.stub.cluster.fail()
    cluster = KubernetesCluster(connect(world.config), now=lambda: NOW - timedelta(seconds=seconds))
    found = gather(TARGET, cluster, None, GATHERING)
    cluster.close()
    skew = [gap for gap in found.gaps if "clock" in gap.reason]
    assert len(skew) == 1
    assert "NTP" in skew[0].hint
    assert abs((found.window.end - NOW).total_seconds()) <= 2
    assert decided(found) is Decision.PROMOTE


@pytest.mark.parametrize("kind", ["expired", "other host", "other CA", "no TLS"])
def test_tls_that_cannot_be_trusted(tmp_path, kind):
    """Nothing is read, and what to look at is said."""
    cluster = Cluster(clock=lambda: NOW)
    scenarios.canary(cluster, PLACE)
    hosts = ("cluster.example",) if kind == "other host" else ("127.0.0.1",)
    files = tls.make(tmp_path / "own", hosts=hosts, expired=kind == "expired")
    ca = tls.make(tmp_path / "other").ca if kind == "other CA" else files.ca
    with Stub(cluster, tls=None if kind == "no TLS" else files) as stub:
        server = f"https://127.0.0.1:{stub.port}"
        found = gathered(str(stub.kubeconfig(tmp_path / "config", ca=ca, server=server)), IMPATIENT)
    lost(found)
    assert cluster.journal == []


@pytest.mark.parametrize(
    "server", ["http://api.cluster.invalid:6443", "http://127.0.0.1:{free}", "http://[::1]:{free}"]
)
def test_no_way_to_the_api_server(tmp_path, server):
    """No such name, or nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        free = listener.getsockname()[1]
    with Stub(Cluster()) as stub:
        path = stub.kubeconfig(tmp_path / "config", server=server.format(free=free))
    lost(gathered(str(path), IMPATIENT))


def lost(found):
    """All is a gap, and the verdict is that nothing can be said."""
    assert found.gaps
    assert any(gap.hint for gap in found.gaps if gap.source is SourceKind.KUBERNETES)
    assert all(BROKE not in gap.reason for gap in found.gaps)
    assert decided(found) is Decision.INCONCLUSIVE


# Prometheus: a real one, seen through a proxy that misbehaves.

STEPS = {"early": "values", "midway": "query", "late": "query_range"}
PROMETHEUS_WAYS = {
    "401": {"answer": Refusal(code=401, body=b"Unauthorized", content_type="text/plain")},
    "403": {"answer": Refusal(code=403, body=b"no tenant", content_type="text/plain")},
    "404": {"answer": Refusal(code=404, body=b"404 page not found", content_type="text/plain")},
    "400": {
        "answer": Refusal(code=400, body={"status": "error", "errorType": "bad_data", "error": "1:5: parse error"})
    },
    "422": {
        "answer": Refusal(code=422, body={"status": "error", "errorType": "execution", "error": "too many samples"})
    },
    "429": {"answer": Refusal(code=429, body=b"slow down", headers={"Retry-After": "1"}, content_type="text/plain")},
    "500": {"answer": Refusal(code=500, body=b"", content_type="text/plain")},
    "503": {"answer": Refusal(code=503, body={"status": "error", "errorType": "timeout", "error": "query timed out"})},
    "redirect": {"answer": Refusal(code=302, body=b"", headers={"Location": "http://sso.example/login"})},
    "html": {"answer": HTML},
    "not json": {"answer": Refusal(code=200, body=b'{"status": "success", "data": {"res')},
    "wrong shape": {"answer": Refusal(code=200, body={"status": "success", "data": 7})},
    "silence": {"share": 0.0, "then": "hang"},
    "hung": {"share": 0.5, "then": "hang"},
    "reset": {"share": 0.5, "then": "reset"},
    "cut early": {"share": 0.02, "then": "close"},
    "cut midway": {"share": 0.5, "then": "close"},
    "cut late": {"share": 0.98, "then": "close"},
}


@pytest.fixture(scope="module")
def measured(worlds, tmp_path_factory):
    """Return (proxy, sources of metrics by world) before a Prometheus with both worlds' requests."""
    folder, tsdb = tmp_path_factory.mktemp("prometheus"), Tsdb()
    pods = worlds["healthy"].clean.pods
    start = NOW.timestamp() - 1200
    for side, names in (("stable", pods.stable), ("canary", pods.canary)):
        for pod in names:
            chance = random.Random(pod)
            for status, rate in (("200", 2.0), ("500", 0.002)):
                total, samples = 0.0, []
                for step in range(81):
                    total += sum(chance.random() < rate / 4 for _ in range(60))
                    samples.append((start + 15 * step, total))
                tsdb.add("http_requests_total", {"namespace": "shop", "pod": pod, "status": status}, samples)
        assert side
    with prometheus(folder, tsdb=tsdb.write(folder)) as address, Proxy(address) as proxy:
        yield proxy


def source(address, **server):
    """Return Prometheus as a source of metrics, in a hurry."""

    async def sleep(_seconds):
        return None

    given = {"timeout_s": 0.5, "attempts": 1, **server}
    own = OwnQuery(name="own_errors", query='sum by (pod) (rate(http_requests_total{status="500"}[2m]))')
    return Prometheus(
        server=PrometheusServer(address=address, **given),
        wanted=Wanted(queries=(own,)),
        now=NOW.timestamp,
        sleep=sleep,
    )


def measure(world, address, **server):
    """Gather from a faultless cluster and the Prometheus at an address."""
    world.stub.cluster.fail()
    return gathered(world.config, PATIENT, source(address, **server))


@pytest.fixture(scope="module")
def clean(worlds, measured):
    """The evidence with metrics, without any fault."""
    measured.faults = ()
    return {name: measure(world, measured.url, timeout_s=10.0) for name, world in worlds.items()}


def test_metrics_are_there_without_a_fault(clean):
    """On both sides, by the preset and by the operator's own query."""
    metrics = clean["healthy"].metrics
    assert metrics.series.stable
    assert {one.name for one in metrics.series.canary} >= {"own_errors"}
    assert decided(clean["healthy"]) is Decision.PROMOTE
    assert decided(clean["harmful"]) is Decision.ROLLBACK


FAULTS = [(step, way) for step in STEPS for way in PROMETHEUS_WAYS]


@pytest.mark.parametrize(("step", "way"), FAULTS, ids=[f"{step}: {way}" for step, way in FAULTS])
def test_a_fault_of_prometheus(worlds, measured, clean, step, way):
    """When metrics are listed, when presets are probed, when series are read."""
    measured.faults = (Fault(resource=STEPS[step], **PROMETHEUS_WAYS[way]),)
    found = measure(worlds["healthy"], measured.url)
    told(found, clean["healthy"])


def told(found, clean):
    """As ``held``, for metrics; what Kubernetes said is untouched."""
    new = [gap for gap in found.gaps if gap not in clean.gaps]
    if found.metrics == clean.metrics:
        return  # the fault met a request that there is another way for
    assert new
    assert all(gap.source is SourceKind.METRICS for gap in new), new
    assert all(BROKE not in gap.reason for gap in found.gaps)
    assert any(gap.hint for gap in new), new
    if decided(found) is Decision.PROMOTE:
        assert decided(without(clean, SourceKind.METRICS)) is Decision.PROMOTE
    if found.metrics is None:
        assert decided(found, SourceKind.METRICS) is not Decision.PROMOTE


@pytest.mark.parametrize("what", ["warnings", "partial", "nan", "empty"])
def test_answers_that_are_less_than_they_seem(worlds, measured, clean, what):
    """Answers with warnings are told and dropped; numbers that are none are not taken for zero; nothing is no data."""
    measured.faults = ()

    def change(last, tree):
        if last == "values":
            return tree
        if what in ("warnings", "partial"):
            word = "1 store did not answer: partial response" if what == "partial" else "results may be incomplete"
            return tree | {"warnings": [word]}
        for one in tree["data"]["result"]:
            for key in ("value", "values"):
                if key in one and what == "nan":
                    pairs = one[key] if key == "values" else [one[key]]
                    one[key] = [[at, "NaN"] for at, _ in pairs] if key == "values" else [pairs[0][0], "NaN"]
        if what == "empty":
            tree["data"]["result"] = []
        return tree

    measured.change = change
    try:
        found = measure(worlds["healthy"], measured.url, timeout_s=10.0)
    finally:
        measured.change = None
    new = [gap for gap in found.gaps if gap not in clean["healthy"].gaps]
    assert any(gap.source is SourceKind.METRICS for gap in new)
    assert decided(found, SourceKind.METRICS) is not Decision.PROMOTE


@pytest.mark.parametrize("kind", ["refused", "DNS", "expired", "other host", "other CA", "no TLS"])
def test_no_way_to_prometheus(worlds, measured, clean, tmp_path, kind):
    """The rest is judged, and the gap says what to check."""
    measured.faults = ()
    hosts = ("metrics.example",) if kind == "other host" else ("127.0.0.1",)
    files = tls.make(tmp_path / "own", hosts=hosts, expired=kind == "expired")
    ca = tls.make(tmp_path / "other").ca if kind == "other CA" else files.ca
    with socket.socket() as listener, Proxy(measured.behind, tls=files) as secured:
        listener.bind(("127.0.0.1", 0))
        address = {
            "refused": f"http://127.0.0.1:{listener.getsockname()[1]}",
            "DNS": "http://prometheus.cluster.invalid:9090",
            "no TLS": measured.url.replace("http://", "https://"),
        }.get(kind, secured.url)
        found = measure(worlds["healthy"], address, ca_file=str(ca))
    assert found.metrics is None
    told(found, clean["healthy"])


# By the command: what a person sees.


@pytest.mark.parametrize(
    "fault",
    [
        Fault(answer=ANSWERS["401"]),
        Fault(resource="pods/log", answer=ANSWERS["403"]),
        Fault(resource="pods/log", share=0.5, then="reset"),
        Fault(answer=HTML),
        Fault(resource="pods", verb="list", answer=ANSWERS["wrong shape"]),
        Fault(resource="rollouts.argoproj.io", answer=ANSWERS["500"]),
    ],
    ids=["401", "403 of logs", "logs reset", "html", "wrong shape", "500"],
)
def test_the_command_tells_of_a_fault_in_its_report(run, live, fault):
    """Exit code 11 at worst, the gaps in the document, and no traceback anywhere."""
    served = live(failing)
    served.cluster.fail(fault)
    ran = run("explain", "checkout", "-o", "json", "--exit-code", *served.options)
    assert ran.code in (10, 11)
    assert "Traceback" not in ran.err
    gaps = json.loads(ran.out)["verdict"]["gaps"]
    assert any(gap["hint"] for gap in gaps if gap["source"] in ("kubernetes", "logs"))


VERBS = {
    ("get", "rollouts.argoproj.io"): "rollouts",
    ("list", "replicasets.apps"): "replicasets",
    ("list", "pods"): "pods",
    ("get", "pods/log"): "pods --subresource=log",
    ("list", "events"): "events",
    ("list", "pods.metrics.k8s.io"): "pods.metrics.k8s.io",
}


@pytest.mark.parametrize(("verb", "resource"), VERBS, ids=[f"{verb} {resource}" for verb, resource in VERBS])
def test_each_verb_that_is_taken_away_is_named_with_the_line_that_checks_it(worlds, verb, resource):
    """The gap tells who may not do what, and how to see it for oneself."""
    world = worlds["healthy"]
    world.stub.cluster.fail()
    world.stub.cluster.denied = {(verb, resource)}
    try:
        found = gathered(world.config, PATIENT)
    finally:
        world.stub.cluster.denied = set()
    gaps = [gap for gap in found.gaps if "(403)" in gap.reason]
    assert gaps
    for gap in gaps:
        assert f"may not {verb}" in gap.reason
        assert f"kubectl auth can-i {verb} {VERBS[verb, resource]}" in gap.hint
        assert "--as=system:serviceaccount:verdict:verdict" in gap.hint
    if decided(found) is Decision.PROMOTE:
        assert resource in ("events", "pods.metrics.k8s.io", "replicasets.apps")
