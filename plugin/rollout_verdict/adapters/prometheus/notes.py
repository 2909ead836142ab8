"""What was heard along the way: warnings, partial answers and failed requests, told once instead of once a query."""

from rollout_verdict.adapters.prometheus import report
from rollout_verdict.adapters.prometheus.answers import Answer
from rollout_verdict.adapters.prometheus.trouble import STORES, Kind, TroubleError
from rollout_verdict.core.model.neutral import plain
from rollout_verdict.core.values import Gap, Side

MOST = 5  # warnings that are told, and of each at most so many characters:
LENGTH = 200
_SURMISE = "might not be a counter"  # Prometheus guesses by the name; presets know what their metrics are


class Notes:
    """Collects what the requests of one measurement met."""

    def __init__(self) -> None:
        self._warnings: dict[str, set[Side | None]] = {}
        self._infos: dict[str, None] = {}
        self._partial: set[Side | None] = set()
        self._failed: dict[tuple[str, Kind, str], tuple[TroubleError, set[Side | None]]] = {}

    def hear(self, answer: Answer, side: Side | None, *, preset: bool) -> None:
        """Note what an answer says beside its data."""
        for text in answer.warnings:
            self._warnings.setdefault(plain(text, LENGTH), set()).add(side)
        for text in answer.infos:
            if not (preset and _SURMISE in text):
                self._infos[plain(text, LENGTH)] = None
        if answer.partial:
            self._partial.add(side)

    def fail(self, subject: str, trouble: TroubleError, side: Side | None) -> None:
        """Note a request that gave nothing."""
        self._failed.setdefault((subject, trouble.kind, trouble.detail), (trouble, set()))[1].add(side)

    def gaps(self) -> list[Gap]:
        """Return all of it as gaps."""
        found = [
            report.of_trouble(subject, trouble, _one(sides))
            for (subject, _, _), (trouble, sides) in sorted(self._failed.items(), key=lambda one: one[0])
        ]
        if self._partial:
            reason = "the server said that its answer is not whole: it was not used"
            found.append(report.gap("part of the metrics", reason, STORES, _one(self._partial)))
        found += [
            report.gap("part of the metrics", f"the server warned: {text}", STORES, _one(self._warnings[text]))
            for text in sorted(self._warnings)[:MOST]
        ]
        found += [
            report.gap("meaning of a query", f"the server noted: {text}", "correct the query if it is yours")
            for text in sorted(self._infos)[:MOST]
        ]
        return found


def _one(sides: set[Side | None]) -> Side | None:
    """Return the one side that is concerned, None for both or for an unknown one."""
    return next(iter(sides)) if len(sides) == 1 else None
