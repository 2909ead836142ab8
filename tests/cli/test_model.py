"""The commands with a model, over the whole path: environment, HTTP, verdict, report. The server is the fake one."""

import json
from pathlib import Path

import pytest

from rollout_verdict.adapters.gemini import GeminiJudge
from rollout_verdict.core.canonical import digest
from tests.fakes.gemini import FakeGemini
from tests.test_golden import BUNDLES

KEY = "AIza" + "SyTESTONLY" + "x" * 25


@pytest.fixture
def ask(run, monkeypatch):
    """Return a function that runs a command against a fake server, and gives what ran and the server."""

    def command(fake, *arguments):
        monkeypatch.setenv("GEMINI_API_KEY", KEY)
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", fake.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        ran = run(*arguments)
        assert KEY not in ran.out + ran.err
        return ran

    return command


def test_the_demo_asks_gemini_when_there_is_a_key_and_says_so(ask, tmp_path):
    with FakeGemini() as fake:
        ran = ask(fake, "demo", "--output", tmp_path)
    assert ran.code == 0
    assert ran.out.count("Gemini (gemini-3.8-flash) was asked; decided by both.") == 2
    assert "== bad: rollback" in ran.out
    assert "== good: promote" in ran.out
    assert len(fake.journal) == 2
    assert all(KEY not in page.read_text() for page in tmp_path.glob("*.html"))


def test_the_demo_says_why_gemini_had_no_part(ask, tmp_path):
    with FakeGemini(script={"*": ["prose"]}) as fake:
        ran = ask(fake, "demo", "--output", tmp_path)
    assert ran.code == 0
    assert ran.out.count("Gemini was asked and gave no usable answer: ") == 2
    assert "== bad: rollback" in ran.out
    assert "== good: promote" in ran.out


def test_the_named_model_is_asked_and_no_other(ask):
    with FakeGemini() as fake:
        ran = ask(fake, "judge", BUNDLES / "new_errors", "--model", "gemini-4-argon", "-o", "json")
    result = json.loads(ran.out)
    assert result["usage"]["model"] == "gemini-4-argon"
    assert result["verdict"]["decided_by"] == "both"
    assert {entry.model for entry in fake.journal} == {"gemini-4-argon"}


def test_mode_rules_asks_nobody(ask):
    with FakeGemini() as fake:
        assert ask(fake, "judge", BUNDLES / "new_errors", "--mode", "rules").code == 0
    assert fake.journal == []


def test_an_advising_model_explains_and_does_not_decide(ask):
    with FakeGemini(script={"*": ["always_rollback"]}) as fake:
        ran = ask(fake, "judge", BUNDLES / "healthy", "--mode", "advisory", "-o", "json")
    result = json.loads(ran.out)
    assert len(fake.journal) == 1
    assert (result["verdict"]["decision"], result["verdict"]["decided_by"]) == ("promote", "rules")


def test_the_exchange_is_saved_without_the_key(ask, tmp_path):
    with FakeGemini() as fake:
        ask(fake, "judge", BUNDLES / "new_errors", "--save", tmp_path / "b")
    stored = {path.name: path.read_text() for path in (tmp_path / "b").iterdir()}
    assert sorted(stored) == ["evidence.json", "prompt.txt", "reply.json", "result.json"]
    assert all(KEY not in text for text in stored.values())
    assert "Cannot price cart" in stored["prompt.txt"]
    assert json.loads(stored["reply.json"])["decision"] == "rollback"


def test_the_shown_prompt_is_the_one_that_is_sent(ask, tmp_path):
    with FakeGemini() as fake:
        shown = ask(fake, "prompt", BUNDLES / "new_errors").out
        assert fake.journal == []
        ask(fake, "judge", BUNDLES / "new_errors", "--save", tmp_path / "b")
    assert shown == (tmp_path / "b/prompt.txt").read_text()


@pytest.fixture
def saved(ask, tmp_path):
    """Return a bundle that keeps what a model said, and how the server answered."""

    def command(*scenario, bundle="new_errors", place="b", arguments=()):
        with FakeGemini(**({"script": {"*": list(scenario)}} if scenario else {})) as fake:
            assert ask(fake, "judge", BUNDLES / bundle, "--save", tmp_path / place, *arguments).code == 0
            assert fake.journal
        return tmp_path / place

    return command


@pytest.fixture
def replayed(run, monkeypatch):
    """Return a function that replays without a key, and gives the JSON that it prints."""

    def command(bundle, *arguments):
        monkeypatch.delenv("GEMINI_API_KEY", raising=False)
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", "http://127.0.0.1:9")
        ran = run("replay", bundle, "-o", "json", *arguments)
        assert ran.code == 0
        return json.loads(ran.out)

    return command


@pytest.mark.parametrize(
    ("scenario", "bundle", "arguments"),
    [
        ((), "new_errors", ()),
        (("always_rollback",), "healthy", ()),
        (("always_rollback",), "healthy", ("--mode", "advisory")),
        (("prose",), "new_errors", ()),  # no usable reply: the recorded gap
        (("unauthenticated",), "new_errors", ()),  # no reply at all
    ],
)
@pytest.mark.parametrize("place", ["b", "b.tar.gz"])
def test_a_replay_without_a_key_uses_the_recorded_reply(saved, replayed, run, place, scenario, bundle, arguments):
    """Same evidence, policy and reply: the same verdict in every part, and nobody is called."""
    told = replayed(saved(*scenario, bundle=bundle, place=place, arguments=arguments))
    assert told["before"]["digests"]["prompt"]
    assert told["after"] == told["before"]
    assert told["changed"] == {}


def test_a_replay_with_the_recorded_reply_says_that_nothing_changed(saved, run, monkeypatch):
    bundle = saved()
    monkeypatch.delenv("GEMINI_API_KEY")
    assert "nothing changed" in run("replay", bundle).out


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("reply.json", lambda text: text[: len(text) // 2]),
        ("reply.json", lambda text: text.replace('"rollback"', '"promote"')),
        ("reply.json", lambda _: ""),
        ("prompt.txt", lambda text: text + "one more"),
    ],
)
def test_a_recorded_exchange_that_was_changed_does_not_count(saved, replayed, name, change):
    """The rules decide alone, and the gap says why."""
    bundle = saved()
    (bundle / name).write_text(change((bundle / name).read_text()))
    told = replayed(bundle)
    assert (told["before"]["decided_by"], told["after"]["decided_by"]) == ("both", "rules (fallback)")
    (gap,) = told["changed"]["gaps new"]
    assert gap["reason"] == f"{name} is not what result.json was made from"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text[: len(text) // 2], "malformed recorded answer: not JSON"),
        (lambda text: text.replace('"evidence_id": "', '"evidence_id": "z'), "ungrounded recorded answer: there is no"),
    ],
)
def test_a_recorded_reply_is_held_to_the_same_checks(saved, replayed, change, said):
    """Even where somebody made the digests fit."""
    bundle = saved()
    reply = change((bundle / "reply.json").read_text())
    result = json.loads((bundle / "result.json").read_bytes())
    assert digest(reply) != result["verdict"]["digests"]["reply"]
    result["verdict"]["digests"]["reply"] = digest(reply)
    (bundle / "reply.json").write_text(reply)
    (bundle / "result.json").write_text(json.dumps(result))
    told = replayed(bundle)
    assert told["after"]["decided_by"] == "rules (fallback)"
    assert told["changed"]["gaps new"][0]["reason"].startswith(said)


def test_a_replay_by_the_rules_leaves_the_recorded_reply_alone(saved, replayed):
    told = replayed(saved(), "--mode", "rules")
    assert told["after"]["decided_by"] == "rules"
    assert told["after"]["digests"]["reply"] == ""


def test_a_recorded_reply_under_another_policy(saved, replayed):
    """The reply stays, the table reads it otherwise."""
    bundle = saved("always_rollback", bundle="healthy")
    told = replayed(bundle, "--min-confidence", "100")
    assert (told["before"]["row"], told["after"]["row"]) == (6, 9)
    assert "reply digest" not in told["changed"]


def test_a_named_model_that_fails_says_why(saved, ask):
    bundle = saved()
    with FakeGemini(script={"*": ["unauthenticated"]}) as fake:
        ran = ask(fake, "replay", bundle, "--model", "gemini-4-argon")
        assert [entry.model for entry in fake.journal] == ["gemini-4-argon"]
    assert "  gap new: the model's opinion: access refused: HTTP 401" in ran.out


def test_a_replay_with_another_answer_shows_what_changed(ask, run, tmp_path):
    run("judge", BUNDLES / "healthy", "--save", tmp_path / "b")
    with FakeGemini(script={"*": ["always_rollback"]}) as fake:
        ran = ask(fake, "replay", tmp_path / "b", "--model", "gemini-4-argon", "-o", "json")
    changed = json.loads(ran.out)["changed"]
    assert "prompt digest" in changed
    assert "evidence digest" not in changed


def test_cases_are_scored_with_the_model_in_one_process(ask, tmp_path):
    case = tmp_path / "x-1"
    case.mkdir()
    for path in (BUNDLES / "new_errors").rglob("*"):
        target = case / path.relative_to(BUNDLES / "new_errors")
        target.mkdir(exist_ok=True, parents=True) if path.is_dir() else target.write_bytes(Path(path).read_bytes())
    document = json.loads((case / "case.json").read_bytes()) | {"expected": {"verdict": "rollback"}}
    (case / "case.json").write_text(json.dumps(document))
    with FakeGemini() as fake:
        report = json.loads(ask(fake, "evaluate", tmp_path, "-o", "json").out)
    assert (report["total"], report["correct"]) == (1, 1)
    assert len(fake.journal) == 1


def test_a_service_that_is_not_there_is_told_by_its_address(ask):
    with FakeGemini() as fake:
        gone = fake
    assert f"ConnectError at {gone.url.removeprefix('http://')}" in ask(gone, "judge", BUNDLES / "new_errors").out


def test_the_model_is_closed_at_the_end_of_the_command(ask, monkeypatch):
    """Whether the command went well or not."""
    closed = []
    close = GeminiJudge.close

    def closing(judge):
        closed.append(judge)
        close(judge)

    monkeypatch.setattr(GeminiJudge, "close", closing)
    with FakeGemini() as fake:
        assert ask(fake, "judge", BUNDLES / "new_errors").code == 0
        assert ask(fake, "judge", BUNDLES / "new_errors", "nowhere").code == 2
    assert len(closed) == 2
