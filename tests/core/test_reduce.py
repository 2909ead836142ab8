"""The contract of log reduction: any implementation of the hot pass must keep these."""

from rollout_verdict.core.evidence import Level
from rollout_verdict.core.reduce import reduce_logs
from rollout_verdict.core.values import Side


def test_counts_by_wording_pod_and_side():
    """Lines that differ in their digits alone are one pattern, counted for each pod."""
    evidence = reduce_logs(
        [
            (Side.CANARY, "c1", "app", [b"INFO order 12 shipped\nERROR order 13 failed\n"]),
            (Side.STABLE, "s1", "app", [b"INFO order 1 shipped\nINFO order 2 shipped\n"]),
        ]
    )
    assert [(p.template, p.level, p.counts.stable, p.counts.canary) for p in evidence.patterns] == [
        ("order <*> failed", Level.ERROR, (0,), (1,)),
        ("order <*> shipped", Level.INFO, (2,), (1,)),
    ]
