"""The Markdown report: result first, details folded, never longer than a comment may be."""

from dataclasses import replace

import pytest

from rollout_verdict.core.comparison import LogOutcome
from rollout_verdict.core.values import Decision, Pair, RolloutRef, Severity
from rollout_verdict.render import markdown
from tests.core import builders
from tests.render import results


def test_the_first_screen():
    """Marker, heading, reason and the table of checks."""
    lines = markdown.render(results.result()).splitlines()
    assert lines[0] == "<!-- rollout-verdict:shop/checkout -->"
    assert lines[2] == "### ❌ Roll back `checkout`: score 12 of 100"
    assert lines[4] == "http\\_error\\_ratio: 25.0% of requests fail, 1.0% on stable"
    assert lines[6:13] == [
        "| Check | Canary | Stable | Change | Result |",
        "|---|--:|--:|--:|:-:|",
        '| `http_error_ratio{route="/pay/m1"}` | 25.0 % | 1 % | +24.0 pp | ❌ high |',
        '| `queue_depth{route="/pay/m2"}` | 25.0 % | 1 % | +24.0 pp | ⚠️ low |',
        '| `memory{route="/pay/m4"}` | no data | no data |  | no data |',
        '| `restarts{route="/pay/m5"}` | 25.0 % | 1 % | +24.0 pp | too few samples |',
        "| 1 more as on stable | | | | ✅ |",
    ]


def test_the_details_are_folded():
    """Why, logs with a sample, commands; and a footer with what it cost."""
    written = markdown.render(results.result())
    assert written.count("<details>") == written.count("</details>") == 3
    assert (
        "<details><summary>Log messages that differ (2, 1 of them new on the canary)</summary>\n\n- new, 212" in written
    )
    assert "  ```text\n  connect() failed (111: Connection refused) to payments:8443\n  ```" in written
    assert "kubectl argo rollouts abort checkout -n shop" in written
    assert "decided by both · window 5 min to 2026-01-01 12:05 UTC · model gemini-flash" in written


@pytest.mark.parametrize(
    ("decision", "heading"),
    [(Decision.PROMOTE, "### ✅ Promote `canary`"), (Decision.INCONCLUSIVE, "### ⚠️ Inconclusive: `canary`")],
)
def test_nothing_at_all(decision, heading):
    """Without checks and logs the parts are left out, not shown empty."""
    written = markdown.render(results.bare(decision))
    assert heading in written
    assert "| Check |" not in written
    assert "Log messages" not in written


@pytest.mark.parametrize(
    ("namespace", "name", "marker"),
    [
        ("shop", "check-out", "<!-- rollout-verdict:shop/check-out -->"),
        ("-->", "<b>--!>", "<!-- rollout-verdict:__/_b____ -->"),
        ("a--b", "c\nd", "<!-- rollout-verdict:a_b/c_d -->"),
    ],
)
def test_the_marker_cannot_be_closed(namespace, name, marker):
    """A name neither ends the comment nor adds a line."""
    assert markdown.marker(RolloutRef(namespace=namespace, name=name)) == marker


def long_result(words=40, changes=40, checks=60):
    """A result whose every part is long."""
    base = results.result()
    new = replace(
        builders.change(outcome=LogOutcome.NEW, severity=Severity.FAIL),
        pattern=replace(results.new_error(lambda _: "word " * 200 * words)),
        significant=True,
    )
    comparison = replace(
        base.comparison,
        logs=replace(base.comparison.logs, changes=(new,) * changes),
        metrics=builders.metrics(*(replace(base.comparison.metrics.checks[0], id=f"m{n}") for n in range(checks))),
    )
    return replace(base, comparison=comparison)


@pytest.mark.parametrize("limit", [65_000, 30_000, 12_000, 6_000, 3_000, 500])
def test_it_is_never_too_long(limit):
    """Whatever the limit, the report keeps to it."""
    assert len(markdown.render(long_result(), limit=limit)) <= limit


def test_logs_go_first_then_evidence_then_checks():
    """The order of cuts is the order of what a reader can do without."""
    parts = ("```text\n  word", "**Why**", "m19", "| Check |", "### ❌")
    result = long_result()
    kept = [
        [part in markdown.render(result, limit=limit) for part in parts] for limit in (65_000, 20_000, 9_000, 4_000)
    ]
    for shorter, longer in zip(kept[1:], kept, strict=False):
        assert sum(shorter) <= sum(longer)
        assert all(
            has or not had or index <= shorter.index(True)
            for index, (has, had) in enumerate(zip(shorter, longer, strict=True))
        )
    assert kept[0][0]
    assert not kept[-1][0]


def test_many_checks_that_differ_are_counted():
    """The table is cut, and says so."""
    assert "| 40 more that differ or lack data | | | | see the report |" in markdown.render(
        long_result(words=0, changes=0)
    )


def test_a_window_that_is_not_known_is_left_out():
    """No window, no claim about one."""
    result = results.result()
    unknown = replace(result, evidence=replace(result.evidence, window=None, pods=Pair(stable=(), canary=())))
    assert "window" not in markdown.render(unknown).rpartition("<sub>")[2]
