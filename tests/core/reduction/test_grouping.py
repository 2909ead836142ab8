"""Scores of grouping."""

import gzip

import pytest

from rollout_verdict.core.reduction.grouping import group, score


def test_score():
    """GA counts lines of groups that are exactly right, FGA such groups."""
    got = score(["a", "a", "b", "c", "c"], [1, 1, 2, 2, 3])
    assert (got.ga, got.fga) == (0.4, pytest.approx(2 / 6))
    assert (got.lines, got.correct_lines, got.groups, got.events, got.correct_groups) == (5, 2, 3, 3, 1)
    assert score([1], [5]).fga == 1.0


def test_score_of_nothing_is_an_error():
    """Without lines, or with lengths that differ, there is nothing to say."""
    with pytest.raises(ValueError, match="as many groups as events"):
        score([], [])
    with pytest.raises(ValueError, match="got 1 and 2"):
        score([1], [1, 2])


def test_group():
    """Each line gets the template of its wording; status and level do not part lines."""
    lines = ["INFO order 5 of x status=200", "ERROR order 77 of x status=503", "INFO gone"]
    assert group(lines) == ["order <*> of x status=<*>", "order <*> of x status=<*>", "gone"]
    assert group(["a\udcff 1"]) == ["a��� <*>"]


def test_accuracy_on_labelled_lines(shared):
    """Means over the labelled sets, for messages and for whole lines with headers nobody described to us."""
    sums = {1: [0.0, 0.0], 2: [0.0, 0.0]}
    paths = sorted((shared / "log-templates").glob("*.tsv.gz"))
    for path in paths:
        rows = [
            row.split("\t")
            for row in gzip.decompress(path.read_bytes()).decode("utf-8", "replace").split("\n")[1:]
            if row
        ]
        for column, total in sums.items():
            got = score(group([row[column] for row in rows]), [row[0] for row in rows])
            total[0] += got.ga / len(paths)
            total[1] += got.fga / len(paths)
    assert sums[1][0] >= 0.87
    assert sums[1][1] >= 0.90
    assert sums[2][0] >= 0.75
    assert sums[2][1] >= 0.78
