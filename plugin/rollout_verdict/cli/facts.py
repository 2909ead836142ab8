"""Scoring parts of the engine on facts of their own: metric classifications, and log lines with their event ids."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from rollout_verdict.adapters.bundle import BundleError
from rollout_verdict.adapters.bundle.files import read_document, read_log
from rollout_verdict.cli import terminal
from rollout_verdict.cli.input import InputError
from rollout_verdict.core.metrics.kayenta import score_facts
from rollout_verdict.core.quote import visible
from rollout_verdict.core.reduction.grouping import GroupingScore, group, score

FACT_FILES = ("cases.json", "intervals.json")
LINES = ".tsv.gz"
COLUMNS = ("event_id", "content")
MOST_BYTES = 64 << 20  # of one file of lines; the known ones hold 2,000 lines


def metric_facts(folder: Path) -> list[Path]:
    """Return the files with metric facts in a folder."""
    return [folder / name for name in FACT_FILES if (folder / name).is_file()]


def line_files(folder: Path) -> list[Path]:
    """Return the files with labelled log lines in a folder."""
    return sorted(folder.glob(f"*{LINES}")) if folder.is_dir() else []


def metric_report(files: Sequence[Path]) -> dict[str, Any]:
    """Return how the reference classifiers do on metric facts. Raises InputError for files of another shape."""
    facts = []
    for path in files:
        content = read_document({path.name: path}, path.name)
        try:
            facts += [(path.name, fact) for fact in score_facts(from_json(content or b""))]
        except ValueError as error:
            raise InputError(f"{path}: {error}") from error
    return {
        "total": len(facts),
        "correct": sum(fact.correct for _, fact in facts),
        "files": {
            path.name: {
                "total": sum(name == path.name for name, _ in facts),
                "correct": sum(name == path.name and fact.correct for name, fact in facts),
            }
            for path in files
        },
        "wrong": [
            {"case": fact.id, "expected": fact.expected, "got": fact.got} for _, fact in facts if not fact.correct
        ],
    }


def line_report(files: Sequence[Path]) -> dict[str, Any]:
    """Return grouping scores of each system. Raises InputError for files of another shape."""
    scores = {path.name.removesuffix(LINES): _grouping(path) for path in terminal.counted(files, len(files), "grouped")}
    count = len(scores)
    return {
        "total": sum(one.lines for one in scores.values()),
        "correct": sum(one.correct_lines for one in scores.values()),
        "mean_ga": sum(one.ga for one in scores.values()) / count,
        "mean_fga": sum(one.fga for one in scores.values()) / count,
        "systems": {name: asdict(one) for name, one in scores.items()},
    }


def metric_text(report: dict[str, Any]) -> str:
    """Return the report on metric facts as text."""
    lines = [f"{name}: {part['correct']} of {part['total']} right" for name, part in report["files"].items()]
    lines += [visible(f"{one['case']}: got {one['got']}, expected {one['expected']}") for one in report["wrong"]]
    return "\n".join(lines) + "\n"


def line_text(report: dict[str, Any]) -> str:
    """Return the report on grouping as text."""
    lines = [f"{'system':<16} {'GA':>6} {'FGA':>6}   groups / events"]
    for name, one in report["systems"].items():
        lines.append(f"{visible(name):<16} {one['ga']:>6.3f} {one['fga']:>6.3f}   {one['groups']} / {one['events']}")
    lines.append(f"{'mean':<16} {report['mean_ga']:>6.3f} {report['mean_fga']:>6.3f}")
    lines += ["", "GA: share of lines whose group holds exactly the lines of one event, the labelled one"]
    lines += ["FGA: harmonic mean of precision and recall over groups; a group is right if it holds exactly one event"]
    return "\n".join(lines) + "\n"


def _grouping(path: Path) -> GroupingScore:
    content = bytearray()
    try:
        for chunk in read_log(path):
            content += chunk
            if len(content) > MOST_BYTES:
                raise InputError(f"{path}: more than {MOST_BYTES >> 20} MiB of lines")
    except BundleError as error:
        raise InputError(f"{path}: {error}") from error
    header, *rows = content.decode("utf-8", "replace").rstrip("\n").split("\n")
    names = header.split("\t")
    if not set(COLUMNS) <= set(names) or not rows:
        raise InputError(f"{path}: expected columns {' and '.join(COLUMNS)} parted by tabs, and lines below them")
    event, text = (names.index(name) for name in COLUMNS)
    cells = [row.split("\t") for row in rows]
    if bad := next((number for number, row in enumerate(cells, 2) if len(row) != len(names)), None):
        raise InputError(f"{path}: line {bad}: expected {len(names)} columns, got {len(cells[bad - 2])}")
    return score(group([row[text] for row in cells]), [row[event] for row in cells])
