"""Thresholds of the metric judge. Every number is a choice with its reason; an operator may change any of them."""

from dataclasses import dataclass, field

from rollout_verdict.core.metrics.shift import Prior


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """The smallest shift worth a warning or a rollback, relative to stable (or in fractions), and in base units."""

    warn: float
    fail: float
    least: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricPolicy:
    """Thresholds of the metric judge. Relative shifts are fractions (0.3 is 30 %), p-values are one-sided."""

    # How sure a difference has to be
    fail_p: float = 0.01  # after Holm's correction: one needless rollback in a hundred healthy canaries, at most
    warn_p: float = 0.01  # uncorrected: a warning alone decides nothing
    severe_p: float = 0.005  # uncorrected: enough for a shift of the severe size, whose harm is beyond dispute
    interval_level: float = 0.95  # of the intervals that are shown

    # How much there has to be
    min_samples: int = 3  # on each side; two points show neither a spread nor a trend
    min_requests: float = 10.0  # below this a share or a quantile of requests is an anecdote
    min_coverage: float = 0.3  # a canary whose metrics cover less of the time than this lived too short
    blocks: int = 6  # blocks of time: enough to see a fault begin, few enough to be nearly independent
    warm_up_seconds: float = 30.0  # cold caches, pools and JIT; also the usual window of a rate
    settled_samples: int = 8  # the warm-up is only left out when this many samples remain

    # The yardstick before any data: how far healthy pods, and blocks of one pod, lie apart (log scale: 0.1 is 10 %)
    # ``weight`` is 8 where healthy pods of most services agree on the spread, and 4 where they do not.
    latency_prior: Prior = field(default_factory=lambda: Prior(between=0.05, within=0.15, weight=8.0))
    cpu_prior: Prior = field(default_factory=lambda: Prior(between=0.15, within=0.2, weight=4.0))
    level_prior: Prior = field(default_factory=lambda: Prior(between=0.2, within=0.3, weight=8.0))
    work_prior: Prior = field(default_factory=lambda: Prior(between=0.05, within=0.1, weight=8.0))
    fraction_prior: Prior = field(default_factory=lambda: Prior(between=0.03, within=0.05, weight=4.0))
    growth_prior: Prior = field(
        default_factory=lambda: Prior(between=0.05, within=0.02, weight=4.0)
    )  # young pods differ
    scatter_weight: float = 4.0  # imaginary stable pods whose failures scatter as chance has it

    tail_requests: float = 8.0  # requests beyond a quantile in a block at which its variance is twice a median's
    usual_requests: float = 100.0  # in a block, where no traffic metric tells

    # What is worth a warning and a rollback
    # users notice a quarter more waiting; below 2 ms nobody does
    latency_floor: Floor = field(default_factory=lambda: Floor(warn=0.15, fail=0.25, least=0.002))
    # twice the processor time halves what a node carries
    cpu_floor: Floor = field(default_factory=lambda: Floor(warn=0.5, fail=1.0))
    level_floor: Floor = field(default_factory=lambda: Floor(warn=0.5, fail=1.0))
    # one request in 200 is what usual availability objectives leave for a bad hour
    share_floor: Floor = field(default_factory=lambda: Floor(warn=0.002, fail=0.005))
    # callers make errors of their own, and in waves
    client_share_floor: Floor = field(default_factory=lambda: Floor(warn=0.01, fail=0.02))
    # points of a ratio whose base is not known: a cache is cold at first
    fraction_floor: Floor = field(default_factory=lambda: Floor(warn=0.1, fail=0.25))
    # work taken and not finished is lost or late
    work_floor: Floor = field(default_factory=lambda: Floor(warn=0.1, fail=0.2))
    # a feature may ask once more for each request, a loop asks many times
    demand_floor: Floor = field(default_factory=lambda: Floor(warn=0.5, fail=1.5))
    # of stable's level within one window: at that pace a pod is full within the hour
    growth_floor: Floor = field(default_factory=lambda: Floor(warn=0.1, fail=0.2))
    share_ratio: float = 1.5  # a failure share must also be this many times stable's
    partial_factor: float = 2.0  # a shift in a part of the window is worth a warning when it is so many times larger
    steady_share: float = 0.6  # of the steps must go up before growth is a trend
    severe_factor: float = 5.0  # stable's level again so many times: severe, and enough in a part of the window
    events_fail: float = 2.0  # one restart may be bad luck, two are a habit
    down_fail: float = 0.25  # share of time a settled pod may not be ready
    down_warn: float = 0.05  # and this share is worth a warning
    collapse_ratio: float = 0.2  # traffic that falls to this share of what it was, measured against stable's
    both_failing_share: float = 0.5  # when half of both sides' requests fail there is no healthy side to compare with

    # Smallest quantity that matters, added before logarithms are taken so that noise near zero stays small
    latency_grain: float = 0.001  # seconds
    cpu_grain: float = 0.001  # cores, or share of the limit times ten
    level_grain: float = 0.01  # share of the stable level
