"""Asks a server in a test, with no wall clock in what is asked."""

from rollout_verdict.adapters.prometheus.collect import Prometheus
from rollout_verdict.adapters.prometheus.options import Server, Wanted
from rollout_verdict.core.evidence import Evidence
from rollout_verdict.core.policy import Policy
from rollout_verdict.core.redaction.redact import Redactor
from rollout_verdict.core.values import Pair, Side
from rollout_verdict.engine import judge
from tests.adapters.prometheus.world import END


def collect(address, scope, *presets, wanted=None, server=None, now=END + 3600, **more):
    source = Prometheus(
        server=server or Server(address=address),
        wanted=wanted or Wanted(presets=presets),
        now=lambda: now,
        **more,
    )
    return source.collect(scope, deadline_s=30.0, on_done=lambda _done, _total: None)


def judged(evidence, gaps, scope):
    """What an engine makes of metrics alone."""
    both = Pair(stable=Side.STABLE, canary=Side.CANARY)
    whole = Evidence(
        rollout=scope.rollout, window=scope.window, pods=both.map(scope.pods.of), metrics=evidence, gaps=gaps
    )
    return judge(whole, Policy(), None, Redactor())


def values(evidence, name, side: Side):
    """All samples of a metric on a side, by pod."""
    return {one.pod: [value for _, value in one.samples] for one in evidence.series.of(side) if one.name == name}


def mean(evidence, name, side: Side, *, total=False):
    rows = values(evidence, name, side)
    means = [sum(row) / len(row) for row in rows.values() if row]
    return sum(means) if total else sum(means) / len(means)
