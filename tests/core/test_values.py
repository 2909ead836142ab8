"""Values that cannot be wrong are not built."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from rollout_verdict.core.values import Decision, Finding, Opinion, Severity, SourceKind, Window

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (NOON.replace(tzinfo=None), NOON),
        (NOON, NOON.replace(tzinfo=None) + timedelta(hours=1)),
        (NOON.astimezone(timezone(timedelta(hours=2))), NOON + timedelta(hours=1)),
        (NOON, NOON),
        (NOON, NOON - timedelta(seconds=1)),
    ],
)
def test_a_window_is_aware_utc_and_runs_forward(start, end):
    with pytest.raises(ValueError, match="window"):
        Window(start=start, end=end)


def test_a_window_tells_its_length():
    assert Window(start=NOON, end=NOON + timedelta(minutes=2)).seconds == 120


def test_a_finding_cites_evidence():
    with pytest.raises(ValueError, match="cites no evidence"):
        Finding(code="x", severity=Severity.FAIL, source=SourceKind.LOGS, summary="x", evidence=())


@pytest.mark.parametrize("confidence", [-1, 101])
def test_confidence_is_a_percentage(confidence):
    with pytest.raises(ValueError, match=r"0\.\.100"):
        Opinion(judge="rules", decision=Decision.PROMOTE, confidence=confidence)
