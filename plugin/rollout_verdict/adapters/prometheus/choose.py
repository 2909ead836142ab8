"""Which presets speak for a rollout: those that were asked for, or the first that has data on both sides."""

from collections.abc import Iterator
from dataclasses import replace

from rollout_verdict.adapters.prometheus import report
from rollout_verdict.adapters.prometheus.catalogue import Preset, names, presets
from rollout_verdict.adapters.prometheus.client import Client
from rollout_verdict.adapters.prometheus.memory import Memory
from rollout_verdict.adapters.prometheus.options import AUTO
from rollout_verdict.adapters.prometheus.probe import Flag, Probed, Span, metrics_there, probe
from rollout_verdict.adapters.prometheus.trouble import TroubleError
from rollout_verdict.core.target import Scope
from rollout_verdict.core.values import Gap

MOST_PROBES = 12  # presets that are probed in one measurement: a server that has all kinds of series is a busy one
KUBERNETES = "kubernetes"
_PERIODS = 3  # of late data, at least, or there is nothing to compare
# After the routers that the Rollout names. Those that it does not name come last: their series rarely fit.
_TIERS = ("mesh", "app", "router")


class Chooser:
    """Probes presets, or remembers what came of it. ``now`` is unix seconds."""

    def __init__(self, client: Client, memory: Memory, *, base: str, now: float, matchers: str = "") -> None:
        self._client = client
        self._memory = memory
        self._base = f"{base} {matchers}"  # what is remembered is that of such series alone
        self._matchers = matchers
        self._now = now

    async def choose(self, scope: Scope, span: Span, wanted: tuple[str, ...]) -> tuple[list[Probed], list[Gap]]:
        """Return the presets to read, and why others are not. Raises TroubleError when nothing can be asked.

        A preset that is not ok is returned, too, where it may be read in part: what that is worth, the caller decides.
        """
        given = self._memory.names(self._base)
        if given is None:
            given = await metrics_there(self._client, span, self._matchers)
            self._memory.keep_names(self._base, given)
        if wanted and AUTO not in wanted:
            return await self._named(scope, span, wanted, given)
        return await self._automatic(scope, span, given)

    async def _named(
        self, scope: Scope, span: Span, wanted: tuple[str, ...], given: frozenset[str]
    ) -> tuple[list[Probed], list[Gap]]:
        found: list[Probed] = []
        gaps: list[Gap] = []
        by_name = {preset.name: preset for preset in presets()}
        for name in dict.fromkeys(wanted):
            if name not in by_name:
                gaps.append(report.gap(f"metrics of preset {name[:40]}", "there is no such preset", _known()))
            else:
                await self._try(by_name[name], scope, span, given, found=found, gaps=gaps)
        return found, gaps

    async def _automatic(self, scope: Scope, span: Span, given: frozenset[str]) -> tuple[list[Probed], list[Gap]]:
        found: list[Probed] = []
        gaps: list[Gap] = []
        left = MOST_PROBES
        tried: list[Gap]
        for preset in in_order(scope.routers):
            known = any(variant.counter in given for variant in preset.variants)
            if not known and not _named_by(preset, scope.routers):
                continue  # nobody expects it
            if known:
                left -= 1
            tried = []
            await self._try(preset, scope, span, given, found=found, gaps=tried)
            told = not any(one.flag is Flag.ABSENT and one.preset is preset for one in found)
            gaps += tried if told or _named_by(preset, scope.routers) else ()
            if left == 0 or any(one.flag is Flag.OK for one in found):
                break
        kubernetes = next(preset for preset in presets() if preset.name == KUBERNETES)
        if any(variant.counter in given for variant in kubernetes.variants):
            tried = []
            await self._try(kubernetes, scope, span, given, found=found, gaps=tried)
            # Its absence is no news: the Kubernetes API tells most of it.
            gaps += () if any(one.preset is kubernetes and one.flag is Flag.ABSENT for one in found) else tried
        if not found and not gaps:
            reason = "the server has none of the metrics that the presets know"
            gaps.append(
                report.gap("metrics", reason, "scrape the router, the mesh or the application; or write queries")
            )
        return found, gaps

    async def _try(
        self, preset: Preset, scope: Scope, span: Span, given: frozenset[str], *, found: list[Probed], gaps: list[Gap]
    ) -> None:
        """Probe a preset and note what came of it."""
        try:
            probed = await self._probed(preset, scope, span, given)
        except TroubleError as trouble:
            if trouble.treatment.everywhere:
                raise
            gaps.append(report.of_trouble(report.what(preset), trouble))
            return
        found += probed
        gaps += [report.of_preset(one) for one in probed if one.flag is not Flag.OK]

    async def _probed(self, preset: Preset, scope: Scope, span: Span, given: frozenset[str]) -> tuple[Probed, ...]:
        seen = until(preset, span, self._now)
        if seen.seconds < _PERIODS * 60 and any(variant.counter in given for variant in preset.variants):
            reason = (
                f"its data is complete after {preset.delay_s // 60} min; of the window's {span.seconds} s, "
                f"{max(0, seen.seconds)} s are"
            )
            if preset.delay_s:
                return (Probed(preset=preset, flag=Flag.DELAYED, reason=reason),)
        rollout = scope.rollout
        # Another version may have other labels: what was found of one says nothing of the next.
        versions = (rollout.stable_hash, rollout.canary_hash)
        key = (self._base, rollout.namespace, rollout.name, *versions, preset.name)
        known = self._memory.probed(key)
        if known is None:
            known = await probe(self._client, preset, scope, seen, given, matchers=self._matchers)
            if all(one.flag is Flag.OK for one in known):
                self._memory.keep_probed(key, known)
        return known


def until(preset: Preset, span: Span, now: float) -> Span:
    """Return the part of the window of which a preset has complete data; it may be empty."""
    return replace(span, end=min(span.end, now - preset.delay_s)) if preset.delay_s else span


def in_order(routers: tuple[str, ...]) -> Iterator[Preset]:
    """Yield the presets about requests in the order in which they are tried."""
    known = [preset for preset in presets() if preset.tier != KUBERNETES]
    first = [preset for router in routers for preset in known if _serves(preset, router)]
    later = [preset for tier in _TIERS for preset in known if preset.tier == tier]
    yield from dict.fromkeys((*first, *later))


def _named_by(preset: Preset, routers: tuple[str, ...]) -> bool:
    """Whether the Rollout names the one router that the preset is about."""
    return any(router.lower() == name for router in routers for name in preset.routers)


def _serves(preset: Preset, router: str) -> bool:
    """Whether a preset is about a router, which for plugins is named like ``argoproj-labs/gatewayAPI``."""
    return router.lower().rpartition("/")[2] in preset.routers


def _known() -> str:
    return f"use one of {', '.join((AUTO, *names()))}"
