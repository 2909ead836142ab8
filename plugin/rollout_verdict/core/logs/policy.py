"""Thresholds of the log judge. Every number is a choice with its reason; an operator may change any of them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPolicy:
    """Thresholds of the log judge. Shares are fractions 0..1, ratios are canary / stable per unit of exposure."""

    # How sure a difference has to be
    false_discovery_rate: float = 0.01  # Benjamini-Hochberg among errors: 1 % of what is reported may be chance
    calm_discovery_rate: float = 0.001  # for all else, fewer errors included: it is much and moves with the traffic
    interval_level: float = 0.95  # of the interval of the rate ratio that has to clear a floor
    error_ratio_floor: float = 1.2  # errors are worth naming even when they rise by a fifth
    ratio_floor: float = 1.5  # other messages vary with the mix of requests
    least_dispersion: float = 0.1  # a fixed workload sharpens the test at most so far: a line may count for ten
    min_regular: int = 30  # kinds of rare message that have to agree before a workload is taken as fixed
    max_regularity: float = 0.67  # of chance's variation: above it, alike pods may be luck, as lines come in groups
    dispersion_prior: float = 0.5  # pods' worth of trust in the typical spread; two pods alone tell little about it

    # How much there has to be
    min_events: int = 20  # a side with fewer events says nothing about what is usual
    min_requests: float = 5.0  # by the traffic metric: the canary has to have done something
    min_coverage: float = 0.5  # a pod that logged for less of the window than this lived too short to be judged
    min_new_events: int = 5  # a message seen less often may be chance whatever the arithmetic says
    min_new_pods: int = 2  # one pod may be a bad node, where there are several
    steady_share: float = 0.5  # of the time buckets: an error that only one canary pod knows, but all the time, is told
    load_ratio: float = 2.0  # everyday events per pod-second differ by more only when the traffic is split unevenly
    min_everyday_events: int = 30  # on each side, to scale the sides by what all pods do
    min_traffic_coverage: float = 0.6  # a traffic metric must cover this much of the log window to be divided by

    # What is worth rolling back
    failure_share: float = 0.01  # failures told below ERROR count once they touch this share of requests
    error_share: float = 0.002  # errors rarer than this, per unit of work, are listed, not acted upon
    both_failing_share: float = 0.5  # when half of both sides' events are failures there is no healthy side
    told_failures: int = 10  # a failure told at INFO: words are weak evidence, so more of them
    vanished_events: float = 10.0  # expected events (deflated) of a step that never happens before it is missed
    missing_share: float = 0.1  # of the regular steps that the canary never takes: its run was cut short
    min_missing: int = 5  # so many steps at least
    flow_apart: float = 0.1  # steps that go together differ by less than a tenth of what independent ones would
    flow_slack: float = 0.05  # of the begun may stay open on stable: rejections, cuts at the edges of the window
    flow_loss: float = 0.1  # of the work begun and not ended is worth a rollback
    flow_alpha: float = 1e-4  # p-value of a broken pair: many pairs are looked at
    min_flow_events: int = 12  # of the begin, on each side
    min_flow_cells: int = 8  # pods x time buckets with either step, or going together may be chance
    max_flow_steps: int = 80  # the most frequent ones: pairs grow with the square

    # Which messages are one message
    reword_similarity: float = 0.7  # Jaccard index of the words of an old and a new wording
    max_reworded: int = 500  # of each side, the most frequent: pairs grow with the product of both
    family_size: int = 4  # so many messages of one logger moving together are told as one story

    def alpha(self, stratum: int) -> float:
        """Return the false discovery rate of a stratum: 0 errors, 1 warnings, 2 the rest."""
        return self.calm_discovery_rate if stratum else self.false_discovery_rate
