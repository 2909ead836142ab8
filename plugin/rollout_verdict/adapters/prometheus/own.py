"""The operator's own queries: for each side where they say so, else once, with series dealt out by label."""

import re
from dataclasses import dataclass

from rollout_verdict.adapters.prometheus import placeholders
from rollout_verdict.adapters.prometheus.options import OwnQuery
from rollout_verdict.core.evidence import MetricMeta, MetricSeries
from rollout_verdict.core.metrics.series import infer_meta
from rollout_verdict.core.target import Scope
from rollout_verdict.core.values import Pair, Side

_HASHES = (
    "rollouts_pod_template_hash",
    "label_rollouts_pod_template_hash",
    "k8s_pod_label_rollouts_pod_template_hash",
    "pod_template_hash",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A query ready to be asked: for one side, or for both with ``side`` None.

    The first time that is asked for is ``offset_s`` into the window, so that a rate does not look before its start.
    """

    own: OwnQuery
    side: Side | None
    text: str
    offset_s: int
    step_s: int


def questions(own: OwnQuery, scope: Scope, *, rate_s: int, step_s: int, matchers: str = "") -> tuple[Question, ...]:
    """Return what to ask. Raises ValueError for a placeholder that is unknown or has nothing to put in."""
    placeholders.check(own.query)
    times = {"rate": f"{rate_s}s", "step": f"{step_s}s"}
    named = placeholders.used(own.query)
    offset = rate_s if "rate" in named else step_s
    sides: tuple[Side | None, ...] = tuple(Side) if named & placeholders.SIDED else (None,)
    return tuple(
        Question(
            own=own,
            side=side,
            text=placeholders.render(own.query, {**placeholders.values(scope, side or Side.STABLE, matchers), **times}),
            offset_s=offset,
            step_s=step_s,
        )
        for side in sides
    )


def meta(own: OwnQuery) -> MetricMeta:
    """Return what the operator said of the metric; a unit that was not given is told by its name."""
    return MetricMeta(
        name=own.name, unit=own.unit or infer_meta(own.name).unit, direction=own.direction, help=own.query
    )


def side_of(labels: dict[str, str], series: MetricSeries, scope: Scope) -> Side | None:
    """Return whose series it is by its pod or its template hash, None when it is neither's."""
    hashes = {labels[name] for name in _HASHES if labels.get(name)}
    sides = Pair(stable=placeholders.values(scope, Side.STABLE), canary=placeholders.values(scope, Side.CANARY))
    for side in Side:
        told = sides.of(side)
        if (hashes and told["hash"] in hashes) or (series.pod and _matches(told["pods"], series.pod)):
            return side
    return None


def _matches(pattern: str, pod: str) -> bool:
    return bool(pattern) and re.fullmatch(pattern, pod) is not None
