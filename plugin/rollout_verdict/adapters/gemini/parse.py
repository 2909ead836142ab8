"""Reply text into a Reply, strictly: what is not exactly the agreed shape is no reply."""

import json
from typing import Any, NoReturn

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rollout_verdict.core.model.reply import Reply, contradiction
from rollout_verdict.core.values import Citation, Decision

LARGEST = 200_000  # characters; the output limit of 64k tokens is about as much


class _Citation(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    evidence_id: str
    quoted_value: str
    claim: str


class _Probabilities(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    promote: float = Field(ge=0, le=1)
    rollback: float = Field(ge=0, le=1)
    inconclusive: float = Field(ge=0, le=1)


class ReplyModel(BaseModel):
    """The reply as ``prompts/*/reply.schema.json`` describes it; a test holds the two together."""

    model_config = ConfigDict(extra="forbid", strict=True)

    observations: list[str] = Field(max_length=40)
    citations: list[_Citation] = Field(max_length=40)
    suspicious_ids: list[str] = Field(max_length=40)
    root_cause: str
    next_steps: list[str] = Field(max_length=40)
    probabilities: _Probabilities
    decision: Decision = Field(strict=False)
    summary: str


class AskingReplyModel(ReplyModel):
    """The reply where the model may ask for more evidence."""

    requests: list[str] = Field(default=[], max_length=40)


def parse(text: str, *, asking: bool = False) -> Reply:
    """Return the reply; ``asking`` says whether it may ask for more evidence.

    Raises ValueError saying what is wrong, without quoting more than a key's name.
    """
    if len(text) > LARGEST:
        raise ValueError(f"the answer is {len(text)} characters long, more than {LARGEST}")
    try:
        content = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at character {error.pos}") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None
    try:
        model = (AskingReplyModel if asking else ReplyModel).model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise ValueError(f"wrong shape at {where[:80]}: {first['msg'][:120]}") from None
    chances = model.probabilities
    reply = Reply(
        decision=model.decision,
        probabilities=(
            (Decision.PROMOTE, chances.promote),
            (Decision.ROLLBACK, chances.rollback),
            (Decision.INCONCLUSIVE, chances.inconclusive),
        ),
        summary=model.summary,
        root_cause=model.root_cause,
        next_steps=tuple(model.next_steps),
        citations=tuple(
            Citation(evidence_id=cited.evidence_id, claim=cited.claim, quote=cited.quoted_value)
            for cited in model.citations
        ),
        suspicious=tuple(model.suspicious_ids),
        requests=tuple(model.requests) if isinstance(model, AskingReplyModel) else (),
    )
    if problem := contradiction(reply):
        raise ValueError(problem)
    return reply


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if len(names) != len(set(names)):
        raise ValueError("a key occurs twice")
    return dict(pairs)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
