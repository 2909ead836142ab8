"""Analyses from start to end, on both databases, through the seam that the doors use."""

import io
import tarfile
import threading
from dataclasses import replace

import pytest
import sqlalchemy as sa

from rollout_verdict.adapters.bundle import BundleError, read_bundle, read_record, write_bundle
from rollout_verdict.adapters.gemini.prices import Prices
from rollout_verdict.core.canonical import digest
from rollout_verdict.core.target import TargetError
from rollout_verdict.core.values import Decision, SourceKind
from rollout_verdict.jobs import codec
from rollout_verdict.jobs.analysis import Gathered, Phase, Query, Request
from rollout_verdict.jobs.answers import Limits
from rollout_verdict.service.metrics import STAGES
from tests.conftest import ROOT
from tests.jobs.conftest import BAD, GOOD, UNLIMITED, Live, ended, service, until
from tests.jobs.process import request


def packed(name):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        tar.add(ROOT / "examples" / "bundles" / name, arcname=name)
    return content.getvalue()


def upload(key, analysis_id="one", **changes):
    return Request(id=analysis_id, namespace="shop", name="checkout", upload=key, **changes)


class Channel:
    name = "channel"

    def __init__(self):
        self.told = []
        self.error = None

    def __call__(self, request, result):
        self.told.append((request.id, result.verdict.decision))
        if self.error is not None:
            raise self.error


def test_an_uploaded_bundle_is_judged_kept_and_handed_out(database, tmp_path):
    """The whole way without a key: verdict in the list's columns, result and bundle the same as were judged."""
    with service(database) as analyses:
        key = analyses.keep_upload(packed("bad")).key
        analysis, new = analyses.start(upload(key))
        assert (analysis.phase, new) == (Phase.QUEUED, True)
        done = ended(analyses, "one")
        assert done.phase is Phase.DONE
        assert done.started >= done.created
        assert done.finished >= done.started
        assert done.summary.decision is Decision.ROLLBACK
        assert done.stages[-1].name == "judge"
        result = analyses.result("one")
        assert result.verdict.digests.evidence == key == done.summary.digest == digest(result.evidence)
        path = tmp_path / "bundle.tar.gz"
        path.write_bytes(analyses.bundle("one"))
        assert read_bundle(path) == result.evidence
        assert read_record(path).verdict == result.verdict


def test_starting_twice_starts_once(database, fake):
    """The same id finds the analysis that is there, whether it runs or is done, and nothing is asked again."""
    live = Live()
    live.go.clear()
    with service(database, live, fake) as analyses:
        assert analyses.start(request("one"))[1]
        assert live.begun.wait(60)
        assert not analyses.start(request("one"))[1]
        live.go.set()
        ended(analyses, "one")
        again, new = analyses.start(request("one"))
        assert (again.phase, new) == (Phase.DONE, False)
    assert live.looked == ["one"]
    assert len(fake.journal) == 1


def test_what_is_not_there_is_an_error_with_the_message_for_people(sqlite):
    """A target that does not exist, an invalid configuration, an upload that is gone: never a verdict."""
    live = Live()
    live.error = TargetError("there is no rollout checkout in shop")
    with service(sqlite, live) as analyses:
        analyses.start(request("one"))
        assert ended(analyses, "one").message == "there is no rollout checkout in shop"
        analyses.start(request("two", window="-3m"))
        assert "window" in ended(analyses, "two").message
        analyses.start(upload("0" * 64, "three"))
        assert "not kept any more" in ended(analyses, "three").message
        assert {analyses.get(one).phase for one in ("one", "two", "three")} == {Phase.ERROR}
        assert analyses.result("one") is None
        assert analyses.bundle("one") is None


def test_broken_machinery_is_an_error_that_quotes_nothing(sqlite):
    """An exception nobody foresaw may hold anything, so only its kind is told."""
    live = Live()
    live.error = RuntimeError("password=hunter2-hunter2")
    with service(sqlite, live) as analyses:
        analyses.start(request("one"))
        message = ended(analyses, "one").message
    assert "RuntimeError" in message
    assert "hunter2" not in message


def test_unknown_analyses(sqlite):
    """None everywhere, no exception."""
    with service(sqlite) as analyses:
        assert analyses.get("no") is analyses.cancel("no") is analyses.result("no") is analyses.bundle("no") is None


def test_a_bundle_tells_whose_it_is(sqlite, tmp_path):
    """The rollout that it names, without secrets; none when nothing in it names one."""
    bare = tmp_path / "bare.tar.gz"
    with tarfile.open(bare, "w:gz") as tar:
        tar.add(ROOT / "examples" / "bundles" / "good" / "metrics.json", "metrics.json")
    leaky = replace(GOOD, rollout=replace(GOOD.rollout, name="mail-alice@shop.example"))
    write_bundle(tmp_path / "leaky.tar.gz", leaky)
    with service(sqlite) as analyses:
        assert analyses.keep_upload(packed("good")).rollout == GOOD.rollout
        assert analyses.keep_upload(bare.read_bytes()).rollout is None
        assert analyses.keep_upload((tmp_path / "leaky.tar.gz").read_bytes()).rollout.name == "<email:1>"


def test_no_bundle_is_refused_by_name(sqlite):
    """The complaint speaks of the bundle, not of a temporary path."""
    with service(sqlite) as analyses, pytest.raises(BundleError, match=r"^the bundle: not a gzip file"):
        analyses.keep_upload(b"nothing of the kind")


def test_a_cancelled_analysis_ends_its_model_call(database, fake):
    """The caller of the model is let go at once, nothing is stored for it, and being cancelled is final."""
    fake.script = {"*": ["stall"]}
    with service(database, fake=fake) as analyses:
        analyses.start(request("one"))
        until(lambda: fake.journal)
        cancelled = analyses.cancel("one")
        assert cancelled.phase is Phase.CANCELLED
        until(lambda: not analyses._running.ids())
        assert analyses.get("one").phase is Phase.CANCELLED
        assert analyses.result("one") is None
        assert analyses.cancel("one") == analyses.get("one")
    assert len(fake.journal) == 1


def test_a_call_that_was_cancelled_gives_its_place_free(database, fake):
    """Who starts and cancels must not keep others from the model, however long a deadline they ask for."""
    fake.script = {"*": ["stall"]}
    with service(database, Live(), fake, limits=Limits(calls=1, calls_a_minute=None)) as analyses:
        analyses.start(request("one", deadline="1000h", deadlines={"model": "1000h"}))
        until(lambda: fake.journal)
        analyses.cancel("one")
        until(lambda: not analyses._running.ids())
        fake.script = {}
        analyses.start(request("two", deadline="20s"))
        assert ended(analyses, "two").summary.decided_by == "both"


def test_one_that_waits_is_cancelled_without_having_begun(sqlite):
    """Nobody looks at its target any more."""
    live = Live()
    live.go.clear()
    with service(sqlite, live, analyses=1) as analyses:
        analyses.start(request("one"))
        assert live.begun.wait(60)
        analyses.start(request("two"))
        analyses.cancel("two")
        live.go.set()
        ended(analyses, "one")
        analyses.start(request("three"))
        ended(analyses, "three")
    assert live.looked == ["one", "three"]


def test_an_analysis_has_a_deadline_of_its_own(database):
    """Whatever it waits for: after the configured time it is over, cancelled, with the reason."""
    live = Live()
    live.go.clear()
    with service(database, live, beat_s=0.2) as analyses:
        analyses.start(request("one", deadline="1s"))
        late = ended(analyses, "one")
        live.go.set()
        until(lambda: not analyses._running.ids())
        assert analyses.get("one") == late
    assert late.phase is Phase.CANCELLED
    assert "deadline" in late.message


def test_only_those_channels_are_told_that_the_template_names(sqlite):
    """And what a channel raises changes nothing."""
    channel, other = Channel(), Channel()
    channel.error = OSError("no route")
    other.name = "other"
    with service(sqlite, notifiers=[channel, other]) as analyses:
        analyses.start(request("one", notify=["channel"]))
        assert ended(analyses, "one").phase is Phase.DONE
        until(lambda: channel.told)
        assert analyses.get("one").phase is Phase.DONE
    assert channel.told == [("one", Decision.ROLLBACK)]
    assert other.told == []


def test_a_verdict_whose_storing_was_not_confirmed_is_told_all_the_same(sqlite):
    """The database stored it, its answer was lost, the second try finds it stored: everybody is still to be told."""
    channel = Channel()
    with service(sqlite, notifiers=[channel]) as analyses:
        end, lost = analyses._store.end, []

        def unconfirmed(*arguments, **named):
            ended = end(*arguments, **named)
            if not lost:
                lost.append(ended)
                raise sa.exc.OperationalError("commit", {}, ConnectionResetError())
            return ended

        analyses._store.end = unconfirmed
        analyses.start(request("one", notify=["channel"]))
        assert ended(analyses, "one").phase is Phase.DONE
        until(lambda: channel.told)
    assert lost == [True]


def test_the_same_evidence_is_answered_from_the_store(database, fake):
    """No second call, no second cost; another policy is another question, and a replay asks anew."""
    with service(database, Live(), fake) as analyses:
        key = analyses.keep_upload(packed("bad")).key
        analyses.start(upload(key, "one"))
        first = ended(analyses, "one").summary
        analyses.start(upload(key, "two"))
        second = ended(analyses, "two").summary
        assert len(fake.journal) == 1
        assert (second.decision, second.confidence, second.model) == (first.decision, first.confidence, first.model)
        assert (second.tokens, second.cost_usd) == (0, 0.0)
        assert "analysis one" in analyses.result("two").warnings[0]
        analyses.start(upload(key, "three", config={"minConfidence": 60}))
        ended(analyses, "three")
        assert len(fake.journal) == 2
        analyses.start(Request(id="four", namespace="shop", name="checkout", replay_of="one"))
        replay = ended(analyses, "four").summary
        assert len(fake.journal) == 3
        assert replay.digest == first.digest


def test_an_unusable_answer_answers_for_nobody_else(sqlite, fake):
    """What failed once may work the next time."""
    fake.script = {"*": ["bad_key", "citing"]}
    with service(sqlite, fake=fake) as analyses:
        key = analyses.keep_upload(packed("good")).key
        analyses.start(upload(key, "one"))
        assert ended(analyses, "one").summary.decided_by == "rules (fallback)"
        analyses.start(upload(key, "two"))
        assert ended(analyses, "two").summary.decided_by == "both"


def test_beyond_a_namespaces_day_the_rules_decide(database, fake):
    """The limit is told as a gap; another namespace has its own."""
    limits = Limits(calls=None, calls_a_minute=None, tokens_a_day=1)
    with service(database, Live(), fake, limits=limits) as analyses:
        for one, namespace in (("one", "shop"), ("two", "shop"), ("three", "other")):
            analyses.start(Request(id=one, namespace=namespace, name=one, target=request(one).target))
            assert ended(analyses, one).phase is Phase.DONE
        gaps = [gap for gap in analyses.result("two").verdict.gaps if gap.source is SourceKind.MODEL]
        assert "tokens a day are used up in namespace shop" in gaps[0].reason
        assert analyses.get("two").summary.decided_by == "rules (fallback)"
        assert analyses.get("three").summary.decided_by == "both"
    assert len(fake.journal) == 2


def test_a_model_without_a_known_price_reaches_the_days_limit_too(sqlite, fake, monkeypatch):
    """It counts as the dearest one whose price is known: nothing is free because nobody knows what it costs."""
    monkeypatch.setattr(Prices, "on", lambda *_: None)  # the vendor has a new model, and the price file does not yet
    limits = Limits(calls=None, calls_a_minute=None, cost_a_day_usd=0.0001)
    with service(sqlite, Live(), fake, limits=limits) as analyses:
        for name in ("one", "two"):
            analyses.start(request(name))
            assert ended(analyses, name).phase is Phase.DONE
        assert (analyses.get("one").summary.decided_by, analyses.get("one").summary.cost_usd) == ("both", None)
        gaps = [gap for gap in analyses.result("two").verdict.gaps if gap.source is SourceKind.MODEL]
        assert "a day are used up in namespace shop" in gaps[0].reason
    assert len(fake.journal) == 1


def test_those_who_wait_for_a_turn_are_held_to_the_days_limit_too(database, fake):
    """The limit was not reached when they began to wait; it is when their turn comes."""
    limits = Limits(calls=1, calls_a_minute=None, tokens_a_day=1)
    with service(database, Live(), fake, limits=limits) as analyses:
        one_after_the_other(analyses, request("one"), request("two"))
        assert analyses.get("one").summary.decided_by == "both"
        assert analyses.get("two").summary.decided_by == "rules (fallback)"
    assert len(fake.journal) == 1


def test_an_answer_that_came_while_one_waited_for_its_turn_is_taken(database, fake):
    """It was not there when the waiting began; buying it again would be throwing money away."""
    one, two = (
        Request(id=name, namespace="shop", name="checkout", target=request("checkout").target)
        for name in ("one", "two")
    )
    with service(database, Live(), fake, limits=Limits(calls=1, calls_a_minute=2)) as analyses:
        one_after_the_other(analyses, one, two)
        first, second = (analyses.get(name).summary for name in ("one", "two"))
        assert (second.decided_by, second.confidence) == (first.decided_by, first.confidence)
        assert (second.tokens, second.cost_usd) == (0, 0.0)
        assert any("analysis one" in warning for warning in analyses.result("two").warnings)
        analyses.start(request("three"))  # the turn that was not used counts for nothing
        assert ended(analyses, "three").summary.decided_by == "both"
    assert len(fake.journal) == 2


def one_after_the_other(analyses, first, second):
    """Hold the first one's call to the model until the second one waits for its turn; then wait for both."""
    begun, go = threading.Event(), threading.Event()

    class Held:
        def __init__(self, judge):
            self.judge_ = judge

        def judge(self, *arguments):
            begun.set()
            assert go.wait(60)
            return self.judge_.judge(*arguments)

    models = analyses._parts.models

    def held(*arguments):
        model = models(*arguments)
        return type(model)(judge=Held(model.judge), fingerprint=model.fingerprint)

    object.__setattr__(analyses._parts, "models", held)
    analyses.start(first)
    assert begun.wait(60)
    analyses.start(second)
    until(lambda: any(stage.note == "waiting for a turn" for stage in analyses.get(second.id).stages))
    go.set()
    for one in (first, second):
        ended(analyses, one.id)


def test_models_are_asked_in_turn(database, fake):
    """With one call allowed at a time there is never a second one under way."""
    under_way, most = [], []
    lock = threading.Lock()

    class Counting:
        def __init__(self, judge):
            self.judge_ = judge

        def judge(self, *arguments):
            with lock:
                under_way.append(1)
                most.append(len(under_way))
            try:
                return self.judge_.judge(*arguments)
            finally:
                with lock:
                    under_way.pop()

    limits = Limits(calls=1, calls_a_minute=None)
    with service(database, Live(), fake, limits=limits) as analyses:
        models = analyses._parts.models

        def counted(*arguments):
            model = models(*arguments)
            return type(model)(judge=Counting(model.judge), fingerprint=model.fingerprint)

        object.__setattr__(analyses._parts, "models", counted)
        for number in range(5):
            analyses.start(request(f"a{number}"))
        for number in range(5):
            assert ended(analyses, f"a{number}").summary.decided_by == "both"
    assert len(most) == 5
    assert max(most) == 1


def test_without_a_turn_before_the_deadline_the_model_is_a_gap(sqlite, fake):
    """A minute's calls are spent, the next one would come too late."""
    limits = Limits(calls=None, calls_a_minute=1)
    with service(sqlite, Live(), fake, limits=limits, beat_s=60.0) as analyses:
        analyses.start(request("one"))
        ended(analyses, "one")
        analyses.start(request("two", deadline="2s"))
        late = ended(analyses, "two")
        assert late.phase in (Phase.DONE, Phase.CANCELLED)  # whoever notices the deadline first
        if late.phase is Phase.DONE:
            assert late.summary.decided_by == "rules (fallback)"
    assert len(fake.journal) == 1


@pytest.mark.parametrize(
    ("wish", "phase", "decision"),
    [
        ("rules", Phase.DONE, Decision.PROMOTE),
        ("inconclusive", Phase.DONE, Decision.INCONCLUSIVE),
        ("error", Phase.ERROR, None),
    ],
)
def test_a_model_that_fails_costs_what_the_operator_said(tmp_path, fake, wish, phase, decision):
    """onModelFailure, with a model that refuses and with none at all."""
    fake.script = {"*": ["bad_key"]}
    for number, model in enumerate((fake, None)):
        with service(str(tmp_path / f"{number}.sqlite"), Live(GOOD), model) as analyses:
            analyses.start(request("one", onModelFailure=wish))
            found = ended(analyses, "one")
        assert found.phase is phase
        assert (found.summary and found.summary.decision) == decision


def test_evidence_beyond_the_cap_is_an_error(sqlite):
    """It says how much there is and what to do."""
    with service(sqlite, bundle_bytes=1000) as analyses:
        analyses.start(request("one"))
        assert "narrow the window" in ended(analyses, "one").message
        with pytest.raises(BundleError, match="packed"):
            analyses.keep_upload(packed("bad"))


def test_no_secret_of_the_configuration_is_kept(sqlite):
    """Unknown keys and those of the plugin are dropped, text is redacted."""
    secret = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCDEF"
    config = {
        "agentUrl": f"http://user:{secret}@agent",
        "colour": secret,
        "extraPrompt": f"the key is {secret}",
        "prometheus": {"address": f"http://user:{secret}@prometheus:9090"},
        "window": "10m",
        "canaryLabel": "app=shop,rollouts-pod-template-hash=7d4cc1b9f8",
    }
    with service(sqlite) as analyses:
        analyses.start(Request(id="one", namespace="shop", name="x", target=request("one").target, config=config))
        kept = analyses.get("one").request.config
        ended(analyses, "one")
    assert secret not in str(kept)
    assert set(kept) == {"extraPrompt", "prometheus", "window", "canaryLabel"}
    assert (kept["window"], kept["canaryLabel"]) == (config["window"], config["canaryLabel"])


def test_what_is_remembered_belongs_to_the_evidence(sqlite):
    """It is added before anything is judged, and is kept with the rest."""

    def recall(asked, evidence):
        return type(evidence)(**{name: getattr(GOOD, name) for name in evidence.__slots__})

    with service(sqlite, Live(BAD), recall=recall) as analyses:
        analyses.start(request("one"))
        assert ended(analyses, "one").summary.decision is Decision.PROMOTE
        assert analyses.result("one").evidence.pods == GOOD.pods


def test_the_first_evidence_that_is_kept_is_judged(database):
    """A process that was taken for dead comes back with its own, after the one that took over has gathered."""
    live = Live(BAD)
    live.go.clear()
    with service(database, live) as analyses:
        analyses.start(request("one"))
        assert live.begun.wait(60)
        first = Gathered(evidence=GOOD, redactions={"email": 7})
        assert analyses._store.keep_gathered("one", codec.packed(first), 1.0)
        live.go.set()
        assert ended(analyses, "one").summary.decision is Decision.PROMOTE
        result = analyses.result("one")
    assert result.evidence == GOOD
    assert ("email", 7) in result.redactions


def test_every_end_is_heard_of_once(sqlite):
    """Also one that somebody else brings about: who cancels, or the watch when the deadline comes."""
    heard = []
    live = Live()
    live.go.clear()
    with service(sqlite, live, on_end=lambda *end: heard.append(end[:2])) as analyses:
        analyses.start(request("cancelled"))
        analyses.start(request("late", deadline="1s"))
        assert live.begun.wait(60)
        for _ in range(2):
            analyses.cancel("cancelled")
        ended(analyses, "late")
        live.go.set()
        until(lambda: not analyses._running.ids())
        analyses.start(request("done"))
        ended(analyses, "done")
        until(lambda: len(heard) >= 3)
    assert sorted(heard) == [("cancelled", Phase.CANCELLED), ("done", Phase.DONE), ("late", Phase.CANCELLED)]


def test_it_is_told_how_long_each_part_took(sqlite, fake):
    """Once each; an upload is not gathered, a settled one asks no model, and what is kept is no call."""
    took = []
    told = Channel()
    with service(
        sqlite, Live(), fake, [told], took=lambda part, seconds: took.append((part, seconds >= 0))
    ) as analyses:
        analyses.start(request("one", notify=["channel"]))
        ended(analyses, "one")
        until(lambda: len(took) == 6)
        whole = ["gather", "rules", "model", "decide", "store", "notify"]
        assert took == [(part, True) for part in whole]
        took.clear()
        analyses.start(Request(id="two", namespace="shop", name="one", target=request("one").target))
        ended(analyses, "two")
        until(lambda: len(took) == 4)
        assert [part for part, _ in took] == ["gather", "rules", "decide", "store"]
    assert set(whole) < set(STAGES)


def test_progress_is_told_while_it_happens(sqlite):
    """Whoever listens is called, and ``get`` has the stages of what runs here."""
    live = Live()
    live.go.clear()
    heard = threading.Event()
    with service(sqlite, live) as analyses:
        undo = analyses.listen("one", heard.set)
        analyses.start(request("one"))
        live.begun.wait(60)
        assert analyses.get("one").phase is Phase.RUNNING
        live.go.set()
        ended(analyses, "one")
        assert heard.wait(60)
        undo()
        assert analyses.counts() == {}


def test_the_list_is_newest_first_in_pages(database):
    """Every analysis is on one page; filters narrow; a cursor that is none of ours is refused."""
    with service(database, Live()) as analyses:
        for number in range(5):
            namespace = "shop" if number % 2 else "other"
            analyses.start(Request(id=f"a{number}", namespace=namespace, name="x", target=request("x").target))
        for number in range(5):
            ended(analyses, f"a{number}")
        seen, cursor = [], ""
        while True:
            page = analyses.find(Query(cursor=cursor, limit=2))
            seen += [one.request.id for one in page.analyses]
            if not (cursor := page.cursor):
                break
        assert seen == ["a4", "a3", "a2", "a1", "a0"]
        for query, expected in (
            (Query(namespaces=("shop",)), ["a3", "a1"]),
            (Query(namespaces=()), []),
            (Query(decision=Decision.PROMOTE), []),
            (Query(decision=Decision.ROLLBACK, limit=1), ["a4"]),
            (Query(phase=Phase.DONE, name="x"), seen),
            (Query(name="y"), []),
            (Query(origin="page"), []),
        ):
            assert [one.request.id for one in analyses.find(query).analyses] == expected
        for nonsense in ("%", "AAAA", "bm9uZSB4"):
            with pytest.raises(ValueError, match="cursor"):
                analyses.find(Query(cursor=nonsense))


def test_what_was_left_off_is_gone_on_with_after_a_restart(database, fake):
    """Closing stops the model's call without an answer for it; the next process asks and ends the analysis."""
    fake.script = {"*": ["stall"]}
    live = Live()
    with service(database, live, fake) as analyses:
        analyses.start(request("one"))
        until(lambda: fake.journal)
    fake.script = {}
    with service(database, live, fake) as analyses:
        assert ended(analyses, "one").summary.decided_by == "both"
        assert analyses.result("one").usage.attempts == 1
    assert live.looked == ["one"]  # what had been gathered was not gathered again
    assert UNLIMITED.calls is None
