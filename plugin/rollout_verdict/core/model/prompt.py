"""The prompt: templates, evidence blocks and the operator's words put together within a token budget.

Order: static head and examples first (the same bytes every time, so that the vendor's prefix cache hits), then the
evidence behind a boundary, the question last. Same evidence, same policy, same templates: same bytes.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from string import Template
from typing import Any

from rollout_verdict.core.comparison import Comparison
from rollout_verdict.core.evidence import Evidence
from rollout_verdict.core.model.blocks import NAME_LENGTH, Block, blocks
from rollout_verdict.core.model.neutral import estimated_tokens, number, quoted
from rollout_verdict.core.policy import Policy
from rollout_verdict.core.values import Gap, Opinion

BOUNDARY_LENGTH = 8  # hex digits: 32 bits derived from all of the evidence, and absence is checked besides
OPERATOR_LENGTH = 4_000  # characters of the operator's own text; a page of A4
HEADER_NAMES = 3  # pods named in the header; the number of the others is told
HEADER_GAPS = 12
DETAILED = 0.7  # of the whole budget may go into details; the rest is kept for one line on each finding
REMARKABLE = 2  # blocks up to this rank (veto, failure, warning) may use the budget to its end


@dataclass(frozen=True, slots=True, kw_only=True)
class Templates:
    """One version of the prompt files. ``digest`` is the sha256 hex of all of them, ``schema`` the reply's.

    The last three are "" in a version that knows neither memory nor requests for more evidence.
    """

    version: str
    digest: str
    system: str
    examples: str
    evidence: str
    operator: str
    question: str
    schema: dict[str, Any]
    schema_text: str
    memory: str = ""
    more: str = ""
    given: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Estimated tokens. ``most`` bounds the whole prompt, ``usual`` is where unremarkable items stop being added."""

    usual: int = 3_600  # the model reads what differs; a page of what does not is enough
    most: int = 11_000  # with a fifth in hand below the 12,000 that keep a call under two cents

    def __post_init__(self) -> None:
        if not 0 < self.usual <= self.most:
            raise ValueError(f"token budget: usual must be 1..most, got usual {self.usual}, most {self.most}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What is sent. ``shown`` maps the id of each shown item to its text, ``omitted`` counts those left out by kind.

    ``given`` holds what was shown of items besides, because it was asked for; ``asking`` says whether the reply may
    ask. ``tokens`` is an estimate over system text, user text and schema.
    """

    templates: Templates
    boundary: str
    system: str
    user: str
    shown: dict[str, str]
    omitted: tuple[tuple[str, int], ...]
    tokens: int
    given: dict[str, str] = field(default_factory=dict)
    asking: bool = False

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of the reply; with requests for more evidence where they are allowed."""
        return with_requests(self.templates.schema) if self.asking else self.templates.schema

    @property
    def text(self) -> str:
        """The whole prompt for the record, with version and digest of the templates."""
        head = f"prompt {self.templates.version} sha256 {self.templates.digest}"
        return f"# {head}\n\n# system\n{self.system}\n\n# user\n{self.user}\n"

    def repaired(self, problems: tuple[str, ...]) -> "Prompt":
        """Return this prompt with a note at its end on what was wrong with an earlier reply."""
        note = "\n".join(f"- {quoted(problem, 200)}" for problem in problems[:12])
        said = f"\n\nAn earlier reply was refused, since its citations do not hold:\n{note}\nAnswer again."
        user = self.user + said
        return replace(self, user=user, tokens=self.tokens + estimated_tokens(said))

    def granted(self, more: Mapping[str, str], blocks: Mapping[str, str], *, again: bool) -> "Prompt":
        """Return this prompt with what a reply asked for; ``again`` says whether the next one may ask, too.

        ``more`` maps ids to what they are told of besides their ``blocks``, which are told where they were not before.
        """
        texts = {
            name: text if name in self.shown else "\n".join(filter(None, (blocks[name], text)))
            for name, text in more.items()
        }
        boundary = _boundary((self.user, *texts.values()))
        lines = (f"[{name}@{boundary}] {_indented(text or 'there is no more')}" for name, text in texts.items())
        told = Template(self.templates.given).substitute(
            ids=", ".join(texts), boundary=boundary, more="\n".join(lines), last="" if again else ", for the last time"
        )
        said = f"\n\n{told.strip()}"
        return replace(
            self,
            user=self.user + said,
            shown={**{name: blocks[name] for name in more}, **self.shown},
            given={**self.given, **more},
            asking=again,
            tokens=self.tokens + estimated_tokens(said),
        )


REQUESTS = 4  # ids in one round: the few that may change a decision


def with_requests(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the reply's schema with a last property for the ids of which the model would see more."""
    ids = {
        "type": "array",
        "items": {"type": "string"},
        "maxItems": REQUESTS,
        "description": "Ids of items to be shown more of before you decide, such as l1; usually empty.",
    }
    order = [*schema["required"], "requests"]
    properties = {**schema["properties"], "requests": ids}
    return {**schema, "properties": properties, "required": order, "propertyOrdering": order}


def render(
    templates: Templates,
    evidence: Evidence,
    comparison: Comparison,
    rules: Opinion,
    policy: Policy,
    *,
    budget: Budget | None = None,
) -> Prompt:
    """Return the prompt for one measurement. The most important blocks are kept, what is left out is counted."""
    limits = budget or Budget()
    operator = policy.extra_prompt.strip()[:OPERATOR_LENGTH]
    header = tuple(_header(evidence, comparison))
    asking = bool(policy.evidence_rounds and templates.more)
    remembered = templates.memory if comparison.before or comparison.set_aside else ""
    special = tuple(filter(None, (remembered, templates.more if asking else "")))
    fixed = estimated_tokens(
        templates.system, templates.examples, templates.schema_text, templates.question, operator, *special, *header
    )
    kept, omitted = _fit(blocks(comparison), limits, spent=fixed + _FRAME)
    left_out = tuple(sorted(Counter(block.kind for block in omitted).items()))
    boundary = _boundary(
        (templates.examples, *special, operator, *header, *(f"{block.id} {block.text}" for block in kept))
    )
    told = ", ".join(f"{count} {kind}" for kind, count in left_out)
    lines = [*header, *([f"left out, being less important: {told}"] if told else [])]
    lines += [f"[{block.id}@{boundary}] {_indented(block.text)}" for block in kept]
    parts = [
        templates.examples,
        *([remembered] if remembered else []),
        Template(templates.evidence).substitute(boundary=boundary, evidence="\n".join(lines)),
    ]
    if operator:
        parts.append(Template(templates.operator).substitute(boundary=boundary, operator=operator))
    parts.append(Template(templates.question).substitute(boundary=boundary, rules=_rules(rules, kept)))
    if asking:
        parts.append(templates.more)
    user = "\n\n".join(part.strip() for part in parts)
    return Prompt(
        templates=templates,
        boundary=boundary,
        system=templates.system.strip(),
        user=user,
        shown={block.id: block.text for block in kept},
        omitted=left_out,
        tokens=estimated_tokens(templates.system, user, templates.schema_text),
        asking=asking,
    )


_FRAME = 200  # tokens of tags, separators and the rules' line without its ids, measured with slack


def _fit(ranked: tuple[Block, ...], limits: Budget, *, spent: int) -> tuple[list[Block], list[Block]]:
    """Take blocks in order of importance: remarkable ones up to the hard limit, the others up to the usual one.

    A block too long to be told in detail is told in one line before it is given up.
    """
    kept: list[Block] = []
    omitted: list[Block] = []
    for block in ranked:
        limit = limits.most if block.rank <= REMARKABLE else limits.usual
        for text, room in ((block.text, min(limit, DETAILED * limits.most)), (block.brief, limit)):
            cost = estimated_tokens(text) + _HEAD
            if spent + cost <= room:
                spent += cost
                kept.append(replace(block, text=text))
                break
        else:
            omitted.append(block)
    return kept, omitted


_HEAD = 7  # tokens of "[l12@0a1b2c3d] " before a block, and of its id in the rules' line


def _header(evidence: Evidence, comparison: Comparison) -> Iterator[str]:
    """Yield what the comparison stands on: who, how long, how much, and what is missing."""
    rollout = evidence.rollout
    names = f"rollout {quoted(rollout.name, NAME_LENGTH)} in namespace {quoted(rollout.namespace, NAME_LENGTH)}"
    yield names + (f", window {number(evidence.window.seconds)} s" if evidence.window else ", window unknown")
    named = evidence.pods.map(_names)
    yield f"pods: stable {named.stable}; canary {named.canary}"
    if comparison.logs:
        logs = comparison.logs
        exposed = f"{number(logs.exposure.stable)} stable, {number(logs.exposure.canary)} canary"
        enough = "" if logs.adequate else f"; not enough to judge: {quoted(logs.reason, 200)}"
        events = f"{logs.events.stable} events stable, {logs.events.canary} canary"
        yield f"logs: {events}; rates per {quoted(logs.exposure_unit, 20)} ({exposed}){enough}"
    if comparison.metrics and not comparison.metrics.adequate:
        yield f"metrics: not enough to judge: {quoted(comparison.metrics.reason, 200)}"
    if comparison.pods:
        ready, total = comparison.pods.ready, comparison.pods.total
        yield f"ready: {ready.stable} of {total.stable} stable, {ready.canary} of {total.canary} canary pods"
    yield from (_gap(gap) for gap in evidence.gaps[:HEADER_GAPS])
    if len(evidence.gaps) > HEADER_GAPS:
        yield f"missing besides: {len(evidence.gaps) - HEADER_GAPS} more parts"


def _names(pods: tuple[str, ...]) -> str:
    shown = " ".join(quoted(pod, NAME_LENGTH) for pod in pods[:HEADER_NAMES])
    more = f" and {len(pods) - HEADER_NAMES} more" if len(pods) > HEADER_NAMES else ""
    return f"{len(pods)}: {shown}{more}" if pods else "none"


def _gap(gap: Gap) -> str:
    side = f" of {gap.side.value}" if gap.side else ""
    return f"missing: {quoted(gap.what, NAME_LENGTH)}{side} ({gap.source.value}): {quoted(gap.reason, 160)}"


def _rules(rules: Opinion, kept: list[Block]) -> str:
    """Say what the rules found, by code and ids alone: their sentences quote evidence."""
    shown = {block.id for block in kept}
    cited: dict[str, list[str]] = {}
    for finding in rules.findings:
        ids = [item for item in finding.evidence if item in shown]
        if ids:
            cited.setdefault(f"{quoted(finding.code, NAME_LENGTH)} {finding.severity.value}", []).extend(ids)
    hidden = sum(shown.isdisjoint(finding.evidence) for finding in rules.findings)
    told = [f"{code} {' '.join(ids)}" for code, ids in cited.items()]
    told += [f"{hidden} more on items left out"] if hidden else []
    return f"{rules.decision.value}, confidence {rules.confidence}; findings: {'; '.join(told) or 'none'}"


def _indented(text: str) -> str:
    return text.replace("\n", "\n  ")


def _boundary(texts: tuple[str, ...]) -> str:
    """Return hex digits that occur nowhere in the texts, the same for the same texts."""
    joined = "\0".join(texts)
    seed = sha256(joined.encode("utf-8", "surrogatepass"))
    while (boundary := seed.hexdigest()[:BOUNDARY_LENGTH]) in joined:
        seed.update(b"again")
    return boundary
