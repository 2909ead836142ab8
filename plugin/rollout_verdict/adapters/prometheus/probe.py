"""Finding out what a server can feed: which presets it has series of, for which side, read and told apart how.

One request tells which metrics there are at all. One more a variant tells which way of telling the sides apart has
series on both, and a third which labels and histograms those have. Nothing is judged by what was not probed first.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

from rollout_verdict.adapters.prometheus import answers, shapes
from rollout_verdict.adapters.prometheus.catalogue import (
    Errors,
    Latency,
    Preset,
    Variant,
    Way,
    metrics_of,
    presets,
)
from rollout_verdict.adapters.prometheus.client import Client
from rollout_verdict.adapters.prometheus.placeholders import EmptyPlaceholderError, render, values
from rollout_verdict.adapters.prometheus.shapes import Form, Selection
from rollout_verdict.adapters.prometheus.trouble import Kind, TroubleError
from rollout_verdict.core.target import Scope
from rollout_verdict.core.values import Pair, Side

Values = dict[str, str]  # what placeholders stand for, on one side

SCRAPES = 4  # in the range of a rate: one may fail, and two are needed
_LEAST_SCRAPES = 2.2  # a range of just two scrapes misses one of them now and then
_POINTS = 300  # samples of a series at most (the API refuses more than 11,000)
_USUAL_STEP = 15  # seconds: no scrape is usually closer
_MOST_CLUSTERS = 1_000  # that are counted; there is one, or too many
_SHORT = 300  # seconds: a shorter window has steps of a twentieth, so that there are samples to judge


class Flag(StrEnum):
    """How good the data of a preset is."""

    OK = "ok"
    INSUFFICIENT = "insufficient"  # a side without series, too few requests, or too few scrapes
    ABSENT = "absent"  # no series at all
    NOT_SEPARABLE = "not-separable"  # there are series, but nothing tells the sides apart
    SATURATED = "saturated-bucket"  # a quantile is at the highest bound of its buckets
    DELAYED = "delayed"  # complete data is older than the canary


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The time that is looked at: unix seconds, half-open. ``last`` is the last time that is asked for."""

    start: float
    end: float

    @property
    def seconds(self) -> int:
        """Its length."""
        return int(self.end - self.start)

    @property
    def last(self) -> float:
        """A millisecond, Prometheus' grain, before the end, which does not belong to it."""
        return self.end - 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a preset is read on a server: which variant, told apart how, and what it has.

    ``interval_s`` is the time between two samples. ``top`` is the highest finite bound of the histogram in seconds,
    None where there is none. ``given`` are the metrics that the server has. ``clusters`` is how many values the label
    ``cluster`` has on the series of a side, by which one server tells several clusters apart.
    """

    preset: Preset
    variant: Variant
    way: Way
    total: bool
    interval_s: float
    given: frozenset[str]
    errors: Errors | None = None
    client_errors: Errors | None = None
    latency: Latency | None = None
    top: float | None = None
    clusters: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """What became of probing a preset. ``reading`` is set when there is a way to read it, even if too little."""

    preset: Preset
    flag: Flag
    reason: str = ""
    reading: Reading | None = None
    side: Side | None = None

    @property
    def about_pods(self) -> bool:
        """Whether it tells of pods and what they use, not of requests."""
        return self.reading is not None and self.reading.variant.reading == "gauge"


def step_s(window_s: int, interval_s: float) -> int:
    """Return the time between two samples that are asked for."""
    if window_s < _SHORT:
        return max(1, math.ceil(interval_s), window_s // 20)
    return max(_USUAL_STEP, math.ceil(window_s / _POINTS))


def form_of(reading: Reading, window_s: int) -> tuple[Form, int] | None:
    """Return how a reading is asked for in a window, with the step; None where the window holds too few samples."""
    step, period = step_s(window_s, reading.interval_s), reading.variant.period_s
    if reading.total:
        return (Form(total=True, rate_s=period, period_s=period), max(step, period)) if window_s >= 3 * period else None
    usual = max(math.ceil(SCRAPES * reading.interval_s), step)
    rate = max(min(usual, window_s // 3), math.ceil(_LEAST_SCRAPES * reading.interval_s))
    return (Form(total=False, rate_s=rate), step) if rate <= 0.75 * window_s else None


async def metrics_there(client: Client, span: Span, matchers: str = "") -> frozenset[str]:
    """Return which metrics of all presets a server has, whoever they are about. Raises TroubleError."""
    wanted = sorted({metric for preset in presets() for variant in preset.variants for metric in variant.metrics})
    inside = shapes.together(f'__name__=~"{"|".join(wanted)}"', matchers)
    match = f"{{{inside}}}"
    try:
        return await client.metric_names(match, span.start, span.last)
    except TroubleError as trouble:
        if trouble.kind not in _NAMES_REFUSED:
            raise
    answer = await client.query(f"count by (__name__) ({match})", span.last)
    return frozenset(labels.get("__name__", "") for labels, _ in client.read(answers.vector, answer))


_NAMES_REFUSED = frozenset(
    {Kind.NOT_FOUND, Kind.FORBIDDEN, Kind.BAD_QUERY, Kind.TOO_LONG, Kind.TOO_HEAVY, Kind.NO_JSON, Kind.GARBLED}
)


async def probe(
    client: Client, preset: Preset, scope: Scope, span: Span, given: frozenset[str], *, matchers: str = ""
) -> tuple[Probed, ...]:
    """Return what a preset can tell: its best variant, or all that are ok where it takes each. Raises TroubleError."""
    sides = Pair(stable=values(scope, Side.STABLE, matchers), canary=values(scope, Side.CANARY, matchers))
    found = [
        await _sides(client, preset, variant, sides, span, given=given)
        for variant in preset.variants
        if variant.counter in given
    ]
    good = [one for one in found if one.flag is Flag.OK]
    if preset.each and good:
        return tuple([await _detailed(client, one, sides, span) for one in good])
    if good:
        return (await _detailed(client, good[0], sides, span),)
    if not found:
        counters = sorted({variant.counter for variant in preset.variants})
        named = counters[0] if len(counters) == 1 else f"{counters[0]} or {len(counters) - 1} others"
        return (Probed(preset=preset, flag=Flag.ABSENT, reason=f"the server has no {named}"),)
    return (min(found, key=lambda one: _BEST.index(one.flag)),)


_BEST = (Flag.OK, Flag.INSUFFICIENT, Flag.NOT_SEPARABLE, Flag.ABSENT)


async def _sides(
    client: Client, preset: Preset, variant: Variant, sides: Pair[Values], span: Span, *, given: frozenset[str]
) -> Probed:
    """Find a way of telling the sides apart that has series on both."""
    ways = [(way, chosen) for way in variant.ways if (chosen := shapes.selections(way, sides))]
    marks = await _marks(client, [*_way_parts(variant, ways, span), *_any_parts(variant, sides.stable, span)], span)

    def reading(way: Way, scrapes: float) -> Reading:
        interval = span.seconds / max(1.0, scrapes)
        total = variant.reading == "total"
        return Reading(preset=preset, variant=variant, way=way, total=total, interval_s=interval, given=given)

    partly: Probed | None = None
    for index, (way, _) in enumerate(ways):
        there = {side: marks.get(f"{index} {side.value}", 0.0) for side in Side}
        scrapes = max(there.values())
        many = [
            f"{marks[key]:.0f} {way.unique}" for side in Side if marks.get(key := f"{index} {side.value} unique", 0) > 1
        ]
        if many:
            partly = partly or Probed(
                preset=preset, flag=Flag.NOT_SEPARABLE, reason=f"{many[0]} fit one side: which is whose?"
            )
        elif all(there.values()):
            return Probed(preset=preset, flag=Flag.OK, reading=reading(way, scrapes))
        elif scrapes and (partly is None or partly.flag is not Flag.INSUFFICIENT):
            missing = next(side for side in Side if not there[side])
            reason = f"there are no series of the {missing.value} side in the window ({variant.counter} by {way.name})"
            partly = Probed(
                preset=preset, flag=Flag.INSUFFICIENT, reason=reason, reading=reading(way, scrapes), side=missing
            )
    if partly:
        return partly
    if any(key.startswith("any") for key in marks):
        tried = ", ".join(way.name for way, _ in ways) or "nothing, as the rollout names nothing to tell them apart by"
        reason = f"{variant.counter} has series, but none that belong to one side (tried: {tried})"
        return Probed(preset=preset, flag=Flag.NOT_SEPARABLE, reason=reason)
    reason = f"{variant.counter} has no series of namespace {sides.stable['namespace']} in the window"
    return Probed(preset=preset, flag=Flag.ABSENT, reason=reason)


def _way_parts(variant: Variant, ways: list[tuple[Way, Pair[Selection]]], span: Span) -> list[str]:
    parts = []
    for index, (way, chosen) in enumerate(ways):
        for side in Side:
            vector = shapes.counted(variant.counter, chosen.of(side), span.seconds, variant.only)
            parts.append(shapes.marked(f"max({vector})", f"{index} {side.value}"))
            if way.unique:
                distinct = f"count(count by ({way.unique}) ({vector}))"
                parts.append(shapes.marked(distinct, f"{index} {side.value} unique"))
    return parts


def _any_parts(variant: Variant, given: dict[str, str], span: Span) -> list[str]:
    parts = []
    for index, template in enumerate(variant.any):
        try:
            matcher = render(template, given)
        except EmptyPlaceholderError:
            continue
        chosen = Selection(matchers=shapes.together(matcher, given["matchers"]))
        vector = shapes.counted(variant.counter, chosen, span.seconds, variant.only)
        parts.append(shapes.marked(f"max({vector})", f"any {index}"))
    return parts


async def _marks(client: Client, parts: list[str], span: Span) -> dict[str, float]:
    """Return the value of each part of a probing query that has one."""
    if not parts:
        return {}
    answer = await client.query(" or ".join(parts), span.last)
    return {labels.get(shapes.PROBE, ""): value for labels, value in client.read(answers.vector, answer)}


async def _detailed(client: Client, probed: Probed, sides: Pair[Values], span: Span) -> Probed:
    """Find out which labels and histograms the series have."""
    reading = probed.reading
    if reading is None or reading.variant.reading == "gauge":
        return probed
    chosen = shapes.selections(reading.way, sides)
    assert chosen is not None  # noqa: S101 -- the way was just used
    answer = await client.query(" or ".join(_detail_parts(reading, chosen, span)), span.last)
    found = [(labels.get(shapes.PROBE, ""), labels, value) for labels, value in client.read(answers.vector, answer)]
    marks = {mark: value for mark, _, value in found}
    variant = reading.variant
    total = reading.total
    if variant.reading == "either":  # a running total changes and never falls
        total = not (marks.get("changes", 0.0) > 0.0 and marks.get("resets", 0.0) == 0.0)
    latency = next((n for n, _ in enumerate(variant.latency) if f"latency {n}" in marks), None)
    bounds = [_bound(labels.get("le", "")) for mark, labels, _ in found if mark == f"latency {latency}"]
    chosen_latency = None if latency is None else variant.latency[latency]
    top = max((bound for bound in bounds if math.isfinite(bound)), default=None)
    return Probed(
        preset=probed.preset,
        flag=probed.flag,
        reading=Reading(
            preset=reading.preset,
            variant=variant,
            way=reading.way,
            total=total,
            interval_s=reading.interval_s,
            given=reading.given,
            errors=_present(variant.errors, "errors", marks, reading.given),
            client_errors=_present(variant.client_errors, "client", marks, reading.given),
            latency=chosen_latency,
            top=None if top is None or chosen_latency is None else top * chosen_latency.factor,
            clusters=max(int(min(marks.get(f"clusters {side.value}", 0.0), _MOST_CLUSTERS)) for side in Side),
        ),
    )


def _detail_parts(reading: Reading, chosen: Pair[Selection], span: Span) -> list[str]:
    variant, parts = reading.variant, []
    for name, options in (("errors", variant.errors), ("client", variant.client_errors)):
        for index, one in enumerate(options):
            if one.label:
                for side in Side:  # a version that renamed the label or its values would seem to have no failures
                    matchers = (variant.only, f'{one.label}=~"{one.values}"')
                    vector = shapes.counted(variant.counter, chosen.of(side), span.seconds, *matchers)
                    parts.append(shapes.marked(f"max({vector})", f"{name} {index} {side.value}"))
    for index, latency in enumerate(variant.latency):
        there = [metric for metric in metrics_of(latency) if metric in reading.given]
        if there and (latency.kind == "gauges" or len(there) == len(metrics_of(latency))):
            only = variant.only if latency.only is None else latency.only
            named = there if latency.kind == "gauges" else there[:1]
            vectors = " or ".join(shapes.counted(metric, chosen.canary, span.seconds, only) for metric in named)
            parts.append(shapes.marked(f"max by (le) ({vectors})", f"latency {index}"))
    if variant.reading == "either":
        for function in ("changes", "resets"):
            what = shapes.picked(variant.counter, chosen.stable.matchers, variant.only)
            parts.append(shapes.marked(f"max({function}({what}[{span.seconds}s]))", function))
    for side in Side:
        vector = shapes.counted(variant.counter, chosen.of(side), span.seconds, variant.only, 'cluster!=""')
        parts.append(shapes.marked(f"count(count by (cluster) ({vector}))", f"clusters {side.value}"))
    parts.append(
        shapes.marked(f"max({shapes.counted(variant.counter, chosen.canary, span.seconds, variant.only)})", "x")
    )
    return parts


def _present(options: tuple[Errors, ...], name: str, marks: dict[str, float], given: frozenset[str]) -> Errors | None:
    """Return the first definition of failures that the series of both sides can tell."""
    for index, one in enumerate(options):
        told = one.label and all(f"{name} {index} {side.value}" in marks for side in Side)
        if told or (not one.label and (not one.counter or one.counter in given)):
            return one
    return next((one for one in options if one.counter), None)  # not published while nothing fails


def _bound(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.inf
