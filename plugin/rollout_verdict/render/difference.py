"""Two verdicts on the same evidence held against each other."""

from typing import Any

from rollout_verdict.core.quote import visible
from rollout_verdict.core.values import Finding, Gap, SourceKind, Verdict

FIELDS = ("decision", "score", "confidence", "decided_by", "row", "reason")


def difference(before: Verdict, after: Verdict) -> dict[str, Any]:
    """Return what differs: fields as [before, after], and the findings, gaps and digests that came and went."""
    changed: dict[str, Any] = {
        name: [getattr(before, name), getattr(after, name)]
        for name in FIELDS
        if getattr(before, name) != getattr(after, name)
    }
    for name in ("evidence", "policy", "prompt", "reply"):
        pair = [getattr(before.digests, name), getattr(after.digests, name)]
        if pair[0] != pair[1]:
            changed[f"{name} digest"] = pair
    if gone := [gap for gap in before.gaps if gap not in after.gaps]:
        changed["gaps gone"] = gone
    if came := [gap for gap in after.gaps if gap not in before.gaps]:
        changed["gaps new"] = came
    old, new = _findings(before), _findings(after)
    if lost := sorted(old.keys() - new.keys()):
        changed["findings gone"] = [old[key] for key in lost]
    if found := sorted(new.keys() - old.keys()):
        changed["findings new"] = [new[key] for key in found]
    return changed


def told(before: Verdict, after: Verdict, source: str) -> str:
    """Return the difference in words, a line each."""
    changed = difference(before, after)
    lines = [f"{after.decision.value}, compared with {source}: {before.decision.value}", f"  {visible(after.reason)}"]
    lines += [f"  {name}: {_shown(pair[0])} -> {_shown(pair[1])}" for name, pair in changed.items() if name in FIELDS]
    for name in ("findings gone", "findings new"):
        for judge, finding in changed.get(name, ()):
            lines.append(
                f"  {name.replace('findings', 'finding')}: {finding.severity.value} {judge}: {visible(finding.summary)}"
            )
    for name in ("gaps gone", "gaps new"):
        lines += [f"  {name.replace('gaps', 'gap')}: {_why(gap)}" for gap in changed.get(name, ())]
    unanswered = [gap for gap in after.gaps if gap.source is SourceKind.MODEL and gap in before.gaps]
    lines += [f"  gap as before: {_why(gap)}" for gap in unanswered]
    digests = [name.removesuffix(" digest") for name in changed if name.endswith(" digest")]
    lines.append(
        f"  other {', '.join(digests)} than before" if digests else "  same evidence, policy, prompt and reply"
    )
    if not changed:
        lines.append("  nothing changed")
    return "\n".join(lines) + "\n"


def _findings(verdict: Verdict) -> dict[tuple[str, str, str, str], tuple[str, Finding]]:
    return {
        (opinion.judge, finding.code, finding.severity.value, finding.summary): (opinion.judge, finding)
        for opinion in verdict.opinions
        for finding in opinion.findings
    }


def _why(gap: Gap) -> str:
    return visible(f"{gap.what}: {gap.reason}" + (f" ({gap.hint})" if gap.hint else ""))


def _shown(value: object) -> str:
    return visible(str(value))
