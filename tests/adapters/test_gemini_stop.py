"""A judge of one measurement: less time, another first model, and a word to stop that reaches the call under way."""

import threading

from rollout_verdict.core.policy import Policy
from rollout_verdict.core.redaction.redact import Redactor
from rollout_verdict.core.values import Gap, Opinion
from rollout_verdict.engine import ask, examine
from rollout_verdict.jobs.running import Stop
from tests.adapters.canaries import healthy
from tests.adapters.gemini import FIRST, THIRD, calls, model

CASE = examine(healthy(), Policy(), Redactor())


def test_a_word_to_stop_ends_the_call_under_way_and_counts_against_nobody():
    """The caller is let go at once, with a gap, and the breaker has not heard of a failure."""
    with model("stall", breaker_failures=1, total_timeout_s=60.0) as (fake, judging):
        stop = Stop()
        answers = []
        caller = threading.Thread(target=lambda: answers.append(ask(judging.within(60.0, stop), CASE)))
        caller.start()
        while not fake.journal:
            stop.wait(0.01)
        stop.give()
        caller.join(10.0)
        assert not caller.is_alive()
        assert isinstance(answers[0].opinion, Gap)
        fake.script = {}
        assert isinstance(ask(judging, CASE).opinion, Opinion)  # with one failure the breaker would refuse


def test_a_word_given_before_the_call_lets_none_begin_to_matter():
    """A stop given early ends the call as soon as it is made."""
    with model("stall", total_timeout_s=60.0) as (_, judging):
        stop = Stop()
        stop.give()
        assert isinstance(ask(judging.within(60.0, stop), CASE).opinion, Gap)


def test_a_measurement_may_have_less_time_than_the_operator_allows_but_not_more():
    """The shorter of the two counts."""
    with model("stall", total_timeout_s=0.2) as (_, judging):
        told = ask(judging.within(60.0), CASE).opinion
    assert "within 0.2 s" in told.reason
    with model("stall", total_timeout_s=60.0) as (_, judging):
        told = ask(judging.within(0.3), CASE).opinion
    assert "within 0.3 s" in told.reason


def test_a_measurement_may_name_its_first_model():
    """The others of the chain stay behind it."""
    with model() as (fake, judging):
        ask(judging.within(60.0, model=THIRD), CASE)
        assert [entry.model for entry in fake.journal] == [THIRD]
        ask(judging.within(60.0), CASE)
        assert fake.journal[-1].model == FIRST
        assert len(calls(fake)) == 2
