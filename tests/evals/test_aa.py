"""The gate on false alarms: identical sides must not differ.

120 of the 300 comparisons of ``python -m tests.evals.aa``, with a fixed seed, so that it takes seconds.
"""

import random

from rollout_verdict.core.values import Pair
from tests.evals.aa import BLOCKS, INJECTED, blocks_of, deal, dealt, power, shares

COMPARISONS = 120


def test_dealing_loses_nothing(shared):
    """Every event of the log is dealt to exactly one pod, in its time."""
    blocks = blocks_of(shared / "log-templates" / "Apache.tsv.gz", 25)
    logs = deal(blocks, Pair(stable=3, canary=2), random.Random(7))
    dealt_events = sum(pod.events for side in (logs.pods.stable, logs.pods.canary) for pod in side)
    assert dealt_events == sum(blocks.events)
    for pattern, counts in zip(logs.patterns, blocks.counts, strict=True):
        assert sum(pattern.counts.stable) + sum(pattern.counts.canary) == sum(counts)
        assert pattern.counts.map(sum) == pattern.buckets.map(lambda pods: sum(map(sum, pods)))


def test_identical_sides_hardly_ever_differ(shared):
    """At most 3 % of comparisons show a significant change and at most 1 % roll back; of 120 that is three and one."""
    significant, rollback = shares(list(dealt(shared, COMPARISONS)))
    assert significant <= 0.03
    assert rollback <= 0.01


def test_injected_errors_are_found(shared):
    """The gate is not held by blindness: most of what is put in is found, over all block lengths."""
    found = power(shared, 24)
    mean = {name: sum(found[name, length] for length in BLOCKS) / len(BLOCKS) for name in INJECTED}
    assert mean["new x30"] >= 0.75
    assert mean["50 -> 200"] >= 0.9
