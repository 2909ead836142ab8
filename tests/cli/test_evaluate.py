"""``evaluate``: labels are read after the verdicts, rates and intervals are right, other facts are scored."""

import gzip
import json
import shutil

import pytest

from rollout_verdict.cli.scoring import Scored, rate, score
from rollout_verdict.core.statistics import wilson
from tests.test_golden import BUNDLES

CASES = {
    "xa-001": ("healthy", "promote", "none", ""),
    "xa-002": ("reworded", "rollback", "subtle", "rollback"),  # a label that the judge will not meet
    "xb-001": ("crash_loop", "rollback", "crash", "rollback"),
    "xb-002": ("slower", "rollback", "latency", ""),
    "xb-003": ("no_canary", "inconclusive", "none", "no_data"),
}


@pytest.fixture
def cases(tmp_path):
    """Return a folder of labelled cases."""
    for name, (bundle, verdict, fault, kind) in CASES.items():
        folder = shutil.copytree(BUNDLES / bundle, tmp_path / "cases" / name)
        case = json.loads((folder / "case.json").read_bytes())
        case |= {
            "id": name,
            "expected": {"verdict": verdict, "fault_type": fault, "kind": kind},
            "provenance": {"dataset": "made", "parameters": {"run": "r1"} if name.startswith("xb") else None},
        }
        (folder / "case.json").write_text(json.dumps(case))
    return tmp_path / "cases"


def test_scores_of_labelled_cases(run, cases):
    ran = run("evaluate", cases, "--mode", "rules", "--jobs", "1", "-o", "json")
    assert ran.code == 0
    assert ran.err.splitlines()[-1] == "judged 5/5"
    report = json.loads(ran.out)
    assert (report["total"], report["correct"]) == (5, 4)
    assert report["false_promote"] == pytest.approx(
        {"count": 1, "of": 3, "groups": 2, "share": 1 / 3, "low": report["false_promote"]["low"], "high": report["false_promote"]["high"]}
    )  # fmt: skip
    assert report["false_rollback"]["share"] == 0
    assert report["unsafe_promote"]["share"] == 0
    assert report["undecided"]["of"] == 4
    assert {name: part["total"] for name, part in report["by_source"].items()} == {"xa": 2, "xb": 3}
    assert report["by_fault"]["rollback: subtle"] == {"total": 1, "correct": 0}
    assert report["by_fault"]["inconclusive: no_data"] == {"total": 1, "correct": 1}
    assert [wrong["case"] for wrong in report["wrong"]] == ["xa-002"]


def test_several_processes_give_the_same(run, cases):
    one = run("evaluate", cases, "--mode", "rules", "--jobs", "1", "-o", "json").out
    assert run("evaluate", cases, "--mode", "rules", "--jobs", "2", "-o", "json").out == one


def test_scores_as_text(run, cases):
    out = run("evaluate", cases, "--mode", "rules", "--jobs", "1").out
    assert out.splitlines()[0] == "5 labelled cases in 2 groups"
    assert "  false promote     33.3 %     1 of 3" in out
    assert "xa-002: promote, expected rollback (subtle): No harm found" in out


def test_the_words_of_the_text_are_explained_once(run, cases):
    out = run("evaluate", cases / "xb-001", "--mode", "rules").out
    for word in ("false promote", "false rollback", "undecided", "unsafe promote", "group"):
        assert out.count(f"\n{word}: ") == 1
    assert "unsafe promote: promoted, where the label says that there is too little to judge by" in out


def test_cases_without_labels_are_told(run):
    ran = run("evaluate", BUNDLES / "healthy", "--mode", "rules")
    assert (ran.code, ran.out) == (2, "")
    assert "no case has a label, so that there is nothing to score; put expected.verdict into" in ran.err


def test_predictions_are_a_line_a_case(run, cases, tmp_path):
    run("evaluate", cases, "--mode", "rules", "--jobs", "1", "--predictions", tmp_path / "p.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    assert lines[0] == {"case": "xa-001", "verdict": "promote"}
    assert [line["case"] for line in lines] == sorted(CASES)


def test_labels_do_not_change_verdicts(run, cases, tmp_path):
    run("evaluate", cases, "--mode", "rules", "--jobs", "1", "--predictions", tmp_path / "a")
    for path in cases.glob("*/case.json"):
        case = json.loads(path.read_bytes())
        path.write_text(json.dumps({"input": case["input"]}))
    ran = run("evaluate", cases, "--mode", "rules", "--jobs", "1", "--predictions", tmp_path / "b", "-o", "json")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert json.loads(ran.out)["total"] == 0


def test_a_broken_case_is_an_error_not_a_crash(run, cases):
    (cases / "xb-002/metrics.json").write_text("[")
    report = json.loads(run("evaluate", cases, "--mode", "rules", "--jobs", "1", "-o", "json").out)
    (broken,) = [wrong for wrong in report["wrong"] if wrong["verdict"] == "error"]
    assert broken["case"] == "xb-002"
    assert "metrics.json: not valid JSON" in broken["reason"]


def test_a_single_case_and_archives_are_cases(run, cases):
    report = json.loads(run("evaluate", cases / "xb-001", "--mode", "rules", "-o", "json").out)
    assert (report["total"], report["correct"]) == (1, 1)


@pytest.mark.parametrize(("make", "said"), [(False, "expected a folder of cases"), (True, "expected bundles in it")])
def test_a_folder_without_cases_is_told(run, tmp_path, make, said):
    folder = tmp_path / "empty"
    if make:
        folder.mkdir()
    ran = run("evaluate", folder)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err


def test_a_place_for_predictions_that_cannot_be_written_is_told(run, cases):
    ran = run("evaluate", cases / "xb-001", "--mode", "rules", "--predictions", cases)
    assert ran.code == 2
    assert "--predictions" in ran.err


def test_metric_facts(run, shared):
    report = json.loads(run("evaluate", shared / "metric-judge", "-o", "json").out)
    assert (report["total"], report["correct"]) == (20, 20)
    assert report["files"]["cases.json"] == {"total": 18, "correct": 18}
    assert "cases.json: 18 of 18 right" in run("evaluate", shared / "metric-judge").out


def test_metric_facts_of_another_shape_are_told(run, tmp_path):
    (tmp_path / "cases.json").write_text('{"cases": [{}]}')
    ran = run("evaluate", tmp_path)
    assert ran.code == 2
    assert "cases.json" in ran.err


def test_grouping_scores(run, tmp_path):
    rows = ["event_id\tcontent\traw_line"]
    rows += [f"E1\tuser {n} logged in\tx" for n in range(5)] + [f"E2\tdisk {n} is full\tx" for n in range(5)]
    (tmp_path / "Tiny.tsv.gz").write_bytes(gzip.compress("\n".join(rows).encode()))
    report = json.loads(run("evaluate", tmp_path, "-o", "json").out)
    assert (report["total"], report["correct"]) == (10, 10)
    assert report["systems"]["Tiny"]["ga"] == report["mean_fga"] == 1.0
    out = run("evaluate", tmp_path).out
    assert "Tiny" in out
    assert (out.count("\nGA: "), out.count("\nFGA: ")) == (1, 1)


@pytest.mark.parametrize("content", ["", "a\tb\n1\t2", "event_id\tcontent\nE1", "event_id\tcontent"])
def test_lines_of_another_shape_are_told(run, tmp_path, content):
    (tmp_path / "Bad.tsv.gz").write_bytes(gzip.compress(content.encode()))
    ran = run("evaluate", tmp_path)
    assert ran.code == 2
    assert "Bad.tsv.gz" in ran.err


def cases_of(*groups):
    """Return cases by group, each a string of hits (x) and misses (.)."""
    return [
        Scored(case=f"s-{g}{n}", group=g, expected="promote", verdict="promote" if hit == "x" else "rollback")
        for g, group in enumerate(groups)
        for n, hit in enumerate(group)
    ]


def hits(case):
    return case.correct


def test_independent_cases_get_the_plain_wilson_interval():
    found = rate(cases_of(*"xxxxxxxxx.", *"xxxxxxxxx."), hits)
    low, high = wilson(18, 20, 0.95)
    assert (found.count, found.of, found.groups) == (18, 20, 20)
    assert found.low == pytest.approx(low, abs=0.02)
    assert found.high == pytest.approx(high, abs=0.02)


def test_cases_that_stand_and_fall_together_count_less():
    together = rate(cases_of("xxxxx", "xxxxx", "xxxxx", "....."), hits)
    mixed = rate(cases_of("xxxx.", "xxx..", "xxxx.", "xxxx."), hits)
    assert (together.count, mixed.count) == (15, 15)
    assert together.high - together.low > 1.5 * (mixed.high - mixed.low)


def test_without_a_miss_each_group_counts_once():
    found = rate(cases_of("xxxxx", "xxxxx"), hits)
    assert (found.low, found.high) == wilson(2, 2, 0.95)


def test_nothing_has_no_share():
    empty = score([])
    assert empty.accuracy.share is None
    assert (empty.accuracy.low, empty.accuracy.high) == (0.0, 1.0)


def test_each_rate_looks_at_its_own_cases():
    def one(expected, verdict):
        return Scored(case=f"s-{expected}{verdict}", group=expected + verdict, expected=expected, verdict=verdict)

    words = ("promote", "rollback", "inconclusive")
    found = score([one(expected, verdict) for expected in words for verdict in words])
    for name, count, of in (
        ("accuracy", 3, 9),
        ("false_promote", 1, 3),
        ("false_rollback", 1, 3),
        ("undecided", 2, 6),
        ("unsafe_promote", 1, 3),
    ):
        assert (getattr(found, name).count, getattr(found, name).of) == (count, of), name
