"""PromQL texts: the few shapes that every preset fills with names, selectors and a unit factor. Pure.

Zero failures is usually an absent series, so a numerator is completed with zeros wherever there is a denominator, and
only there; where there were no requests there is no ratio, rather than a 0 or a NaN.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from rollout_verdict.adapters.prometheus.catalogue import Errors, Extra, Latency, Variant, Way
from rollout_verdict.adapters.prometheus.placeholders import EmptyPlaceholderError, render
from rollout_verdict.core.evidence import Direction
from rollout_verdict.core.values import Pair, Side

QUANTILES = (0.5, 0.95, 0.99)
PROBE = "probe"  # label that tells the parts of one probing query apart

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*", re.ASCII)
_MAY_BE_EMPTY = frozenset({"longer_service"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """One side, picked in one way: matchers, what the series are joined with ("" for nothing), label of the pod."""

    matchers: str
    join: str = ""
    by: str = ""

    @property
    def grouping(self) -> str:
        """The grouping of an aggregation, "" for the whole side."""
        return f" by ({self.by})" if self.by else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A quantity to ask for: what it is called in the report, and its query on each side."""

    name: str
    unit: str
    direction: Direction
    queries: Pair[str]
    by: str = ""
    bounded: bool = False  # whether it is a quantile out of buckets, so that it stops at the highest finite bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How the samples of a variant are read: as running totals, or as what came in during ``period_s``."""

    total: bool
    rate_s: int
    period_s: int = 60


def selection(way: Way, side: Side, values: dict[str, str]) -> Selection | None:
    """Return how a way picks a side, None where the rollout lacks what the way needs."""
    template = way.match or (way.canary if side is Side.CANARY else way.stable)
    try:
        always = values["matchers"]
        match = together(render(template, values, may_be_empty=_MAY_BE_EMPTY), always)
        if not way.join:
            return Selection(matchers=match, by=way.by)
        return Selection(matchers=always, join=render(way.join, {**values, "match": match}), by=way.by)
    except EmptyPlaceholderError:
        return None


def selections(way: Way, values: Pair[dict[str, str]]) -> Pair[Selection] | None:
    """Return how a way picks both sides, None where it cannot, or cannot tell them apart."""
    stable, canary = (selection(way, side, values.of(side)) for side in Side)
    if stable is None or canary is None or stable == canary:
        return None
    return Pair(stable=stable, canary=canary)


def together(*matchers: str) -> str:
    """Return matchers that must all hold."""
    return ",".join(part for part in matchers if part)


def picked(metric: str, *matchers: str) -> str:
    """Return a selector."""
    inside = together(*matchers)
    if _NAME.fullmatch(metric):
        return f"{metric}{{{inside}}}" if inside else metric
    return f'{{__name__="{metric}"{"," if inside else ""}{inside}}}'


def counted(metric: str, chosen: Selection, window_s: int, *matchers: str) -> str:
    """Return how many samples each series of a metric has in the window."""
    return _joined(f"count_over_time({picked(metric, chosen.matchers, *matchers)}[{window_s}s])", chosen)


def flow(metric: str, chosen: Selection, form: Form, *matchers: str) -> str:
    """Return a metric's increase a second."""
    what = picked(metric, chosen.matchers, *matchers)
    return _joined(f"{what} / {form.period_s}" if form.total else f"rate({what}[{form.rate_s}s])", chosen)


def traffic(variant: Variant, chosen: Selection, form: Form) -> str:
    """Return requests a second."""
    return f"sum{chosen.grouping} ({flow(variant.counter, chosen, form, variant.only)})"


def failures(variant: Variant, chosen: Selection, form: Form, errors: Errors) -> str:
    """Return failed requests a second, 0 where there were requests without failures."""
    metric = errors.counter or variant.counter
    parts = " or ".join(flow(metric, chosen, form, variant.only, match) for match in errors.match)
    return f"(sum{chosen.grouping} ({parts}) or 0 * {traffic(variant, chosen, form)})"


def ratio(variant: Variant, chosen: Selection, form: Form, errors: Errors) -> str:
    """Return failed requests as a share of all, nothing where there were none."""
    return f"{failures(variant, chosen, form, errors)} / ({traffic(variant, chosen, form)} > 0)"


def served(variant: Variant, chosen: Selection, window_s: int, *, total: bool, errors: Errors | None = None) -> str:
    """Return the number of requests, or of failed ones, in the window."""
    metric = (errors.counter if errors else "") or variant.counter

    def part(match: str) -> str:
        what = picked(metric, chosen.matchers, variant.only, match)
        if total:
            return _joined(f"sum_over_time({what}[{window_s}s:{variant.period_s}s])", chosen)
        return _joined(f"increase({what}[{window_s}s])", chosen)

    return f"sum({' or '.join(part(match) for match in (errors.match if errors else ('',)))})"


def asks(variant: Variant, chosen: Pair[Selection], form: Form, there: "There") -> tuple[Ask, ...]:
    """Return everything that a variant can tell, given what was found to be there."""
    told = list(_requests(variant, form, there))
    if there.latency:
        only = variant.only if there.latency.only is None else there.latency.only
        told += _DURATIONS[there.latency.kind](_Durations(latency=there.latency, form=form, only=only), there.given)
    told += [
        _Told(
            name=extra.name,
            unit=extra.unit,
            direction=extra.direction,
            query=partial(_extra, extra=extra, variant=variant, form=form),
        )
        for extra in variant.extras
        if extra.metric in there.given
    ]
    return tuple(
        Ask(
            name=f"{variant.prefix}_{one.name}",
            unit=one.unit,
            direction=one.direction,
            queries=chosen.map(one.query),
            by=chosen.canary.by,
            bounded=one.bounded,
        )
        for one in told
    )


class There(Protocol):
    """What a probe found of a variant's series."""

    @property
    def errors(self) -> Errors | None:
        """How failures are told."""
        ...

    @property
    def client_errors(self) -> Errors | None:
        """How the callers' own errors are told."""
        ...

    @property
    def latency(self) -> Latency | None:
        """How durations are told."""
        ...

    @property
    def given(self) -> frozenset[str]:
        """The metrics that the server has."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """A quantity and the query that a selection makes of it."""

    name: str
    query: Callable[[Selection], str]
    unit: str = "seconds"
    direction: Direction = Direction.HIGHER_IS_WORSE
    bounded: bool = False


def _requests(variant: Variant, form: Form, there: There) -> Iterator[_Told]:
    if variant.reading != "gauge":
        yield _Told(
            name="requests_per_second",
            unit="requests_per_second",
            direction=Direction.NEUTRAL,
            query=lambda one: traffic(variant, one, form),
        )
    for name, errors in (("error_ratio", there.errors), ("4xx_ratio", there.client_errors)):
        if errors:
            query = partial(_ratio_of, variant=variant, form=form, errors=errors)
            yield _Told(name=name, unit="ratio", query=query)


def _ratio_of(one: Selection, *, variant: Variant, form: Form, errors: Errors) -> str:
    return ratio(variant, one, form, errors)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Durations:
    """A form of latency with what its queries are made of."""

    latency: Latency
    form: Form
    only: str

    @property
    def factor(self) -> str:
        """What brings values to seconds, as the beginning of a query."""
        return "" if self.latency.factor == 1.0 else f"{self.latency.factor:g} * "

    def mean(self, one: Selection) -> str:
        """Return the mean duration of requests."""
        sums, counts = (flow(f"{self.latency.metric}_{part}", one, self.form, self.only) for part in ("sum", "count"))
        return f"{self.factor}sum{one.grouping} ({sums}) / (sum{one.grouping} ({counts}) > 0)"

    def quantile(self, one: Selection, *, q: float) -> str:
        """Return a quantile out of buckets, which are summed up before."""
        labels = ", ".join(part for part in ("le", one.by) if part)
        return f"{self.factor}histogram_quantile({q:g}, sum by ({labels}) ({self._buckets(one)}))"

    def slower(self, one: Selection, *, bound: float) -> str:
        """Return the share of requests above a bound."""
        below = self._buckets(one, f'le=~"{_number(bound)}"')
        every = self._buckets(one, 'le="+Inf"')
        return f"1 - sum{one.grouping} ({below}) / (sum{one.grouping} ({every}) > 0)"

    def ready(self, one: Selection, *, metric: str, matcher: str = "") -> str:
        """Return a value that comes ready-made, the worst where there are several."""
        return f"{self.factor}max{one.grouping} ({_joined(picked(metric, one.matchers, self.only, matcher), one)})"

    def _buckets(self, one: Selection, *matchers: str) -> str:
        return flow(f"{self.latency.metric}_bucket", one, self.form, self.only, *matchers)


def _quantiles(made: _Durations, given: frozenset[str]) -> Iterator[_Told]:
    del given
    for q in QUANTILES:
        yield _Told(name=_named(f"p{q * 100:g}"), query=partial(made.quantile, q=q), bounded=True)


def _means(made: _Durations, given: frozenset[str]) -> Iterator[_Told]:
    del given
    yield _Told(name=_named("mean"), query=made.mean)
    for bound in made.latency.bounds:
        name = f"slower_than_{bound:g}s_ratio".replace(".", "_")
        yield _Told(name=name, unit="ratio", query=partial(made.slower, bound=bound))


def _summaries(made: _Durations, given: frozenset[str]) -> Iterator[_Told]:
    del given
    for q in QUANTILES:
        matcher = f'quantile=~"{_number(q)}"'
        query = partial(made.ready, metric=made.latency.metric, matcher=matcher)
        yield _Told(name=_named(f"p{q * 100:g}"), query=query)


def _gauges(made: _Durations, given: frozenset[str]) -> Iterator[_Told]:
    for what, metric in made.latency.gauges:
        if metric in given:
            yield _Told(name=_named(what), query=partial(made.ready, metric=metric))


def _named(what: str) -> str:
    return f"request_duration_{what}_seconds"


_DURATIONS = {
    "histogram": _quantiles,
    "mean": _means,
    "coarse": _means,
    "summary": _summaries,
    "gauges": _gauges,
}


def _extra(chosen: Selection, *, extra: Extra, variant: Variant, form: Form) -> str:
    filled = {
        "select": chosen.matchers,
        "rate": f"{form.rate_s}s",
        "by": chosen.grouping,
        "zero": f"0 * {traffic(variant, chosen, form)}",
    }
    return render(extra.query, filled, may_be_empty=frozenset({"by"}))


def marked(query: str, mark: str) -> str:
    """Return a query whose series carry a mark, to be found again among those of other queries."""
    return f'label_replace({query}, "{PROBE}", "{mark}", "", "")'


def _joined(vector: str, chosen: Selection) -> str:
    return f"{vector} * {chosen.join}" if chosen.join else vector


def _number(value: float) -> str:
    """Return a regular expression for a number in a label, which may be written with a point or without."""
    text = f"{value:g}"
    return text.replace(".", "[.]") + "0*" if "." in text else f"{text}([.]0+)?"
