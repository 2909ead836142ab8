"""The parts of the Gemini judge on their own: parser, breaker, prices, loop, options."""

import asyncio
import json
import re
import threading
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollout_verdict.adapters.gemini import Options, load_prices, loop
from rollout_verdict.adapters.gemini.breaker import Breaker
from rollout_verdict.adapters.gemini.loop import Loop
from rollout_verdict.adapters.gemini.parse import parse
from rollout_verdict.adapters.gemini.trouble import TREATMENTS, Kind, TroubleError
from rollout_verdict.core.model.reply import Reply
from rollout_verdict.core.values import Decision, Usage

GOOD = {
    "observations": ["a"],
    "citations": [{"evidence_id": "m1", "quoted_value": "0.5", "claim": "b"}],
    "suspicious_ids": ["l1"],
    "root_cause": "",
    "next_steps": ["look"],
    "probabilities": {"promote": 0.9, "rollback": 0, "inconclusive": 0.1},
    "decision": "promote",
    "summary": "fine",
}


# The parser


def test_a_good_reply():
    """Everything arrives, whole numbers count as probabilities."""
    reply = parse(json.dumps(GOOD))
    assert reply.decision is Decision.PROMOTE
    assert dict(reply.probabilities)[Decision.ROLLBACK] == 0
    assert (reply.citations[0].evidence_id, reply.citations[0].quote, reply.suspicious) == ("m1", "0.5", ("l1",))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not JSON: Expecting value at character 0"),
        ("{", "not JSON: Expecting property name"),
        (json.dumps(GOOD) + "x", "not JSON: Extra data"),
        ("[" * 100_000, "nested too deeply"),
        ("[]", "wrong shape at the whole: Input should be a valid dictionary"),
        (json.dumps(GOOD).replace("0.9", "NaN"), "NaN is not JSON"),
        (json.dumps(GOOD).replace("0.9", "-Infinity"), "-Infinity is not JSON"),
        (json.dumps(GOOD).replace("0.9", "1.9"), "wrong shape at probabilities.promote: Input should be less than"),
        (
            json.dumps(GOOD).replace("0.9", "true"),
            "wrong shape at probabilities.promote: Input should be a valid number",
        ),
        (json.dumps(GOOD).replace('"fine"', "7"), "wrong shape at summary: Input should be a valid string"),
        (json.dumps({**GOOD, "decision": "PROMOTE"}), "wrong shape at decision: Input should be 'promote'"),
        (json.dumps({**GOOD, "extra": 1}), "wrong shape at extra: Extra inputs"),
        (json.dumps({**GOOD, "next_steps": ["x"] * 41}), "wrong shape at next_steps: List should have at most 40"),
        (json.dumps(GOOD)[:-1] + ', "decision": "rollback"}', "a key occurs twice"),
        (json.dumps({**GOOD, "decision": "rollback"}), "rollback is not the most probable"),
        ("9" * 5000, "Exceeds the limit"),
        (" " * 200_001, "the answer is 200001 characters long"),
    ],
)
def test_bad_replies(text, said):
    """The message names the place, and quotes nothing of the text."""
    with pytest.raises(ValueError, match=f"^{re.escape(said)}") as caught:
        parse(text)
    assert len(str(caught.value)) < 300


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*GOOD, "x"]), inner, max_size=9),
    max_leaves=12,
)


@settings(deadline=None)  # a slow machine is no failure
@given(st.text(max_size=100) | JSON.map(json.dumps) | st.dictionaries(st.sampled_from([*GOOD]), JSON).map(
    lambda changed: json.dumps({**GOOD, **changed})
))  # fmt: skip
def test_any_text_parses_or_raises_the_documented_error(text):
    """No other exception, whatever a model writes."""
    try:
        reply = parse(text)
    except ValueError:
        return
    assert isinstance(reply, Reply)


# The breaker


def test_the_breaker_opens_at_the_limit_and_lets_one_try_through():
    """Whoever comes second waits, even if nothing is ever heard of the first."""
    now = [0.0]
    breaker = Breaker(2, 10.0, lambda: now[0])
    assert breaker.admits()
    breaker.failed()
    assert (breaker.admits(), breaker.wait_s()) == (True, 0.0)
    now[0] = 1.0
    breaker.failed()
    assert (breaker.admits(), breaker.wait_s()) == (False, 10.0)
    now[0] = 11.0
    assert [breaker.admits(), breaker.admits()] == [True, False]
    now[0] = 21.0
    assert breaker.admits()
    breaker.failed()
    assert (breaker.admits(), breaker.wait_s()) == (False, 10.0)
    now[0] = 31.0
    assert breaker.admits()
    breaker.succeeded()
    assert [breaker.admits(), breaker.admits(), breaker.wait_s()] == [True, True, 0.0]


def test_success_in_between_counts_from_the_start():
    """Failures in a row, not in all."""
    breaker = Breaker(2, 10.0, lambda: 0.0)
    for _ in range(5):
        breaker.failed()
        breaker.succeeded()
    breaker.failed()
    assert breaker.admits()


# Prices

USED = Usage(prompt_tokens=1_000_000, cached_tokens=400_000, output_tokens=100_000, thought_tokens=100_000)


@pytest.mark.parametrize(
    ("model", "day", "cost"),
    [
        ("gemini-3.8-flash", date(2026, 12, 31), 0.75 + 0.2 * 3.75),
        ("gemini-3.8-flash", date(2027, 1, 1), 1.5 + 0.2 * 7.5),
        ("gemini-4-hydrogen", date(2026, 11, 23), 0.6 * 1.5 + 0.4 * 0.075 + 0.2 * 7.5),
        ("gemini-4-argon", date(2026, 11, 30), 0.6 * 2 + 0.4 * 0.1 + 0.2 * 10),
        ("gemini-4-argon", date(2026, 12, 1), 0.6 * 4 + 0.4 * 0.2 + 0.2 * 20),
        ("gemini-9", date(2026, 11, 23), None),
    ],
)
def test_costs(model, day, cost):
    """Cached input at its own price where it has one, thoughts as output, promotions until their day."""
    assert load_prices().cost_usd(USED, model, day) == (None if cost is None else pytest.approx(cost))


def test_the_dearest_price_stands_for_one_that_is_not_known():
    """Over all rows, also those of other days: what an unknown model costs is no less sure than that."""
    assert load_prices().dearest_usd(USED) == pytest.approx(0.6 * 4 + 0.4 * 0.2 + 0.2 * 20)


def test_more_cached_than_sent_is_not_cheaper_than_free():
    """A vendor's odd count does not make a negative cost."""
    odd = Usage(prompt_tokens=10, cached_tokens=50)
    assert load_prices().cost_usd(odd, "gemini-4-hydrogen", date(2026, 11, 23)) == pytest.approx(10 * 0.075e-6)


def test_every_row_says_where_it_is_from_and_rows_do_not_overlap():
    """A price without a source cannot be checked; two prices for a day cannot both hold."""
    prices = load_prices()
    assert prices.as_of <= date(2026, 12, 31)
    for row in prices.rows:
        assert row.source
        edges = [d for d in (row.start, row.end, prices.as_of) if d]
        for day in edges:
            assert (
                len([r for r in prices.rows if r.model == row.model and (r.start or day) <= day <= (r.end or day)]) == 1
            )
    assert all(prices.on(model, prices.as_of) for model in Options().models)


@pytest.mark.parametrize(
    "text",
    ["", "{}", '{"as_of": "today", "unit": "", "prices": []}', '{"as_of":"2026-01-01","unit":"","prices":[{"model":1}]}'],
)  # fmt: skip
def test_a_bad_price_file_is_named(tmp_path, text):
    """The operator learns which file, and pydantic says which key."""
    path = tmp_path / "prices.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"price file .*prices\.json"):
        load_prices(path)


# The loop


def test_the_loop_returns_results_and_errors():
    """From any thread, as often as asked."""
    running = Loop()

    async def seven():
        return 7

    async def fail():
        raise TroubleError(Kind.EMPTY, "")

    assert [running.run(seven, 5), running.run(seven, 5)] == [7, 7]
    with pytest.raises(TroubleError, match="empty answer"):
        running.run(fail, 5)
    running.close()
    running.close()


def test_the_deadline_holds_even_where_the_loop_is_blocked(monkeypatch):
    """A call that blocks the thread, such as a name look-up without end, does not block the caller."""
    monkeypatch.setattr(loop, "GRACE_S", 0.05)
    running, release = Loop(), threading.Event()

    async def block():
        release.wait(30)

    with pytest.raises(TimeoutError):
        running.run(block, 0.05)
    release.set()
    running.close()


def test_closing_ends_what_runs():
    """The caller hears of it as of a deadline."""
    running, started = Loop(), threading.Event()

    async def wait():
        started.set()
        await asyncio.sleep(60)

    def close():
        started.wait(10)
        running.close()

    closer = threading.Thread(target=close)
    closer.start()
    with pytest.raises(TimeoutError, match="closed"):
        running.run(wait, 30)
    closer.join()


# Options and the table


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"attempts": 0}, "model setting attempts must be at least 1, got 0"),
        ({"max_output_tokens": -1}, "max_output_tokens"),
        ({"total_timeout_s": 0}, "total_timeout_s must be a number of seconds above 0, got 0"),
        ({"attempt_timeout_s": float("inf")}, "attempt_timeout_s"),
        ({"breaker_pause_s": float("nan")}, "breaker_pause_s"),
        ({"models": ()}, "at least one model"),
        ({"base_url": "http://[broken"}, "base_url must be like https://host:port/path, without user"),
        ({"base_url": "gopher://host"}, "base_url"),
        ({"base_url": "host:80"}, "base_url"),
        ({"base_url": "https://user:password@host"}, "base_url"),
        ({"base_url": "https://exa mple"}, "base_url"),
        ({"base_url": "https://host:99999999"}, "base_url"),
        ({"models": ("",)}, "at least one model"),
    ],
)
def test_impossible_options_are_refused(options, said):
    """By name, with what was expected."""
    with pytest.raises(ValueError, match=said):
        Options(**options)


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:8089", "https://gate.way/proxy/v1/", "http://[::1]:80", "https://gemini"]
)
def test_addresses_of_gateways_are_taken(address):
    """A path prefix is kept by the SDK."""
    assert Options(base_url=address).base_url == address


def test_options_are_configured_by_a_key_or_a_project():
    """Either will do; secrets are not shown."""
    assert not Options().configured
    assert Options(api_key="k").configured
    assert Options(project="p").configured
    assert "sekrit" not in repr(Options(api_key="sekrit", credentials="sekrit"))


def test_the_table_treats_every_kind():
    """A new kind of trouble needs a decision."""
    assert set(TREATMENTS) == set(Kind)
    assert str(TroubleError(Kind.RECITATION, "")) == "answer withheld as recitation"
