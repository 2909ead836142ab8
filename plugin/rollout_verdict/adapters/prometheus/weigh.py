"""What the answers are worth: evidence, without what would seem to say more than it can. Pure."""

from dataclasses import dataclass, replace
from functools import partial

from rollout_verdict.adapters.prometheus import own, report
from rollout_verdict.adapters.prometheus.options import OwnQuery, Wanted
from rollout_verdict.adapters.prometheus.probe import Flag, Probed, Reading, Span
from rollout_verdict.adapters.prometheus.shapes import Ask, Selection
from rollout_verdict.core.evidence import Direction, MetricMeta, MetricSeries
from rollout_verdict.core.values import Gap, Pair, Side

HELP_LENGTH = 2000  # of a query in the record
_AT_TOP = 0.999  # of the highest bound: an interpolated quantile reaches it up to rounding

Series = tuple[MetricSeries, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is asked for a preset: quantities at the times from ``start`` on, and how many requests there were."""

    probed: Probed
    reading: Reading
    chosen: Pair[Selection]
    asks: tuple[Ask, ...]
    span: Span
    start: float
    step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What came of a plan: series by quantity, and requests and failures by side, None where not known."""

    plan: Plan
    series: dict[str, Pair[Series]]
    requests: Pair[float | None]
    failures: Pair[float | None]


def weighed(
    found: list[Found], told: list[tuple[OwnQuery, Pair[Series]]], *, wanted: Wanted, late: bool
) -> tuple[Pair[Series], list[MetricMeta], list[Gap]]:
    """Return series, what they are, and gaps.

    ``told`` is what the operator's own queries gave, which stands as it is. ``late`` says that a preset has data that
    is not complete yet.
    """
    gaps = [gap for one in found if one.plan.probed.flag is Flag.OK for gap in _lacking(one)]
    short = {place: gap for place, one in enumerate(found) if (gap := _too_few(one, wanted)) is not None}
    gaps += [gap for gap in short.values() if gap not in gaps and gap is not _TOLD]
    about_requests = [place for place, one in enumerate(found) if not one.plan.probed.about_pods]
    good = [place for place in about_requests if place not in short]
    held = not good and (bool(about_requests) or late)
    series = [pair for _, pair in told]
    metas = {query.name: own.meta(query) for query, _ in told}
    for place, one in enumerate(found):
        if good and place in short:
            continue  # another preset knows better
        saturated, useless = _saturation(one)
        gaps += saturated
        for ask in one.plan.asks:
            pair = one.series[ask.name]
            # With too few requests only their number is told: neither failures nor resources say anything yet.
            if (held and ask.direction is not Direction.NEUTRAL) or ask.name in useless:
                continue
            if not (pair.stable or pair.canary):
                continue
            name = ask.name
            if name in metas:
                name = f"{one.plan.probed.preset.name.replace('-', '_')}_{name}"
            series.append(pair.map(partial(_renamed, name=name)))
            metas[name] = MetricMeta(
                name=name,
                unit=ask.unit,
                direction=ask.direction,
                help=_help(one.plan, ask),
                acquits=not one.plan.probed.about_pods,
            )
    whole = Pair(
        stable=tuple(one for pair in series for one in pair.stable),
        canary=tuple(one for pair in series for one in pair.canary),
    )
    return whole, list(metas.values()), gaps


_TOLD = report.gap("", "")  # stands for a gap that somebody else has told of


def _too_few(found: Found, wanted: Wanted) -> Gap | None:
    """Return why there are too few requests to judge by, None when there are enough, or enough that failed."""
    probed = found.plan.probed
    if probed.about_pods:
        return None
    if probed.flag is Flag.INSUFFICIENT:
        return _TOLD
    failed = found.failures.canary or 0.0
    for side in (Side.CANARY, Side.STABLE):
        served = found.requests.of(side)
        if served is None:
            return _TOLD  # by the request that failed
        if served < wanted.min_requests and failed < wanted.min_failures:
            reason = (
                f"{served:.0f} requests on the {side.value} side in {found.plan.span.seconds} s, "
                f"{wanted.min_requests} are needed"
            )
            return report.of_preset(replace(probed, flag=Flag.INSUFFICIENT, reason=reason, side=side))
    return None


def _lacking(found: Found) -> list[Gap]:
    """Return what a preset that is ok cannot tell here."""
    preset, reading = found.plan.probed.preset, found.plan.reading
    gaps = []
    if preset.note:
        gaps.append(report.gap(f"part of the {report.what(preset)}", preset.note))
    if reading.clusters > 1:
        reason = f"its series carry {reading.clusters} values of the label cluster: others may be another cluster's"
        gaps.append(report.gap(f"one cluster in the {report.what(preset)}", reason, _ONE_CLUSTER))
    if reading.errors is None and reading.variant.errors:
        labels = ", ".join(one.label for one in reading.variant.errors)
        reason = f"its series have none of the labels that tell failures ({labels}) with known values on both sides"
        gaps.append(report.gap(f"failures in the {report.what(preset)}", reason, _NO_STATUS))
    if reading.latency is None and reading.variant.latency:
        reason = "there are no series of durations for this rollout"
        gaps.append(report.gap(f"durations in the {report.what(preset)}", reason, _NO_LATENCY))
    return gaps


_ONE_CLUSTER = "name yours by prometheus.matchers or ROLLOUT_VERDICT_PROMETHEUS_MATCHERS, as in cluster: eu-1"
_NO_STATUS = "put the status code of the answer on the counter of requests"
_NO_LATENCY = "switch on the histogram of durations"


def _saturation(found: Found) -> tuple[list[Gap], frozenset[str]]:
    """Return gaps for quantiles at the highest bound of their buckets, and those that are so on both sides."""
    top = found.plan.reading.top
    full: dict[tuple[Side, ...], list[str]] = {}
    for ask in found.plan.asks:
        if ask.bounded and top is not None:
            sides = tuple(side for side in Side if _share_at(found.series[ask.name].of(side), top) > 0.5)
            full.setdefault(sides, []).append(ask.name)
    full.pop((), None)
    gaps = []
    for sides, names in full.items():
        where = " and ".join(side.value for side in sides)
        reason = f"{', '.join(names)} at the highest bound, {top:g} s or more, on {where}"
        gaps.append(report.of_preset(replace(found.plan.probed, flag=Flag.SATURATED, reason=reason)))
    return gaps, frozenset(full.get(tuple(Side), ()))


def _share_at(series: Series, top: float) -> float:
    """Return the share of samples that are at a bound."""
    every = [value for one in series for _, value in one.samples]
    return sum(value >= _AT_TOP * top for value in every) / len(every) if every else 0.0


def _renamed(series: Series, *, name: str) -> Series:
    return tuple(replace(one, name=name) for one in series)


def _help(plan: Plan, ask: Ask) -> str:
    text = f"{plan.probed.preset.title}, sides by {plan.reading.way.name}: {ask.queries.canary}"
    return text if len(text) <= HELP_LENGTH else text[: HELP_LENGTH - 1] + "…"
