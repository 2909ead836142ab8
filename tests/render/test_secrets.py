"""A secret planted in every field of the evidence and of the model's words is in nothing that leaves the process."""

from html import unescape

import pytest

from rollout_verdict import engine
from rollout_verdict.core.pods import PodPolicy
from rollout_verdict.core.policy import Policy
from rollout_verdict.core.ports import Judgement
from rollout_verdict.core.redaction.redact import Redactor
from rollout_verdict.core.values import Usage
from rollout_verdict.render import html, json, markdown, text
from tests.core.planted import PLANTED
from tests.render import results

PATIENT = Policy(pods=PodPolicy(never_ready_after_s=1e9))  # a veto would spare the model


class _Leaky:
    """A model that is told all and repeats the secret wherever it can."""

    def __init__(self, words):
        self._words = words

    def judge(self, evidence, comparison, rules, policy):
        told = f"{evidence}\n{comparison}\n{rules}"
        return Judgement(
            opinion=results.opinion(self._words),
            usage=Usage(model="m", attempts=1),
            prompt=told,
            reply=self._words("reply"),
        )


@pytest.mark.parametrize(("planted", "secret"), [case[1:] for case in PLANTED], ids=[case[0] for case in PLANTED])
def test_no_secret_leaves(planted, secret):
    """Neither by the prompt, the record, the explanation nor any report; and the result counts what was replaced."""

    def words(example):
        return f"{example} {planted}"

    result = engine.judge(results.evidence(words), PATIENT, _Leaky(words), Redactor())
    leaving = {
        "prompt": result.prompt,
        "reply": result.reply,
        "explanation": repr(result.explanation),
        "json": json.render(result),
        "markdown": markdown.render(result),
        "terminal": text.render(result, width=10_000),
        "html": html.render(result),
    }
    assert result.prompt
    for name, content in leaving.items():
        assert secret not in content, name
        assert secret not in unescape(content), name
    assert sum(count for _, count in result.redactions) > 20
