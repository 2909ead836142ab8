"""Use of resources and health of the pods: cAdvisor, kube-state-metrics and the kubelet's probes."""

import pytest

from rollout_verdict.adapters.prometheus.options import OwnQuery, Wanted
from rollout_verdict.core.evidence import Direction
from rollout_verdict.core.metrics.judge import MetricPolicy, judge_metrics
from rollout_verdict.core.values import Decision, Side
from tests.adapters.prometheus.asking import collect, judged, mean, values
from tests.adapters.prometheus.kubernetes_series import ALIKE, BARE, CORES, MEMORY, WHOLE


@pytest.fixture(scope="module")
def found(families):
    return collect(families, WHOLE.scope(), "kubernetes")


def test_resources_by_pod(found):
    """Pods are told apart by name; the pod's own sum and the pause container do not count twice."""
    evidence, gaps = found
    assert gaps == ()
    for side in Side:
        assert set(values(evidence, "container_cpu_usage_cores", side)) == set(WHOLE.pods(side))
        assert mean(evidence, "container_cpu_usage_cores", side) == pytest.approx(CORES[side], rel=0.01)
        assert mean(evidence, "container_memory_working_set_bytes", side) == MEMORY[side]
        assert mean(evidence, "pod_memory_limit_bytes", side) == 512 * 2**20
    assert mean(evidence, "container_throttled_periods_ratio", Side.STABLE) == pytest.approx(0.1, rel=0.01)
    assert mean(evidence, "container_throttled_periods_ratio", Side.CANARY) == pytest.approx(0.4, rel=0.01)
    assert mean(evidence, "pod_unpassed_probes_ratio", Side.STABLE) == 0.0
    assert mean(evidence, "pod_unpassed_probes_ratio", Side.CANARY) == pytest.approx(0.5, rel=0.01)


def test_what_did_not_happen_is_zero(found):
    """Kills, failures to start and restarts have no series where there are none: they are zeros, not gaps."""
    evidence, _ = found
    for name in ("pod_restarts", "pod_oomkills", "pod_waiting_in_failure"):
        for row in values(evidence, name, Side.STABLE).values():
            assert set(row) == {0.0}
        (row,) = values(evidence, name, Side.CANARY).values()
        assert row[0] == 0.0
        assert max(row) == (3.0 if name == "pod_restarts" else 1.0)
    assert mean(evidence, "pod_ready", Side.CANARY) == 1.0


def test_the_judge_reads_them_as_what_they_are(found):
    """Restarts are a fact, growth of memory is asked for, and network is only shown."""
    evidence, _ = found
    checks = {check.name: check for check in judge_metrics(evidence, MetricPolicy()).checks}
    assert checks["pod_restarts"].severity == "fail"
    assert checks["pod_oomkills"].method == "count"
    assert checks["pod_oomkills"].outcome == "high"
    assert checks["pod_ready"].method == "share of time"
    assert checks["container_memory_working_set_bytes"].method == "growth"
    assert checks["container_network_receive_bytes_per_second"].severity == "info"


def test_pods_that_do_well_are_no_reason_to_promote(families):
    """A canary without a request, or whose requests nobody counts, has healthy pods, too."""
    evidence, gaps = collect(families, ALIKE.scope())
    assert "container_cpu_usage_cores" in {meta.name for meta in evidence.meta}
    assert judged(evidence, gaps, ALIKE.scope()).verdict.decision is Decision.INCONCLUSIVE


def test_pods_that_do_badly_are_a_reason_to_roll_back(found):
    """Kills and restarts are harm whether or not anybody counted the requests."""
    assert judged(*found, WHOLE.scope()).verdict.decision is Decision.ROLLBACK


def test_a_query_of_the_operator_says_what_it_is_worth(families):
    """Beside the preset's series, which cannot acquit, an own query still can."""
    query = 'sum by (pod) (container_memory_working_set_bytes{namespace="${namespace}",pod=~"${pods}"})'
    own = OwnQuery(name="memory_bytes", query=query, direction=Direction.HIGHER_IS_WORSE, unit="bytes")
    evidence, gaps = collect(families, ALIKE.scope(), wanted=Wanted(queries=(own,)))
    assert [meta.name for meta in evidence.meta if meta.acquits] == ["memory_bytes"]
    assert judged(evidence, gaps, ALIKE.scope()).verdict.decision is Decision.PROMOTE


def test_series_without_pods_are_not_separable(families):
    """Totals of a namespace are nobody's."""
    evidence, gaps = collect(families, BARE.scope(), "kubernetes")
    (gap,) = gaps
    assert gap.reason.startswith("not-separable: ")
    assert evidence is None
