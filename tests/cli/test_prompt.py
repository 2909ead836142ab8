"""``prompt``: the text on stdout is what would be sent, what there is to say about it goes to stderr."""

import json

from rollout_verdict.core.policy import Policy
from tests.adapters.bundles import CANARY, LOG, STABLE, build
from tests.test_golden import BUNDLES


def test_the_prompt_is_shown_with_its_size(run):
    ran = run("prompt", BUNDLES / "new_errors", "--extra-prompt", "Mind the tariff tables.")
    assert ran.code == 0
    assert "Cannot price cart" in ran.out
    assert "Mind the tariff tables." in ran.out
    assert "tokens" in ran.err.splitlines()[0]
    assert ran.err.splitlines()[1] == "redacted: nothing"


def test_secrets_are_counted_and_gone(run, tmp_path):
    secret = "AKIA" + "Q" * 12 + "7ABC"  # in the form of a cloud key
    noisy = b"".join(b"2026-01-31T10:00:%02dZ ERROR upload refused for %s\n" % (n, secret.encode()) for n in range(30))
    bundle = build(tmp_path / "b", logs={("stable", STABLE): LOG, ("canary", CANARY): noisy})
    ran = run("prompt", bundle)
    assert ran.code == 0
    assert secret not in ran.out
    assert "redacted: nothing" not in ran.err


def test_a_veto_needs_no_model_and_says_so(run):
    assert "a veto of the rules settles this verdict" in run("prompt", BUNDLES / "crash_loop").err


def test_a_prompt_version_that_is_not_there_is_told(run, monkeypatch):
    monkeypatch.setenv("ROLLOUT_VERDICT_PROMPT_VERSION", "v99")
    ran = run("prompt", BUNDLES / "healthy")
    assert ran.code == 2
    assert "ROLLOUT_VERDICT_PROMPT_VERSION: prompt version 'v99' is not one of v1" in ran.err


def test_a_smaller_budget_makes_a_smaller_prompt(run, monkeypatch):
    whole = run("prompt", BUNDLES / "new_errors").out
    monkeypatch.setenv("ROLLOUT_VERDICT_PROMPT_TOKENS", "2200")
    assert len(run("prompt", BUNDLES / "new_errors").out) <= len(whole)


def test_the_version_as_an_option(run):
    ran = run("--version")
    assert (ran.code, ran.out, ran.err) == (0, "rollout-verdict 0.1.0\n", "")


def test_the_version_names_the_prompt_files(run):
    about = json.loads(run("version").out)
    assert about["version"] == "0.1.0"
    assert len(about["prompt_digest"]) == 64
    assert Policy().extra_prompt == ""
