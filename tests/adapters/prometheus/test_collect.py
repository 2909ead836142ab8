"""Choosing presets, own queries, and what an engine makes of the evidence; against a real Prometheus."""

import dataclasses

import pytest

from rollout_verdict.adapters.prometheus import catalogue
from rollout_verdict.adapters.prometheus.memory import Memory
from rollout_verdict.adapters.prometheus.options import OwnQuery, Wanted, matching
from rollout_verdict.core.evidence import Direction
from rollout_verdict.core.values import Decision, Severity, Side, SourceKind
from tests.adapters.prometheus import odd_series
from tests.adapters.prometheus.asking import collect, judged, mean, values
from tests.adapters.prometheus.conftest import world
from tests.adapters.prometheus.families import FAMILIES
from tests.adapters.prometheus.world import END, RATE, WINDOW_S

NGINX, APP, ALB, TRAEFIK = (
    next(one for one in FAMILIES if one.id == name) for name in ("nginx", "app-status", "alb", "traefik")
)


def of_metrics(result, *severities):
    findings = result.verdict.opinions[0].findings
    return [one for one in findings if one.source is SourceKind.METRICS and one.severity in severities]


@pytest.mark.parametrize("family", [NGINX, APP], ids=lambda family: family.id)
def test_a_canary_that_fails_is_rolled_back(families, family):
    """Eight per cent of failures against one: the metrics alone say rollback, and name the failures."""
    scope = world(family, "shop").scope(routers=(family.preset,))
    result = judged(*collect(families, scope), scope)
    assert result.verdict.decision is Decision.ROLLBACK
    assert any(f"{family.prefix}_error_ratio" in one.summary for one in of_metrics(result, Severity.FAIL))


@pytest.mark.parametrize("family", [NGINX, APP], ids=lambda family: family.id)
def test_a_canary_that_is_as_good_as_stable_is_promoted(families, family):
    """The same shares and durations on both sides: no finding, and a promotion."""
    scope = world(family, "fine").scope(routers=(family.preset,))
    result = judged(*collect(families, scope), scope)
    assert of_metrics(result, Severity.WARN, Severity.FAIL) == []
    assert result.verdict.decision is Decision.PROMOTE


@pytest.mark.parametrize("kind", ["thin", "lone", "same"])
@pytest.mark.parametrize("family", [NGINX, APP, TRAEFIK], ids=lambda family: family.id)
def test_a_preset_that_is_not_ok_neither_convicts_nor_acquits(families, family, kind):
    """Too few requests, one side only, or sides that nothing tells apart: the verdict stays open."""
    scope = world(family, kind).scope(routers=(family.preset,), blind=kind == "same" and family.blind)
    result = judged(*collect(families, scope), scope)
    assert result.verdict.decision is Decision.INCONCLUSIVE
    assert result.verdict.gaps


def test_the_rollouts_router_comes_first(families):
    """What the Rollout routes by is asked first; the first preset with data on both sides is the one."""
    scope = world(TRAEFIK, "shop").scope(routers=("traefik",))
    evidence, _ = collect(families, scope)
    assert {meta.name.partition("_")[0] for meta in evidence.meta} == {"traefik"}


def test_without_a_router_the_application_speaks(families):
    """No trafficRouting: mesh and application are tried in that order, with no gap about what nobody expects."""
    scope = world(APP, "shop").scope()
    evidence, gaps = collect(families, scope)
    assert "http_error_ratio" in {meta.name for meta in evidence.meta}
    assert gaps == ()


def test_a_router_without_series_is_told_of(families):
    """The Rollout routes by nginx, and Prometheus has nothing of it: the gap says so though the application speaks."""
    scope = world(APP, "shop").scope(routers=("nginx",))
    evidence, gaps = collect(families, scope)
    assert "http_error_ratio" in {meta.name for meta in evidence.meta}
    (gap,) = gaps
    assert gap.what == "metrics of preset nginx"
    assert gap.reason.startswith("absent: ")


def test_a_preset_that_does_not_exist_is_named(families):
    evidence, gaps = collect(families, world(APP, "shop").scope(), "ngnix")
    assert evidence is None
    (gap,) = gaps
    assert gap.what == "metrics of preset ngnix"
    assert "auto, nginx" in gap.hint


def test_late_data_is_asked_for_where_it_is_complete(families):
    """CloudWatch is ten minutes late: five minutes after its end, half of the window is there, and that half is used."""
    scope = world(ALB, "shop").scope(routers=("alb",))
    evidence, _ = collect(families, scope, "alb", now=END + 300)
    last = max(at for one in evidence.series.canary for at, _ in one.samples)
    assert END - WINDOW_S < last < END - 300
    assert mean(evidence, "alb_error_ratio", Side.CANARY) == pytest.approx(0.08, rel=0.05)


def test_a_canary_younger_than_the_delay_is_not_judged(families):
    """Just after the window nothing of it is complete: delayed, and the verdict stays open."""
    scope = world(ALB, "shop").scope(routers=("alb",))
    evidence, gaps = collect(families, scope, now=END)
    gap = next(gap for gap in gaps if gap.what == "metrics of preset alb")
    assert gap.reason.startswith("delayed: ")
    assert gap.hint
    assert judged(evidence, gaps, scope).verdict.decision is Decision.INCONCLUSIVE


OWN = 'sum by (pod) (rate(http_requests_total{namespace="${namespace}",pod=~"${pods}",status="500"}[${rate}]))'


def test_an_own_query_runs_for_each_side(families):
    """Placeholders are filled in side by side; the metric has the operator's name, unit and direction."""
    query = OwnQuery(name="five_hundreds", query=OWN, unit="errors_per_second", direction=Direction.HIGHER_IS_WORSE)
    scope = world(APP, "shop").scope()
    evidence, gaps = collect(families, scope, wanted=Wanted(presets=("app",), queries=(query,)))
    assert gaps == ()
    (meta,) = [meta for meta in evidence.meta if meta.name == "five_hundreds"]
    assert (meta.unit, meta.direction) == ("errors_per_second", Direction.HIGHER_IS_WORSE)
    assert mean(evidence, "five_hundreds", Side.STABLE, total=True) == pytest.approx(0.4, rel=0.02)
    assert mean(evidence, "five_hundreds", Side.CANARY, total=True) == pytest.approx(0.8, rel=0.02)


def test_an_own_query_without_a_side_is_dealt_out_by_pod(families):
    """One query for both sides: each series goes to the side whose pod it is about, others nowhere."""
    query = OwnQuery(name="rate", query="sum by (pod, namespace) (rate(http_requests_total[${rate}]))")
    there = world(APP, "shop")
    evidence, gaps = collect(families, there.scope(), wanted=Wanted(presets=("app",), queries=(query,)))
    assert gaps == ()
    for side in Side:
        assert set(values(evidence, "rate", side)) == set(there.pods(side))


def test_an_own_query_that_names_nobody_is_a_gap(families):
    query = OwnQuery(name="all", query="sum(rate(http_requests_total[${rate}]))")
    _, gaps = collect(families, world(APP, "shop").scope(), wanted=Wanted(presets=("app",), queries=(query,)))
    (gap,) = gaps
    assert gap.what == "metrics of query all"
    assert "${pods}" in gap.hint


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ('up{pod=~"${podz}"}', "${podz} is no placeholder"),
        ('up{service="${service}"}', "nothing is known to put in for ${service}"),
        ("rate(http_requests_total", "query refused: HTTP 400: bad_data"),
        ("sum by (pod) (http_requests_total) + on (job) http_requests_total", "query refused"),
    ],
)
def test_an_own_query_that_is_wrong_is_a_gap(families, query, told):
    """The gap names the query and says what is wrong with it; the presets speak nevertheless."""
    wanted = Wanted(presets=("app",), queries=(OwnQuery(name="mine", query=query),))
    evidence, gaps = collect(families, world(APP, "shop").scope(blind=True), wanted=wanted)
    gaps = [gap for gap in gaps if gap.what == "metrics of query mine"]
    assert told in gaps[0].reason
    assert gaps[0].hint
    assert "http_error_ratio" in {meta.name for meta in evidence.meta}


def test_what_was_found_out_is_remembered(families):
    """The second measurement asks for data only; after some minutes everything is probed again."""
    now = [0.0]
    memory, counts = Memory(clock=lambda: now[0]), []
    scope = world(NGINX, "shop").scope()

    def ask():
        before = _requests(families)
        evidence, _ = collect(families, scope, "nginx", memory=memory)
        counts.append(_requests(families) - before)
        return evidence

    first, second = ask(), ask()
    now[0] = 301.0
    third = ask()
    assert first == second == third
    assert counts[0] == counts[2] == counts[1] + 4  # names, two variants, details


def _requests(address):
    import httpx2

    text = httpx2.get(f"{address}/metrics", trust_env=False).text
    handlers = ("/api/v1/query", "/api/v1/query_range", "/api/v1/label/:name/values")
    return sum(
        float(line.rpartition(" ")[2])
        for line in text.splitlines()
        if line.startswith("prometheus_http_requests_total") and any(f'handler="{one}"' in line for one in handlers)
    )


def test_the_same_answers_make_the_same_evidence(families):
    """Requests run at the same time and end in any order; the evidence does not show it."""
    scope = world(NGINX, "shop").scope()
    assert collect(families, scope) == collect(families, scope)


def test_both_sides_are_asked_for_the_same_times(families):
    """The samples of both sides are at the same times, inside the half-open window."""
    evidence, _ = collect(families, world(NGINX, "shop").scope(), "nginx")
    times = {
        side: {at for one in evidence.series.of(side) if one.name == "nginx_error_ratio" for at, _ in one.samples}
        for side in Side
    }
    assert times[Side.STABLE] == times[Side.CANARY]
    assert min(times[Side.CANARY]) > END - WINDOW_S
    assert max(times[Side.CANARY]) < END


def test_the_query_stands_in_the_record(families):
    """For people who want to look for themselves: the canary's query is kept with each metric."""
    evidence, _ = collect(families, world(NGINX, "shop").scope(), "nginx")
    for meta in evidence.meta:
        assert "nginx_ingress_controller_" in meta.help


def test_other_presets_with_the_same_names_are_kept_apart(families):
    """Two presets asked for by name may call a metric the same: the later one gets the preset's name in front."""
    there = world(next(one for one in FAMILIES if one.id == "istio-hosts"), "shop")
    evidence, _ = collect(families, there.scope(), "istio", "gatewayapi-istio")
    names = {meta.name for meta in evidence.meta}
    assert {"istio_error_ratio", "gatewayapi_istio_istio_error_ratio"} <= names


def test_progress_is_told(families):
    """Every answered query is heard of, and the last one makes it whole."""
    heard = []
    scope = world(NGINX, "shop").scope()
    from rollout_verdict.adapters.prometheus.collect import Prometheus
    from rollout_verdict.adapters.prometheus.options import Server

    source = Prometheus(server=Server(address=families), wanted=Wanted(presets=("nginx",)))
    source.collect(scope, deadline_s=30.0, on_done=lambda done, total: heard.append((done, total)))
    assert heard[-1][0] == heard[-1][1] == len(heard)
    assert len(heard) > 10


def test_a_minimum_of_requests_may_be_set(families):
    """Who asks for more than there were gets no verdict; who is content with less gets one."""
    scope = world(NGINX, "thin").scope()
    wanted = Wanted(presets=("nginx",), min_requests=20)
    evidence, gaps = collect(families, scope, wanted=wanted)
    assert not [gap for gap in gaps if "insufficient" in gap.reason]
    assert "nginx_error_ratio" in {meta.name for meta in evidence.meta}
    evidence, gaps = collect(
        families,
        world(NGINX, "fine").scope(),
        wanted=dataclasses.replace(wanted, min_requests=10_000, min_failures=1_000),
    )
    assert gaps[0].reason.startswith("insufficient: ")


def test_few_requests_that_fail_convict(families):
    """A canary with too few requests to clear it is still convicted by enough failures among them."""
    scope = world(NGINX, "shop").scope()
    wanted = Wanted(presets=("nginx",), min_requests=1_000_000)
    evidence, gaps = collect(families, scope, wanted=wanted)
    assert gaps == ()
    assert judged(evidence, gaps, scope).verdict.decision is Decision.ROLLBACK


def test_a_counter_without_status_does_not_pass_as_free_of_failures(families):
    """No label tells failures: there is no ratio rather than one of zero, and the gap says what is missing."""
    evidence, gaps = collect(families, odd_series.NO_STATUS.scope(), "app")
    assert "http_error_ratio" not in {meta.name for meta in evidence.meta}
    (gap,) = [gap for gap in gaps if gap.what == "failures in the metrics of preset app"]
    assert "status, code, status_code" in gap.reason


def test_words_for_a_status_do_not_pass_as_free_of_failures(families):
    """``status="error"`` is no 5xx: no ratio of 0 where half of the canary's requests fail, but a gap and no promotion."""
    scope = odd_series.WORDS.scope()
    evidence, gaps = collect(families, scope)
    assert {meta.direction for meta in evidence.meta} == {Direction.NEUTRAL}
    (gap,) = [gap for gap in gaps if gap.what == "failures in the metrics of preset app"]
    assert "known values" in gap.reason
    assert judged(evidence, gaps, scope).verdict.decision is Decision.INCONCLUSIVE


def test_a_canary_beyond_the_highest_bound_is_told_of_and_judged(families):
    """Its quantiles are at least the highest bound, and stable's are not: that is harm, and the gap says how little."""
    scope = odd_series.SLOW.scope()
    evidence, gaps = collect(families, scope, "app")
    (gap,) = gaps
    assert gap.reason.startswith("saturated-bucket: ")
    assert gap.reason.endswith("1 s or more, on canary")
    assert mean(evidence, "http_request_duration_p99_seconds", Side.CANARY) == 1.0
    assert judged(evidence, gaps, scope).verdict.decision is Decision.ROLLBACK


def test_quantiles_beyond_the_highest_bound_on_both_sides_are_left_out(families):
    """Two values that may be anything above a bound are no sign that the sides are alike."""
    evidence, gaps = collect(families, odd_series.SLOWER.scope(), "app")
    (gap,) = gaps
    assert gap.reason.endswith("on stable and canary")
    assert not [meta.name for meta in evidence.meta if "duration" in meta.name]


def test_two_backends_that_fit_one_side_are_not_told_apart(families):
    """A loose match with several hits may have hit another team's backend."""
    evidence, gaps = collect(families, odd_series.TWICE.scope(), "gclb")
    (gap,) = gaps
    assert evidence is None
    assert gap.reason.startswith("not-separable: 2 backend_target_name fit one side")


def test_a_window_with_two_scrapes_is_too_short(families):
    evidence, gaps = collect(families, odd_series.RARE.scope(), "app")
    assert evidence is None
    assert any(gap.reason.startswith("insufficient: the window of 600 s holds about 2 samples") for gap in gaps)


def test_a_gateway_that_counts_all_together_is_not_separable(families):
    """NGINX Gateway Fabric has no series by service: said so, instead of nothing."""
    evidence, gaps = collect(families, world(APP, "shop").scope(), "gatewayapi-nginx")
    (gap,) = gaps
    assert evidence is None
    assert gap.reason.startswith("not-separable: ")
    assert "metrics of the application" in gap.hint


def test_what_is_remembered_and_no_longer_holds_is_told(families):
    """The rollout lost its services since the preset was probed: no query with holes in it, but a gap."""
    memory, there = Memory(clock=lambda: 0.0), world(TRAEFIK, "shop")
    collect(families, there.scope(), "traefik", memory=memory)
    evidence, gaps = collect(families, there.scope(blind=True), "traefik", memory=memory)
    assert evidence is None
    assert any(gap.reason.startswith("not-separable: the rollout no longer has") for gap in gaps)


def test_a_canary_that_renamed_the_label_of_the_status_is_not_free_of_failures(families):
    """The label that stable tells failures by is not on the canary's series: no ratio of 0, and a gap."""
    evidence, gaps = collect(families, odd_series.RENAMED.scope(), "app")
    assert "http_error_ratio" not in {meta.name for meta in evidence.meta}
    (gap,) = [gap for gap in gaps if gap.what == "failures in the metrics of preset app"]
    assert "on both sides" in gap.reason


def test_what_was_found_of_one_version_is_not_taken_for_the_next(families):
    """A rollout that went on to another canary a minute ago is probed anew: its series may have other labels."""
    memory = Memory(clock=lambda: 0.0)
    former, _ = collect(families, odd_series.BEFORE.scope(), "app", memory=memory)
    evidence, _ = collect(families, odd_series.RENAMED.scope(), "app", memory=memory)
    assert "http_error_ratio" in {meta.name for meta in former.meta}
    assert "http_error_ratio" not in {meta.name for meta in evidence.meta}


def test_a_service_whose_name_begins_alike_is_no_part_of_a_side(families):
    """checkout-admin beside checkout, which fails: neither its requests nor its failures are stable's."""
    evidence, _ = collect(families, odd_series.NEIGHBOURS.scope(), "traefik")
    for side in Side:
        assert mean(evidence, "traefik_requests_per_second", side) == pytest.approx(RATE.of(side), rel=0.02)
        assert mean(evidence, "traefik_error_ratio", side) == 0.0


def test_services_that_cannot_be_told_apart_by_name_are_not_separable(families):
    """A port with a name may be a part of the service's name: two services that fit one side are nobody's."""
    evidence, gaps = collect(families, odd_series.UNSURE.scope(), "traefik")
    assert evidence is None
    assert any(gap.reason.startswith("not-separable: 2 service fit one side") for gap in gaps)


def test_series_of_several_clusters_are_told(families):
    """The same pods in each: nothing else shows that half of what is added up is another cluster's."""
    evidence, gaps = collect(families, odd_series.CLUSTERS.scope(), "app")
    assert mean(evidence, "http_error_ratio", Side.CANARY) == pytest.approx(0.5, rel=0.02)
    (gap,) = [gap for gap in gaps if gap.what == "one cluster in the metrics of preset app"]
    assert "2 values of the label cluster" in gap.reason
    assert "prometheus.matchers" in gap.hint


@pytest.mark.parametrize(("cluster", "failing"), [(odd_series.HERE, 0.0), (odd_series.THERE, 1.0)])
@pytest.mark.parametrize("presets", [("app",), ()])
def test_matchers_take_the_series_of_one_cluster(families, presets, cluster, failing):
    """Presets by their probes, and own queries by the placeholder; of several clusters nothing is remembered."""
    memory = Memory()
    collect(families, odd_series.CLUSTERS.scope(), *presets, memory=memory)
    query = OwnQuery(name="mine", query='sum by (pod) (rate(http_requests_total{${matchers},pod=~"${pods}"}[${rate}]))')
    wanted = Wanted(presets=presets, queries=(query,), matchers=(("cluster", cluster),))
    evidence, gaps = collect(families, odd_series.CLUSTERS.scope(), wanted=wanted, memory=memory)
    assert [gap for gap in gaps if "cluster" in gap.what] == []
    for side in Side:
        pods = len(odd_series.CLUSTERS.pods(side))
        assert mean(evidence, "http_error_ratio", side) == failing
        assert mean(evidence, "mine", side, total=True) == pytest.approx(pods * RATE.of(side), rel=0.02)


def test_a_cluster_without_series_is_absent(families):
    """The same server, another name: there is nothing, rather than everybody's."""
    wanted = Wanted(presets=("app",), matchers=(("cluster", "ap-1"),))
    evidence, gaps = collect(families, odd_series.CLUSTERS.scope(), wanted=wanted)
    assert evidence is None
    assert [gap.reason.partition(":")[0] for gap in gaps] == ["absent"]


def test_a_query_that_wants_matchers_where_there_are_none_is_a_gap(families):
    query = OwnQuery(name="mine", query="sum by (pod) (rate(http_requests_total{${matchers}}[${rate}]))")
    _, gaps = collect(families, world(APP, "shop").scope(), wanted=Wanted(presets=("app",), queries=(query,)))
    assert [gap.reason for gap in gaps if gap.what == "metrics of query mine"] == [
        "nothing is known to put in for ${matchers}"
    ]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.id)
def test_every_preset_asks_by_the_matchers(families, family):
    """Its own series are there, of no such cluster: not one query of the probe may take them."""
    matchers, memory = (("cluster", "ap-1"),), Memory()
    known = {metric for preset in catalogue.presets() for one in preset.variants for metric in one.metrics}
    memory.keep_names(f"{families} {matching(matchers)}", frozenset(known))  # as if that cluster had all metrics
    wanted = Wanted(presets=(family.preset,), matchers=matchers)
    evidence, gaps = collect(families, world(family, "shop").scope(), wanted=wanted, memory=memory)
    assert evidence is None
    assert [gap.reason.partition(":")[0] for gap in gaps if "preset" in gap.what] == ["absent"]
