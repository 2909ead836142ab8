"""One measurement, from evidence to result. The file to read first.

    redact -> compare -> rules (always, first) -> model (unless settled) -> decide -> explain

The engine knows neither where evidence comes from nor who reads the result. The rules' verdict exists before the
model is asked, so nothing the model does, or fails to do, can take it away. ``judge`` is the whole of it; whoever must
keep a paid answer safe before going on takes the three parts: ``examine``, ``ask``, ``conclude``.
"""

import logging
from dataclasses import dataclass, replace

from rollout_verdict.core import rules
from rollout_verdict.core.canonical import digest
from rollout_verdict.core.compare import compare
from rollout_verdict.core.comparison import Comparison
from rollout_verdict.core.decide import Checked, Ruling, decide
from rollout_verdict.core.evidence import Evidence
from rollout_verdict.core.explanation.explain import explain
from rollout_verdict.core.model import citations
from rollout_verdict.core.policy import Mode, Policy
from rollout_verdict.core.ports import Family, Judge, Judgement
from rollout_verdict.core.recall import digested
from rollout_verdict.core.redaction.redact import Redactor
from rollout_verdict.core.result import Exchange, Result, exchanged
from rollout_verdict.core.rules import Assessment
from rollout_verdict.core.values import DecidedBy, Decision, Digests, Gap, Opinion, Severity, SourceKind, Usage, Verdict
from rollout_verdict.panel import Panel

_LOG = logging.getLogger(__name__)

REASON_LENGTH = 200  # what the AnalysisRun's message may hold (architecture: the one-line reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One canary, redacted, compared and judged by the rules: all that a model may be asked about.

    The digests are taken once: whoever keeps answers knows a question by them, and the verdict carries them.
    """

    evidence: Evidence
    policy: Policy
    comparison: Comparison
    assessment: Assessment
    evidence_digest: str
    policy_digest: str

    @property
    def settled(self) -> bool:
        """Whether no model has anything to say: the policy wants none, or a veto has settled the matter."""
        vetoed = any(finding.severity is Severity.VETO for finding in self.assessment.opinion.findings)
        return self.policy.mode is Mode.RULES or vetoed


def judge(evidence: Evidence, policy: Policy, model: Judge | None, redactor: Redactor) -> Result:
    """Judge one canary. Never raises for anything the model does; ``model`` is None when there is none to ask."""
    case = examine(evidence, policy, redactor)
    return conclude(case, ask(model, case), redactor)


def examine(evidence: Evidence, policy: Policy, redactor: Redactor) -> Case:
    """Redact, compare the two sides and let the rules judge."""
    evidence = redactor.tree(evidence)  # the one point: everything after it may be shown, sent and stored
    return weigh(evidence, replace(policy, extra_prompt=redactor.text(policy.extra_prompt)))


def weigh(evidence: Evidence, policy: Policy) -> Case:
    """Compare the two sides and let the rules judge; evidence and policy have been redacted."""
    comparison = compare(evidence, policy)
    assessment = rules.judge(evidence, comparison, policy)
    return Case(
        evidence=evidence,
        policy=policy,
        comparison=comparison,
        assessment=assessment,
        evidence_digest=digest(digested(evidence)),
        policy_digest=digest(policy),
    )


def ask(model: Judge | None, case: Case) -> Judgement | None:
    """Ask the model, and in doubt others, unless there is none or the case is settled without it."""
    if model is None or case.settled:
        return None
    judge_ = Panel(first=model, named=model.named) if isinstance(model, Family) else model
    try:
        return judge_.judge(case.evidence, case.comparison, case.assessment.opinion, case.policy)
    except Exception as error:  # noqa: BLE001 -- whatever breaks in there, the rules' verdict stands
        kind = type(error).__name__  # not its text, which may quote anything
        _LOG.error("the model's judge broke with %s", kind)
        return Judgement(
            opinion=Gap(
                source=SourceKind.MODEL,
                what="the model's opinion",
                reason=f"its judge broke ({kind})",
                hint="report this: a judge answers with a gap and never breaks",
            )
        )


def conclude(case: Case, judgement: Judgement | None, redactor: Redactor) -> Result:
    """Decide and explain. The same case and judgement make the same result, however long lies between the two."""
    evidence, policy, comparison, assessment = case.evidence, case.policy, case.comparison, case.assessment
    opinion = redactor.tree(judgement.opinion) if judgement else None
    vote = redactor.tree(judgement.vote) if judgement else None
    prompt, reply, others = _texts(judgement, redactor)
    checked = _check(opinion, case)
    ruling = decide(assessment, checked, policy)
    unheard = (opinion,) if isinstance(opinion, Gap) else vote.failed if vote else ()
    verdict = Verdict(
        decision=ruling.decision,
        score=_score(ruling, assessment),
        confidence=ruling.confidence,
        decided_by=ruling.decided_by,
        row=ruling.row,
        reason=_reason(ruling, assessment, checked),
        opinions=(assessment.opinion, checked.opinion) if isinstance(checked, Checked) else (assessment.opinion,),
        gaps=(*evidence.gaps, *unheard),
        digests=Digests(
            evidence=case.evidence_digest,
            policy=case.policy_digest,
            prompt=exchanged(prompt, (other.prompt for other in others)),
            reply=exchanged(reply, (other.reply for other in others)),
        ),
        vote=vote,
    )
    return Result(
        evidence=evidence,
        comparison=comparison,
        verdict=verdict,
        explanation=redactor.tree(explain(evidence, comparison, verdict)),
        usage=judgement.usage if judgement else Usage(),
        redactions=tuple(sorted(redactor.counts.items())),
        prompt=prompt,
        reply=reply,
        exchanges=others,
    )


def _texts(judgement: Judgement | None, redactor: Redactor) -> tuple[str, str, tuple[Exchange, ...]]:
    """Return what was exchanged with the first model and with the others; prompts were made from redacted evidence."""
    if judgement is None:
        return "", "", ()
    others = tuple(replace(other, reply=redactor.text(other.reply)) for other in judgement.others)
    return judgement.prompt, redactor.text(judgement.reply), others


def _check(opinion: Opinion | Gap | None, case: Case) -> Checked | Gap | None:
    """Establish by code what the table needs to know of the model's opinion."""
    if opinion is None or isinstance(opinion, Gap):
        return opinion
    return Checked(
        opinion=opinion,
        holds=citations.hold(opinion, case.comparison, case.evidence),
        answers=citations.answers_all(opinion, case.assessment.opinion.findings),
    )


def _score(ruling: Ruling, assessment: Assessment) -> int:
    """Keep the rules' score where they decided; elsewhere the middle of the band the decision stands for."""
    if ruling.decision is assessment.opinion.decision:
        return assessment.score
    return {Decision.ROLLBACK: 20, Decision.INCONCLUSIVE: 50, Decision.PROMOTE: 80}[ruling.decision]


def _reason(ruling: Ruling, assessment: Assessment, checked: Checked | Gap | None) -> str:
    """Say in one line why: the words of whoever decided."""
    said = assessment.opinion.rationale
    if ruling.row == 2 and not assessment.shortfalls:
        said = f"the model is required and gave no usable opinion; rules alone: {said}"
    elif ruling.decided_by is DecidedBy.MODEL and isinstance(checked, Checked):
        said = f"{checked.opinion.judge}: {checked.opinion.rationale}"
    elif ruling.row in (7, 9) and isinstance(checked, Checked):
        said = f"rules say {assessment.opinion.decision.value}, model says {checked.opinion.decision.value}: {said}"
    line = " ".join(said.split())
    return line if len(line) <= REASON_LENGTH else line[: REASON_LENGTH - 1].rstrip() + "…"
