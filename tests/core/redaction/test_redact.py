"""The redactor: every kind of secret goes, everything else stays, twice is as good as once."""

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rollout_verdict.core.evidence import (
    Evidence,
    MetricEvidence,
    MetricSeries,
    TemplateChange,
    TemplateDiff,
)
from rollout_verdict.core.redaction.redact import Redactor
from rollout_verdict.core.values import Gap, Pair, RolloutRef, SourceKind
from tests.core.planted import HARMLESS, PLANTED


@pytest.mark.parametrize(("text", "secret"), [case[1:] for case in PLANTED], ids=[case[0] for case in PLANTED])
def test_a_planted_secret_is_gone(text, secret):
    """Nothing of the secret remains, and a placeholder tells that something was there."""
    redacted = Redactor().text(text)
    assert secret not in redacted
    assert ":1>" in redacted


@pytest.mark.parametrize(("text", "secret"), [case[1:] for case in PLANTED], ids=[case[0] for case in PLANTED])
@pytest.mark.parametrize("around", ["2026-11-23 ERROR {}", "a {} b\nnext line", "({})", "{}\tx"])
def test_a_planted_secret_is_gone_inside_other_text(text, secret, around):
    """What stands around a secret does not save it."""
    assert secret not in Redactor().text(around.format(text))


@pytest.mark.parametrize(("text", "secret"), [case[1:] for case in PLANTED], ids=[case[0] for case in PLANTED])
def test_redacting_twice_changes_nothing(text, secret):
    """A placeholder is never taken for a secret."""
    once = Redactor().text(text)
    assert Redactor().text(once) == once


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless_text_stays_as_it_is(text):
    """Names, numbers, digests, prose about secrets and masked templates stay readable."""
    redactor = Redactor()
    assert redactor.text(text) == text
    assert redactor.counts == {}


WORDS = st.sampled_from(
    [
        "password", "token", "value", "cookie", "Bearer ", "Basic ", "://", "@", "a.b", "4111", "-----BEGIN ", "eyJ", "--",
        "=", ":", ";", '"', "'", "\\", " ", "\n", "{", "}", "[", "]", "<", ">", "%3D", "%22", "x", "9", "<*>", "<email:1>",
    ]
)  # fmt: skip


@given(st.lists(WORDS, max_size=40).map("".join))
@example("password=password:1 password=password:1")
@example('token="<email:1>" x')
def test_any_text_is_redacted_once_for_all(text):
    """Whatever the text, redacting is idempotent and never fails."""
    once = Redactor().text(text)
    assert Redactor().text(once) == once


@given(st.text(max_size=300))
def test_any_unicode_is_taken(text):
    """No text makes the redactor fail."""
    Redactor().text(text)


LONG = 1_000_000


@pytest.mark.parametrize(
    "text",
    [
        "a" * LONG,
        "password" * (LONG // 8),
        "password=" * (LONG // 9),
        'password=\\"' * (LONG // 11),
        "password: " * (LONG // 10),
        "\\" * LONG + '"',
        'token="' + "\\" * LONG,
        "@" * LONG,
        "a@" * (LONG // 2),
        "a.a@a." * (LONG // 6),
        "://" * (LONG // 3),
        "://a:" * (LONG // 5),
        "://a@" * (LONG // 5),
        "eyJ" * (LONG // 3),
        "eyJ." * (LONG // 4),
        "-----BEGIN " * (LONG // 11),
        "-----BEGIN A-----" * (LONG // 17),
        "4111 " * (LONG // 5),
        "41111111" * (LONG // 8),
        "A" * 55 + " " + "Aa0" * (LONG // 3),
        ("Aa0" * 18 + " ") * (LONG // 55),
        "--a" * (LONG // 3),
        "-" * LONG,
        " " * LONG,
        "cookie: " + "a=" * (LONG // 2),
        "Bearer " * (LONG // 7),
        "Basic aaaaaaaa" * (LONG // 14),
        "secret value " * (LONG // 13),
        "<password>" * (LONG // 10),
        "token=<" * (LONG // 7),
        "password,,,," * (LONG // 12),
        "AKIA" * (LONG // 4),
        "sk-" + "a" * LONG,
        "sk-a-" * (LONG // 5),
        "sig=" * (LONG // 4),
    ],
    ids=range(35),
)
def test_a_megabyte_of_malice_is_redacted(text):
    """Every finder is linear: a quadratic one would not come back within any patience."""
    assert isinstance(Redactor().text(text), str)


def test_the_same_secret_has_the_same_number():
    """Equality survives redaction, per kind, in the order of first sight."""
    redactor = Redactor()
    text = redactor.text("password=alpha1 password=beta22 password=alpha1 token=alpha1")
    assert text == "password=<password:1> password=<password:2> password=<password:1> token=<token:1>"
    assert redactor.text("passwd=beta22") == "passwd=<password:2>"
    assert redactor.counts == {"password": 4, "token": 1}


def test_an_empty_match_of_a_group_replaces_nothing():
    """A custom group that matches nothing is no secret."""
    assert Redactor(custom=[("x", r"EMP(?P<secret>\d*)")]).text("EMP EMP7") == "EMP EMP<x:1>"


def test_custom_patterns_come_first():
    """The operator's own kinds are replaced like ours; a group narrows what goes."""
    redactor = Redactor(custom=[("employee", r"EMP-\d+"), ("badge", r"badge (?P<secret>\w+)")])
    assert redactor.text("EMP-42 with badge x77, EMP-42") == "<employee:1> with badge <badge:1>, <employee:1>"
    assert redactor.counts == {"badge": 1, "employee": 2}


@pytest.mark.parametrize(
    ("kind", "expression", "told"),
    [("Employee", "x", "lower-case word"), ("x", "(", "no regular expression"), ("x", "a*", "empty text")],
)
def test_a_custom_pattern_that_cannot_work_is_refused(kind, expression, told):
    """The error names the kind and what is wrong."""
    with pytest.raises(ValueError, match=told):
        Redactor(custom=[(kind, expression)])


def test_the_repr_tells_no_secret():
    """A redactor in a log or a traceback gives nothing away."""
    redactor = Redactor()
    redactor.text("password=swordfish")
    assert "swordfish" not in repr(redactor)


def test_the_table_of_secrets_is_bounded():
    """Beyond the bound, placeholders lose their number instead of filling memory."""
    redactor = Redactor(most_numbered=3)
    for number in range(3):
        redactor.text(f"token=abc{number}x")
    assert redactor.text("token=another1 token=abc0x") == "token=<token:+> token=<token:1>"


EVIDENCE = Evidence(
    rollout=RolloutRef(namespace="shop", name="checkout"),
    window=None,
    pods=Pair(stable=("checkout-a",), canary=("checkout-b",)),
)


def test_a_tree_is_walked_to_its_last_string():
    """Dataclasses and tuples are rebuilt around what changed; the rest is the same object."""
    gap = Gap(source=SourceKind.LOGS, what="logs", reason="token=swordfish refused")
    evidence = replace(EVIDENCE, gaps=(gap,))
    redacted = Redactor().tree(evidence)
    assert redacted.gaps[0].reason == "token=<token:1> refused"
    assert redacted.gaps[0].source is SourceKind.LOGS
    assert redacted.rollout is evidence.rollout
    assert Redactor().tree(EVIDENCE) is EVIDENCE


def test_a_name_beside_a_value_counts():
    """Labels and template changes are redacted by their names."""
    series = MetricSeries(name="up", labels=(("api_key", "0a1b2c"), ("pod", "x")), pod="", samples=((1.0, 2.0),))
    changes = (
        TemplateChange(path="containers/api/env/DB_PASSWORD", stable="swordfish", canary="mackerel1"),
        TemplateChange(path="containers/api/env/DB_PASSWORD/value", stable="swordfish", canary=""),
        TemplateChange(path="env[API_TOKEN]", stable="", canary="0a1b2c"),
        TemplateChange(path="env/DB_PASSWORD", stable="secretKeyRef db/one", canary="secretKeyRef db/two"),
        TemplateChange(path="env/PORT", stable="443", canary="8443"),
    )
    evidence = replace(
        EVIDENCE,
        metrics=MetricEvidence(series=Pair(stable=(series,), canary=()), meta=()),
        diff=TemplateDiff(changes=changes),
    )
    redacted = Redactor().tree(evidence)
    assert redacted.metrics.series.stable[0].labels == (("api_key", "<api-key:1>"), ("pod", "x"))
    told = [(change.stable, change.canary) for change in redacted.diff.changes]
    assert told == [
        ("<password:1>", "<password:2>"),
        ("<password:1>", ""),
        ("", "<token:1>"),
        ("secretKeyRef db/one", "secretKeyRef db/two"),
        ("443", "8443"),
    ]


def test_a_secret_seen_beside_its_name_is_known_elsewhere():
    """A distinctive secret is replaced where it stands alone, before or after; a common word is not."""
    gaps = (
        Gap(source=SourceKind.LOGS, what="x", reason="cannot log in with s3cretive-fish, s3cretive-fish"),
        Gap(source=SourceKind.LOGS, what="x", reason="password=s3cretive-fish token=postgres"),
        Gap(source=SourceKind.LOGS, what="x", reason="postgres said no to s3cretive-fish"),
    )
    redactor = Redactor()
    reasons = [gap.reason for gap in redactor.tree(replace(EVIDENCE, gaps=gaps)).gaps]
    assert reasons == [
        "cannot log in with <password:1>, <password:1>",
        "password=<password:1> token=<token:1>",
        "postgres said no to <password:1>",
    ]
    assert redactor.counts == {"password": 4, "token": 1}


def test_a_session_is_not_hunted_down():
    """A session id may be any identifier; only its place beside the name is redacted."""
    pair = ("session=checkout-7d4cc1", "pod checkout-7d4cc1", "x")
    assert Redactor().tree(pair) == ("session=<session:1>", "pod checkout-7d4cc1", "x")
