"""The judge of logs: cases an engineer would recognise, each with the verdict that they would give."""

from dataclasses import replace
from datetime import timedelta

import pytest

from rollout_verdict.core.comparison import LogOutcome
from rollout_verdict.core.evidence import Level, LogKind
from rollout_verdict.core.logs.judge import LogPolicy, judge_logs
from rollout_verdict.core.values import Pair, Severity
from tests.core.log_builders import START, WINDOW, burst, logs, pattern, spread, traffic, untimed

SERVED = pattern("GET <*> served", (400, 410), (405,))
POLICY = LogPolicy()


def judged(*patterns, metrics=None, window=WINDOW, **more):
    return judge_logs(logs(*patterns, **more), metrics, window, POLICY)


def change(comparison, template):
    (found,) = [one for one in comparison.changes if one.pattern.template == template]
    return found


def harm(comparison):
    return [one.pattern.template for one in comparison.changes if one.severity is Severity.FAIL]


def test_identical_sides():
    """Nothing differs, and that is said with numbers."""
    result = judged(SERVED, pattern("cache miss", (40, 38), (41,)))
    assert result.adequate
    assert not any(one.significant for one in result.changes)
    assert change(result, "GET <*> served").outcome is LogOutcome.UNCHANGED
    assert "no difference beyond chance" in result.changes[0].reason


@pytest.mark.parametrize("trouble", [{"level": Level.ERROR}, {"kind": LogKind.TRACE}, {"status": "5xx"}])
def test_a_new_error_is_harm(trouble):
    """By level, trace or status, thirty of four hundred."""
    result = judged(SERVED, pattern("checkout broke", (0, 0), (30,), **trouble))
    one = change(result, "checkout broke")
    assert (one.id, one.outcome, one.severity, one.significant) == ("l1", LogOutcome.NEW, Severity.FAIL, True)
    assert one.reason.startswith("new ")
    assert "message: 30 on the canary (1 of 1 pod), 0 on stable (0 of 2 pods), 9 against 0 a minute" in one.reason
    assert one.reason.endswith("times as often (q < 0.001)")


def test_a_risen_error_is_harm():
    """Five times as many as on stable."""
    result = judged(SERVED, pattern("checkout broke", (20, 22), (110,), level=Level.ERROR))
    assert change(result, "checkout broke").outcome is LogOutcome.RISEN
    assert harm(result) == ["checkout broke"]


def test_few_new_errors_are_listed_only():
    """Three errors are seen and not judged."""
    one = change(judged(SERVED, pattern("checkout broke", (0, 0), (3,), level=Level.ERROR)), "checkout broke")
    assert (one.outcome, one.severity) == (LogOutcome.TOO_FEW, Severity.INFO)
    assert "too few to judge" in one.reason


def test_errors_of_one_pod_of_several():
    """One pod may be a bad node: two pods have to see a new error where there are two."""
    result = judged(
        pattern("served", (400, 400), (400, 400)),
        pattern("disk broke", (0, 0), (40, 0), level=Level.ERROR),
        metrics=traffic((5, 5), (5, 0.001)),
    )
    assert not harm(result)


def test_new_on_one_pod_of_many():
    """Beyond chance, but on a single pod: it may be a bad node, so it is a doubt and no harm."""
    result = judged(
        *(untimed(pattern(name, (400, 400), (400, 1))) for name in ("served", "cached")),
        untimed(pattern("disk broke", (0, 0), (40, 0), level=Level.ERROR)),
        metrics=traffic((5, 5), (5, 0.0001)),
    )
    found = change(result, "disk broke")
    assert (found.outcome, found.severity) == (LogOutcome.NEW, Severity.WARN)


def test_errors_are_held_against_requests():
    """A canary with four times the traffic may have four times the errors."""
    errors = pattern("upstream reset", (20, 22), (85,), level=Level.ERROR)
    assert harm(judged(SERVED, errors))
    result = judged(pattern("GET <*> served", (400, 410), (1620,)), errors, metrics=traffic((5, 5), (20,)))
    assert result.exposure_unit == "requests"
    assert not harm(result)


def test_very_rare_errors_are_a_warning():
    """Beyond chance but below two in a thousand requests."""
    result = judged(
        SERVED, pattern("checkout broke", (0, 0), (16,), level=Level.ERROR), metrics=traffic((50, 50), (50,))
    )
    assert change(result, "checkout broke").severity is Severity.WARN


def test_an_outage_of_both_sides_is_not_the_canarys():
    """The same errors at the same rate on both sides."""
    outage = tuple(burst(60, at=9))
    result = judged(
        SERVED, pattern("database gone", (60, 60), (60,), level=Level.ERROR, rows=((outage, outage), (outage,)))
    )
    assert result.adequate
    assert not harm(result)


def test_both_sides_failing():
    """Errors are most of what both sides say: nobody can tell."""
    result = judged(pattern("queue gone", (80, 80), (80,), level=Level.ERROR))
    assert not result.adequate
    assert result.reason.startswith("both sides fail alike")


def test_failures_told_at_warn():
    """Words of failure at a real share of the work."""
    told = pattern("snapshot unavailable, user sees an apology", (0, 0), (30,), level=Level.WARN)
    assert harm(judged(SERVED, told)) == [told.template]


def test_rare_failures_told_at_warn():
    """Below one in a hundred it is a warning."""
    told = pattern("snapshot unavailable, user sees an apology", (0, 0), (30,), level=Level.WARN)
    result = judged(SERVED, told, metrics=traffic((50, 50), (50,)))
    assert change(result, told.template).severity is Severity.WARN


@pytest.mark.parametrize(
    ("template", "level"),
    [
        ("option --fast is deprecated and will be removed, expect errors", Level.WARN),
        ("pool has 12 idle connections", Level.WARN),
        ("probe failed, trying the next", Level.DEBUG),
        ("page rendered twice", Level.INFO),
        ("stats errors=<*> seen", Level.INFO),
        ("flags retry-on-failure, error-reporting", Level.INFO),
    ],
)
def test_new_talk_is_no_harm(template, level):
    """Deprecations, chatter, debug output and words inside names are differences without harm."""
    result = judged(SERVED, pattern(template, (0, 0), (60,), level=level))
    assert change(result, template).outcome is LogOutcome.NEW
    assert not harm(result)


def test_failures_told_at_info():
    """Ten times or more at INFO count; a few do not, words are weak evidence."""
    assert harm(judged(SERVED, pattern("payment refused by bank", (0, 0), (40,)))) == ["payment refused by bank"]
    fixed = [pattern(f"step {chr(97 + n % 26)}{chr(97 + n // 26)}", (2, 2), (2,)) for n in range(60)]
    result = judged(*fixed, pattern("payment refused by bank", (0, 0), (4,)))
    assert change(result, "payment refused by bank").significant
    assert not harm(result)


def test_more_client_errors():
    """A rise of 4xx at a real share of the work is harm; a small one is not."""
    assert harm(judged(SERVED, pattern("POST <*>", (4, 5), (60,), status="4xx"))) == ["POST <*>"]
    small = judged(SERVED, pattern("POST <*>", (4, 5), (60,), status="4xx"), metrics=traffic((50, 50), (50,)))
    assert not harm(small)
    assert change(small, "POST <*>").significant


def test_many_kinds_of_error_add_up():
    """Errors that shatter into rare patterns are found by their sum."""
    nothing = spread(0), spread(0)
    kinds = [
        pattern(f"broken part {chr(97 + n)}", (0, 0), (3,), level=Level.ERROR, rows=(nothing, (burst(3, at=2 * n),)))
        for n in range(10)
    ]
    assert harm(judged(SERVED, *kinds)) == ["all errors and traces"]


def test_a_reworded_message_is_one_change():
    """Old and new wording are paired, named and harmless."""
    result = judged(
        SERVED,
        pattern("order was shipped to customer", (90, 90), (0,)),
        pattern("order was shipped to the customer", (0, 0), (88,)),
    )
    one = change(result, "order was shipped to the customer")
    assert (one.outcome, one.reworded_from) == (LogOutcome.REWORDED, "order was shipped to customer")
    assert not harm(result)


def test_a_new_format_is_no_loss():
    """Everything is gone and as much else is there."""
    result = judged(pattern("alpha beta gamma", (300, 300), (0,)), pattern("one two three", (0, 0), (310,)))
    assert change(result, "alpha beta gamma").outcome is LogOutcome.VANISHED
    assert "changed the other way" in change(result, "alpha beta gamma").reason
    assert not harm(result)


def test_reworded_errors_are_no_new_errors():
    """An error in other words, as often as before; and more of them than before."""
    before = pattern("alpha beta gamma", (30, 31), (0,), level=Level.ERROR)
    assert not harm(judged(SERVED, before, pattern("one two three", (0, 0), (33,), level=Level.ERROR)))
    assert "one two three" in harm(judged(SERVED, before, pattern("one two three", (0, 0), (150,), level=Level.ERROR)))


def test_an_everyday_message_gone_without_replacement():
    """A step of every request that the canary never takes."""
    result = judged(SERVED, pattern("price looked up", (120, 125), (0,)))
    assert harm(result) == ["price looked up"]
    assert change(result, "price looked up").reason.startswith("message gone: 0 on the canary")


def test_debug_output_is_no_replacement():
    """Debug logging that was switched on does not stand in for a lost message."""
    lost, chatter = pattern("price looked up", (120, 125), (0,)), pattern("entering", (0, 0), (500,), level=Level.DEBUG)
    assert harm(judged(SERVED, lost, chatter)) == ["price looked up"]


def test_little_else_is_no_replacement():
    """A few new lines do not stand in for many lost ones."""
    result = judged(SERVED, pattern("price looked up", (120, 125), (0,)), pattern("hello world", (0, 0), (5,)))
    assert "price looked up" in harm(result)


def test_fewer_by_requests():
    """By requests a step that comes a third as often is lost work; by time alone it may be less traffic."""
    patterns = (SERVED, pattern("price looked up", (120, 125), (35,)))
    assert harm(judged(*patterns, metrics=traffic((5, 5), (5,)))) == ["price looked up"]
    result = judged(*patterns)
    assert change(result, "price looked up").outcome is LogOutcome.FALLEN
    assert not harm(result)


def test_fewer_errors_are_good():
    """A fixed error is no harm."""
    result = judged(SERVED, pattern("checkout broke", (60, 62), (0,), level=Level.ERROR))
    assert change(result, "checkout broke").outcome is LogOutcome.VANISHED
    assert not harm(result)


def taken(count, *, every=1):
    """Orders by time bucket, uneven as real ones; ``every`` second one is ended."""
    return tuple((3 + n % 5) * count // every for n in range(20))


def flow(template, stable, canary):
    return pattern(template, [sum(row) for row in stable], [sum(row) for row in canary], rows=(stable, canary))


def test_work_that_is_not_ended():
    """Orders are taken and half of them never shipped, without an error."""
    result = judged(
        flow("order taken", (taken(2), taken(2)), (taken(2),)),
        flow("order shipped", (taken(2), taken(2)), (taken(2, every=2),)),
    )
    one = change(result, "order shipped")
    assert harm(result) == ["order shipped"]
    assert one.outcome is LogOutcome.FALLEN
    assert "of its partner 'order taken'" in one.reason


def test_work_that_is_never_ended():
    """No order is shipped at all, and nothing takes the place of it."""
    result = judged(
        flow("order taken", (taken(2), taken(2)), (taken(2),)),
        flow("order shipped", (taken(2), taken(2)), ((0,) * 20,)),
    )
    assert change(result, "order shipped").outcome is LogOutcome.VANISHED
    assert harm(result) == ["order shipped"]


def test_an_end_in_other_words():
    """The end is logged in other words: not lost."""
    result = judged(
        flow("order taken", (taken(2), taken(2)), (taken(2),)),
        flow("parcel handed over", (taken(2), taken(2)), ((0,) * 20,)),
        flow("courier has it now", ((0,) * 20, (0,) * 20), (taken(2),)),
    )
    assert not harm(result)


def test_a_begin_logged_twice():
    """The begin is logged twice, the end as often as ever: nothing is lost."""
    result = judged(
        flow("order taken", (taken(2), taken(2)), (taken(4),)),
        flow("order shipped", (taken(2), taken(2)), (tuple(n + 1 for n in taken(2)),)),
    )
    assert not harm(result)


def steps(canary, count=60):
    """A fixed workload of many kinds of step, all taken twice on each stable pod."""
    return [pattern(f"step {chr(97 + n % 26)}{chr(97 + n // 26)}", (2, 2), (canary(n),)) for n in range(count)]


FAILED = pattern("order <*> failed", (0, 0), (0, 200), level=Level.ERROR)
TWO = pattern("GET <*> served", (400, 410), (0, 405))


def unread(evidence, **why):
    """The first canary pod left no events, for the reason given."""
    first, second = evidence.pods.canary
    return replace(evidence, pods=replace(evidence.pods, canary=(replace(first, **why), second)))


@pytest.mark.parametrize("why", [{"containers": ()}, {"partial": "not read whole before the deadline"}])
def test_a_pod_that_was_not_read_is_not_a_silent_one(why):
    """It neither thins the rates of its side nor counts among the pods that ought to know a message."""
    found = change(judge_logs(unread(logs(TWO, FAILED), **why), None, WINDOW, POLICY), "order <*> failed")
    assert "200 on the canary (1 of 1 pod read)" in found.reason
    assert (found.outcome, found.severity) == (LogOutcome.NEW, Severity.WARN), "the others may not have it"
    alike = judge_logs(unread(logs(TWO), **why), None, WINDOW, POLICY)
    assert change(alike, "GET <*> served").ratio == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize(("why", "served"), [({"partial": "the node is gone"}, 400.0), ({"containers": ()}, 800.0)])
def test_requests_of_a_side_are_those_of_its_unread_pods_as_well(why, served):
    """The traffic of the side is shared out among all pods that run; one that has no log yet has taken none of it."""
    metrics = traffic((4,), (4,))
    metrics = replace(metrics, series=metrics.series.map(lambda side: tuple(replace(one, pod="") for one in side)))
    result = judge_logs(unread(logs(TWO, FAILED), **why), metrics, WINDOW, POLICY)
    assert result.exposure == Pair(stable=800.0, canary=served)


def test_an_empty_log_is_that_of_a_silent_pod():
    """A log that was read to its end and held nothing is a finding about its pod."""
    result = judge_logs(logs(TWO, FAILED), None, WINDOW, POLICY)
    assert "200 on the canary (1 of 2 pods)" in change(result, "order <*> failed").reason


def test_an_error_of_one_pod_all_through_the_window():
    """It may be a bad node, so it is no harm by itself; but nobody may call it too rare."""
    served = pattern("GET <*> served", (400, 410), (200, 205))
    result = judged(served, FAILED)
    found = change(result, "order <*> failed")
    assert (found.outcome, found.severity, found.significant) == (LogOutcome.NEW, Severity.WARN, True)
    assert "on few pods, all through the window: 200 on the canary (1 of 2 pods)" in found.reason


@pytest.mark.parametrize(
    "calm",
    [
        pattern("x <*>", (0, 0), (0, 200), level=Level.ERROR, rows=((burst(0), burst(0)), (burst(0), burst(200)))),
        pattern("x <*>", (0, 0), (0, 9), level=Level.ERROR),
        pattern("x <*>", (0, 0), (0, 200), level=Level.WARN),
        untimed(pattern("x <*>", (0, 0), (0, 200), level=Level.ERROR)),
    ],
    ids=["a burst", "few", "no error", "no times"],
)
def test_a_burst_of_one_pod_is_not_told_from_chance(calm):
    """Nor is what comes seldom, or what is no error."""
    result = judged(pattern("GET <*> served", (400, 410), (200, 205)), calm)
    assert change(result, "x <*>").severity is Severity.INFO


def test_nothing_is_missed_of_a_canary_that_was_only_tested():
    """A preview whose requests come from a smoke test does not take every step; what it does wrong counts."""
    gone = pattern("order <*> stored", (400, 410), (0,))
    assert harm(judged(SERVED, gone)) == ["order <*> stored"]
    evidence = logs(SERVED, gone, pattern("order <*> failed", (0, 0), (100,), level=Level.ERROR))
    tested = judge_logs(evidence, None, WINDOW, POLICY, tested=True)
    assert harm(tested) == ["order <*> failed"]
    assert change(tested, "order <*> stored").outcome is LogOutcome.VANISHED


def test_a_run_cut_short():
    """A third of the steps that every stable pod takes are missing."""
    result = judged(*steps(lambda n: 2 if n < 40 else 0))
    assert "steps that every stable pod takes" in harm(result)
    assert "20 of 60 kinds" in change(result, "steps that every stable pod takes").reason


def test_a_few_missing_steps():
    """Four of sixty are fewer than it takes."""
    assert "steps that every stable pod takes" not in harm(judged(*steps(lambda n: 2 if n < 56 else 0)))


def test_missing_steps_that_were_replaced():
    """The code moved: other steps are logged instead."""
    other = [pattern(f"stage {chr(97 + n)} <*>", (0, 0), (2,)) for n in range(20)]
    assert "steps that every stable pod takes" not in harm(judged(*steps(lambda n: 2 if n < 40 else 0), *other))


def test_a_log_that_stops_amid_errors():
    """The canary logs for a quarter of the time, and its last words are errors: the missing steps are lost."""
    stopped = {"canary_last": START + timedelta(seconds=50)}
    calm = judged(*steps(lambda n: 2 if n < 30 else 0), **stopped)
    assert (calm.adequate, harm(calm)) == (False, [])
    assert calm.reason == "the canary logged for 50 s only, stable pods for 200 s"
    failing = judged(*steps(lambda n: 2 if n < 30 else 0), pattern("boom", (0, 0), (2,), level=Level.ERROR), **stopped)
    assert failing.adequate
    assert "steps that every stable pod takes" in harm(failing)


@pytest.mark.parametrize(("canary", "word"), [((0,), "canary"), ((5,), "canary logged 5 events")])
def test_a_silent_canary_is_inadequate(canary, word):
    """A canary that says next to nothing cannot have lost anything."""
    result = judged(pattern("served", (400, 400), canary))
    assert not result.adequate
    assert word in result.reason
    assert not harm(result)


def test_nobody_logs():
    """Without a single event both sides are named."""
    assert judged(pattern("served", (0, 0), (0,))).reason == "there are no log events of stable and canary"


def test_a_silent_stable_side():
    """Nothing to compare with."""
    assert judged(pattern("served", (3, 3), (400,))).reason == "stable logged 6 events, fewer than 20"


def test_no_requests_for_the_canary():
    """By the traffic metric the canary did next to nothing."""
    result = judged(SERVED, metrics=traffic((5, 5), (0.01,)))
    assert result.reason == "the canary served 2 requests, fewer than 5"


def test_without_window_and_times():
    """A source without times is judged by its counts."""
    result = judged(*(untimed(p) for p in (SERVED, pattern("cached", (90, 91), (89,)))), window=None, timed=False)
    assert result.adequate
    assert result.exposure_unit == "events"


def test_a_window_without_times():
    """With a window but no times nobody knows how long a pod logged."""
    assert judged(untimed(SERVED), timed=False).adequate


def test_families_are_told():
    """Five messages of one logger that appear together are one story."""
    new = [
        pattern(f"broken part {chr(97 + n)} of shop", (0, 0), (20,), level=Level.ERROR, logger="shop") for n in range(5)
    ]
    result = judged(SERVED, *new)
    assert "5 messages of shop moved together" in change(result, "broken part a of shop").reason


def test_order_and_ids():
    """Harm first, ids in that order, whatever order the patterns came in."""
    patterns = [SERVED, pattern("checkout broke", (0, 0), (30,), level=Level.ERROR), pattern("chatter", (0, 0), (60,))]
    first, second = judged(*patterns), judged(*patterns[::-1])
    assert [one.id for one in first.changes] == ["l1", "l2", "l3"]
    assert first.changes[0].pattern.template == "checkout broke"
    assert first == second
