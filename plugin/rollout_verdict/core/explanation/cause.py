"""The likely cause, put together by fixed rules from what differs. An inference, never a measurement.

Three ties are looked for, the strongest first: trouble that Kubernetes itself names, a changed value of the pod
template that turns up in a new message, and messages and metrics that turned bad together.
"""

import re
from collections.abc import Iterable

from rollout_verdict.core.comparison import Comparison, DiffItem, LogChange, LogOutcome, MetricOutcome, PodFact
from rollout_verdict.core.evidence import Level
from rollout_verdict.core.explanation.statements import Quote, Statement, quote, say
from rollout_verdict.core.redaction.patterns import PLACEHOLDER
from rollout_verdict.core.values import Severity, Side

_READ = 20  # log changes that are searched for a changed value; they come in the order of importance
_SAMPLES = 3
_BEFORE, _BEHIND = 70, 30  # characters of a message around a value: what fits a line, and what led up to it first
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{2,}")
_PART = re.compile(r"[A-Za-z][a-z]{3,}|[A-Z]{4,}")
# Words that any template path or value holds, and that therefore tie nothing to nothing.
_COMMON = frozenset(
    {
        *("true", "false", "none", "null", "value", "values", "name", "image", "containers", "container", "latest"),
        *("limits", "requests", "resources", "memory", "port", "ports", "host", "http", "https", "spec", "template"),
        *("env", "args", "command", "metadata", "annotations", "labels", "config", "version", "service", "server"),
        *("app", "the", "and", "for", "not", "info", "warn", "error", "debug", "path", "time", "mode", "level"),
    }
)

_POD_CAUSES = {
    "oom-killed": "The canary needs more memory than its limit allows",
    "image-pull": "The canary's image cannot be pulled: its name, tag or pull secret is wrong, or the registry fails",
    "start-error": "The canary's container cannot be started: its configuration, command or a mount is wrong",
    "crash-loop": "The canary's process ends soon after it starts",
    "never-ready": "The canary starts but is not ready in time",
    "restarts": "The canary's process ends again and again",
    "pod-failed": "The canary's pod ended in failure",
}
_TOUCHING = {  # the parts of a template that bear on a trouble
    "oom-killed": ("memory", "resources"),
    "image-pull": ("image",),
    "start-error": ("command", "args", "image", "volume", "mount", "env", "securitycontext"),
    "never-ready": ("probe", "port", "image", "command", "args"),
}


def likely_cause(comparison: Comparison) -> Statement | None:
    """Return the likely cause of the harm, None when nothing ties together."""
    troubles = _bad_logs(comparison)
    fact = _decisive_fact(comparison)
    if fact is not None:
        return _from_pods(fact, comparison.diff, troubles)
    for item in comparison.diff:
        for change in troubles:
            if word := _tie(item, change):
                return _from_diff(item, change, word)
    return _from_symptoms(comparison, troubles)


def _bad_logs(comparison: Comparison) -> tuple[LogChange, ...]:
    """Return the messages that are new or more frequent and stand for trouble, at most as many as are searched."""
    changes = comparison.logs.changes if comparison.logs else ()
    aside = {item.id for item in comparison.set_aside}
    return tuple(
        change
        for change in changes
        if change.id not in aside
        and change.outcome in (LogOutcome.NEW, LogOutcome.RISEN)
        and (change.severity is not Severity.INFO or (change.significant and change.pattern.level >= Level.WARN))
    )[:_READ]


def _decisive_fact(comparison: Comparison) -> PodFact | None:
    facts = comparison.pods.facts if comparison.pods else ()
    heavy = (Severity.VETO, Severity.FAIL)
    return next((f for f in facts if f.side is Side.CANARY and f.severity in heavy and f.code in _POD_CAUSES), None)


def _from_pods(fact: PodFact, diff: Iterable[DiffItem], troubles: tuple[LogChange, ...]) -> Statement:
    parts: list[str | Quote] = [_POD_CAUSES[fact.code]]
    ids = [fact.id]
    touching = _TOUCHING.get(fact.code, ())
    item = next((i for i in diff if any(word in i.change.path.lower() for word in touching)), None)
    if item is None and troubles:
        item = next((i for i in diff if _tie(i, troubles[0])), None)
    if item is not None:
        parts += ["; the release changed ", *_edit(item)]
        ids.append(item.id)
    if troubles and fact.code not in ("image-pull", "oom-killed"):
        parts += ["; its log says ", quote(troubles[0].pattern.wording)]
        ids.append(troubles[0].id)
    return say(*parts, ".", ids=tuple(ids))


def _from_diff(item: DiffItem, change: LogChange, word: str) -> Statement:
    return say(
        "The release changed ",
        *_edit(item),
        ", and ",
        quote(word),
        f" turns up in a message that is {_BECAME[change.outcome]} on the canary: ",
        quote(_around(change, word)),
        ".",
        ids=(item.id, change.id),
    )


def _from_symptoms(comparison: Comparison, troubles: tuple[LogChange, ...]) -> Statement | None:
    checks = comparison.metrics.checks if comparison.metrics else ()
    bad = [c for c in checks if c.severity is Severity.FAIL and c.outcome in (MetricOutcome.HIGH, MetricOutcome.LOW)]
    if troubles and bad:
        return say(
            "The canary runs into ",
            quote(troubles[0].pattern.wording),
            ", which goes with the change of ",
            quote(bad[0].name),
            ". What in the release causes it is not in the evidence.",
            ids=(troubles[0].id, bad[0].id),
        )
    if troubles:
        return say(
            "The canary runs into ",
            quote(troubles[0].pattern.wording),
            ". What in the release causes it is not in the evidence.",
            ids=(troubles[0].id,),
        )
    if bad:
        return say(
            "Only the metrics changed, ",
            quote(bad[0].name),
            " first of all, and no log message tells why: a slower code path, a slower dependency or another"
            " setting are all possible.",
            ids=tuple(check.id for check in bad[:3]),
        )
    return None


_BECAME = {LogOutcome.NEW: "new", LogOutcome.RISEN: "more frequent"}


def _around(change: LogChange, word: str) -> str:
    """Return the part of a real message that holds the word; the masked message where only that one does."""
    for sample in change.pattern.samples.canary[:_SAMPLES]:
        for line in sample.text.splitlines():
            found = _found(line.casefold(), word)
            if found:
                start, end = max(0, found.start() - _BEFORE), min(len(line), found.end() + _BEHIND)
                return f"{'…' if start else ''}{line[start:end]}{'…' if end < len(line) else ''}"
    return change.pattern.wording


def _edit(item: DiffItem) -> tuple[str | Quote, ...]:
    change = item.change
    return quote(change.path), " from ", quote(change.stable or "nothing"), " to ", quote(change.canary or "nothing")


def _tie(item: DiffItem, change: LogChange) -> str:
    """Return a word of the changed value, or else of its name, that the message holds; "" when there is none."""
    samples = (sample.text for sample in change.pattern.samples.canary[:_SAMPLES])
    said = "\n".join((change.pattern.template, *samples)).casefold()
    before = {word.casefold() for word in _words(item.change.stable)}
    new = (word.casefold().strip(".-_") for word in _words(item.change.canary))
    named = (word.casefold() for word in _PART.findall(item.change.path.rpartition("/")[2]))
    candidates = [*(word for word in new if word not in before), *named]
    return next((word for word in candidates if word not in _COMMON and len(word) > 2 and _found(said, word)), "")


def _words(value: str) -> list[str]:
    """Return the words of a value; what was redacted has none of its own."""
    return _WORD.findall(PLACEHOLDER.sub(" ", value))


def _found(text: str, word: str) -> re.Match[str] | None:
    return re.search(rf"(?<![a-z0-9]){re.escape(word)}(?![a-z0-9])", text)
