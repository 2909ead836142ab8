"""The recorded judge, alone: what counts as the recorded exchange. The whole path is in the tests of the commands."""

from dataclasses import replace

import pytest

from rollout_verdict.adapters.gemini.parse import parse
from rollout_verdict.adapters.recorded import RecordedJudge
from rollout_verdict.core.canonical import digest
from rollout_verdict.core.policy import Policy
from rollout_verdict.core.result import Record
from rollout_verdict.core.values import Digests, Gap, SourceKind, Usage
from tests.core import builders
from tests.render import results

GAP = Gap(source=SourceKind.MODEL, what="the model's opinion", reason="timed out")


def record(prompt="p", reply="", gaps=()):
    digests = Digests(evidence="e", policy="p", prompt=digest(prompt), reply=digest(reply) if reply else "")
    verdict = replace(results.verdict(), digests=digests, gaps=gaps)
    return Record(verdict=verdict, usage=Usage(model="m", attempts=1), prompt=prompt, reply=reply)


def judged(kept):
    judge = RecordedJudge(record=kept, parse=parse)
    return judge.judge(builders.evidence(), builders.comparison(), kept.verdict.opinions[0], Policy())


def test_the_recorded_gap_stands_for_the_opinion():
    said = judged(record(reply="prose", gaps=(GAP,)))
    assert (said.opinion, said.prompt, said.reply, said.usage.model) == (GAP, "p", "prose", "m")


@pytest.mark.parametrize("change", [{"prompt": "q"}, {"reply": "x"}, {"prompt": ""}])
def test_texts_without_their_digest_do_not_count(change):
    said = judged(replace(record(gaps=(GAP,)), **change)).opinion
    assert said.reason.endswith("is not what result.json was made from")


def test_an_answer_that_is_none_is_a_gap():
    assert judged(record(reply="prose")).opinion.reason.startswith("malformed recorded answer: not JSON")


def test_who_was_asked():
    nobody = replace(results.verdict(), digests=Digests(evidence="e", policy="p"), gaps=())
    assert record().asked
    assert not replace(record(), verdict=nobody).asked
    assert replace(record(), verdict=replace(nobody, gaps=(GAP,))).asked
