"""The presets: which series a family of software has, what an error is in them, and what tells the sides apart.

They are data (``presets/*.toml``); what the words in them mean stands at the classes here.
"""

import tomllib
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from rollout_verdict.core.evidence import Direction

FOLDER = Path(__file__).resolve().parent / "presets"
WAYS = "ways.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way of telling the sides apart: matchers with placeholders, ``stable`` and ``canary`` where they differ.

    ``by`` is the label that names the pod, "" where only the side as a whole is known. ``join`` takes the matchers to
    another metric (``${match}``) that the series are multiplied with. ``unique`` is a label that must have one value on
    each side: a looser match may hit the wrong thing.
    """

    name: str
    match: str = ""
    stable: str = ""
    canary: str = ""
    by: str = ""
    join: str = ""
    unique: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """What a failure is: ``match`` holds alternatives that exclude each other.

    ``label`` must have one of ``values`` on either side, or nothing can be said: that regular expression tells what
    ``match`` is written for, as a word where it looks for codes would pass as no failure. ``label`` is "" where its
    absence means that nothing failed. ``counter`` is another metric than that of the requests.
    """

    match: tuple[str, ...] = ("",)
    label: str = ""
    values: str = "[1-5].."  # codes of HTTP, or their classes: 5xx
    counter: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Where durations come from. ``factor`` brings them to seconds; ``only`` replaces the variant's matchers.

    ``histogram``: quantiles of ``metric_bucket``. ``coarse``: the shares above ``bounds``, and the mean, of a histogram
    whose bounds are too far apart for quantiles. ``mean``: of ``metric_sum`` and ``metric_count``. ``summary``:
    ``metric`` with label ``quantile``, the worst pod's. ``gauges``: ready-made values, by what they are.
    """

    kind: str
    metric: str = ""
    factor: float = 1.0
    only: str | None = None
    bounds: tuple[float, ...] = ()
    gauges: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Extra:
    """Another quantity: a query with ``${select}``, ``${rate}``, ``${by}`` (" by (pod)") and ``${zero}``.

    It is asked where the server has ``metric``.
    """

    name: str
    metric: str
    query: str
    unit: str
    direction: Direction


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One set of series. ``counter`` is probed; ``reading`` says what its samples are.

    ``counter``: a running total. ``total``: what came in the last ``period_s``, again in each sample. ``either``: one
    of both, to be found out. ``gauge``: no requests at all, the variant has extras only. ``any`` finds its series for
    the namespace whatever the side; ``only`` are matchers that always hold.
    """

    prefix: str
    counter: str
    ways: tuple[Way, ...]
    name: str = ""
    any: tuple[str, ...] = ()
    only: str = ""
    reading: str = "counter"
    period_s: int = 60
    errors: tuple[Errors, ...] = ()
    client_errors: tuple[Errors, ...] = ()
    latency: tuple[Latency, ...] = ()
    extras: tuple[Extra, ...] = ()

    @property
    def metrics(self) -> frozenset[str]:
        """The names of all metrics that the variant may ask for."""
        found = {self.counter, *(one.metric for one in self.extras)}
        found |= {one.counter for one in (*self.errors, *self.client_errors) if one.counter}
        for one in self.latency:
            found |= set(metrics_of(one))
        return frozenset(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A family. The first variant that finds both sides is used, or each that does with ``each``.

    ``tier`` is where it stands in the order of trying: router, mesh, app, kubernetes. ``routers`` are the names under
    ``trafficRouting`` that it serves. ``delay_s`` is how late its data is. ``known`` is "source" where names and labels
    were read in the project's own source or documentation, "general" where they are general knowledge that the probe
    has to confirm.
    """

    name: str
    title: str
    tier: str
    known: str
    order: int
    variants: tuple[Variant, ...]
    routers: tuple[str, ...] = ()
    delay_s: int = 0
    each: bool = False
    absent: str = ""  # what to do when there are no series
    inseparable: str = ""  # what to do when nothing tells the sides apart
    note: str = ""  # what its data cannot tell


def metrics_of(latency: Latency) -> tuple[str, ...]:
    """Return the metrics that a form of latency needs."""
    if latency.kind == "gauges":
        return tuple(metric for _, metric in latency.gauges)
    parts = {
        "histogram": ("_bucket",),
        "coarse": ("_bucket", "_sum", "_count"),
        "mean": ("_sum", "_count"),
        "summary": ("",),
    }
    return tuple(f"{latency.metric}{part}" for part in parts[latency.kind])


@cache
def presets() -> tuple[Preset, ...]:
    """Return all presets in the order in which they are tried."""
    shared = _read(FOLDER / WAYS)
    ways = {name: Way(name=name, **told) for name, told in shared["way"].items()}
    groups = {name: tuple(ways[one] for one in members) for name, members in shared["group"].items()}
    found = [
        _preset(told, ways, groups)
        for path in sorted(FOLDER.glob("*.toml"))
        if path.name != WAYS
        for told in _read(path)["preset"]
    ]
    return _resolved(sorted(found, key=lambda one: one[0].order))


def names() -> tuple[str, ...]:
    """Return the names of all presets."""
    return tuple(preset.name for preset in presets())


def _read(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class _Same:
    """A preset that borrows the variants of others."""

    names: tuple[str, ...] = field(default=())


def _resolved(found: list[tuple[Preset, _Same]]) -> tuple[Preset, ...]:
    by_name = {preset.name: preset for preset, _ in found}
    return tuple(
        replace(preset, variants=(*preset.variants, *(v for name in same.names for v in by_name[name].variants)))
        for preset, same in found
    )


def _preset(told: dict[str, Any], ways: dict[str, Way], groups: dict[str, tuple[Way, ...]]) -> tuple[Preset, _Same]:
    own = {**ways, **{name: Way(name=name, **way) for name, way in told.pop("way", {}).items()}}
    same = _Same(tuple(told.pop("same_as", ())))
    variants = tuple(_variant(one, own, groups) for one in told.pop("variant", ()))
    routers = tuple(told.pop("routers", ()))
    return Preset(**told, variants=variants, routers=routers), same


def _variant(told: dict[str, Any], ways: dict[str, Way], groups: dict[str, tuple[Way, ...]]) -> Variant:
    chosen = tuple(way for name in told.pop("ways") for way in (groups[name] if name in groups else (ways[name],)))
    errors, client = (
        tuple(Errors(**{**one, "match": tuple(one.get("match", ("",)))}) for one in told.pop(key, ()))
        for key in ("errors", "client_errors")
    )
    latency = tuple(
        Latency(**{**one, "bounds": tuple(one.get("bounds", ())), "gauges": tuple(one.get("gauges", {}).items())})
        for one in told.pop("latency", ())
    )
    extras = tuple(Extra(**{**one, "direction": Direction(one["direction"])}) for one in told.pop("extra", ()))
    seen = tuple(told.pop("any", ()))
    return Variant(**told, ways=chosen, any=seen, errors=errors, client_errors=client, latency=latency, extras=extras)
