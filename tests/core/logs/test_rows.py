"""Rows: patterns, reworded pairs and sums."""

from rollout_verdict.core.evidence import Level, LogKind
from rollout_verdict.core.logs.exposure import derive_exposure
from rollout_verdict.core.logs.policy import LogPolicy
from rollout_verdict.core.logs.rows import build_rows, is_error, stratum
from tests.core.log_builders import WINDOW, burst, logs, pattern, spread, untimed

POLICY = LogPolicy()


def rows_of(*patterns, policy=POLICY):
    evidence = logs(*patterns)
    rows, habit = build_rows(
        evidence, derive_exposure(evidence, None, WINDOW, policy, pods=evidence.pods.map(len)), policy
    )
    return {row.pattern.template: row for row in rows}, habit


def test_errors_by_level_trace_and_status():
    """Any of the three makes an error; a warning or a client error is of the second stratum."""
    assert is_error(pattern("x", (1,), (1,), level=Level.FATAL))
    assert is_error(pattern("x", (1,), (1,), kind=LogKind.TRACE))
    assert is_error(pattern("x", (1,), (1,), status="5xx,grpc:14"))
    assert stratum(pattern("x", (1,), (1,), level=Level.WARN)) == 1
    assert stratum(pattern("x", (1,), (1,), status="4xx")) == 1
    assert stratum(pattern("x", (1,), (1,))) == 2


def test_a_rewording_is_one_row():
    """Old and new wording are one row with the counts of both, under the new wording."""
    rows, _ = rows_of(
        pattern("order was shipped to customer", (90, 90), (0,)),
        pattern("order was shipped to the customer", (0, 0), (88,)),
    )
    row = rows["order was shipped to the customer"]
    assert row.old == "order was shipped to customer"
    assert (row.contrast.events.stable, row.contrast.events.canary) == (180, 88)
    assert "order was shipped to customer" not in rows


def test_one_wording_at_two_levels_stays_two():
    """A pattern is told apart by its level too: pairing one does not lose the other."""
    rows, _ = rows_of(
        pattern("order was shipped to customer", (90, 90), (0,)),
        pattern("order was shipped to the customer", (0, 0), (88,)),
        pattern("order was shipped to customer", (7, 7), (7,), level=Level.WARN),
    )
    assert rows["order was shipped to customer"].contrast.events.canary == 7


def test_sums_by_level_and_status():
    """Errors that shatter into many patterns add up; a sum of one pattern would say it twice."""
    rows, _ = rows_of(
        pattern("first failure", (0, 0), (4,), level=Level.ERROR),
        pattern("second failure", (1, 0), (4,), level=Level.ERROR),
        pattern("careful", (9, 9), (9,), level=Level.WARN),
    )
    assert rows["all errors and traces"].contrast.events.canary == 8
    assert len(rows["all errors and traces"].members) == 2
    assert "all warnings" not in rows


def test_untestable_rows_have_no_q():
    """Two events are never significant, so they do not use up the budget of others."""
    rows, _ = rows_of(pattern("seldom", (1, 0), (1,)), pattern("often", (90, 90), (90,)))
    assert rows["seldom"].q is None
    assert rows["often"].q is not None


def test_a_burst_of_the_only_canary_pod():
    """Sixty events in one moment are one; sixty over time are sixty."""
    _, apart = burst(60), spread(60)
    for row, certain in ((burst(60), False), (apart, True)):
        rows, _ = rows_of(
            pattern("bang", (0, 0), (60,), level=Level.ERROR, rows=((spread(0), spread(0)), (row,))),
            pattern("often", (90, 90), (90,)),
        )
        assert (rows["bang"].contrast.p < 0.001) is certain


def test_bursts_of_several_pods():
    """What comes in handfuls on stable counts as handfuls."""
    handfuls = tuple(10 if n % 4 == 0 else 0 for n in range(20)), tuple(10 if n % 4 == 2 else 0 for n in range(20))
    rows, _ = rows_of(pattern("batch", (50, 50), (50,), rows=(handfuls, (spread(50),))))
    assert rows["batch"].contrast.dispersion >= 10.0


def test_logs_without_times():
    """Without time buckets the pods alone tell of bursts."""
    rows, _ = rows_of(untimed(pattern("often", (90, 90), (90,))), untimed(pattern("more", (90, 90), (90,))))
    assert rows["often"].contrast.dispersion == 1.0


def test_fixed_workloads_sharpen():
    """Where stable pods agree to the letter, a new error of one event in each run counts."""
    steps = [pattern(f"step {chr(97 + n % 26)}{chr(97 + n // 26)}", (2, 2), (2,)) for n in range(60)]
    rows, habit = rows_of(*steps, pattern("boom", (0, 0), (1,), level=Level.ERROR))
    assert habit.least == POLICY.least_dispersion
    assert rows["boom"].contrast.dispersion < 1.0
    assert rows["step aa"].contrast.dispersion < 1.0
