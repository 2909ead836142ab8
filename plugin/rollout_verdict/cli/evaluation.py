"""Judging a folder of labelled cases. The only place that reads labels, and only after every verdict is made."""

import json
import os
from collections.abc import Hashable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from rollout_verdict.adapters.bundle import BundleError
from rollout_verdict.adapters.bundle.files import open_files, read_document
from rollout_verdict.cli import terminal
from rollout_verdict.cli.input import InputError
from rollout_verdict.cli.judging import judge_path, model_for
from rollout_verdict.cli.scoring import ROLLBACK, Rate, Score, Scored, by, score
from rollout_verdict.core.policy import Mode, Policy
from rollout_verdict.core.ports import Judge
from rollout_verdict.core.quote import visible
from rollout_verdict.settings import Settings

WORDS = (
    "false promote: promoted, where the label says rollback",
    "false rollback: rolled back, where the label says promote",
    "undecided: inconclusive, where the label says promote or rollback",
    "unsafe promote: promoted, where the label says that there is too little to judge by",
    "group: cases of one run or service, which stand and fall together; the intervals allow for that",
)
BROKEN = "error"  # instead of a verdict, for a case that cannot be read


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The verdict on one case, before its label is known."""

    case: str
    verdict: str
    reason: str


class _Labels(BaseModel):
    """The parts of ``case.json`` that no judge may see."""

    model_config = ConfigDict(extra="ignore")

    class Input(BaseModel):
        """What the group of a case is made of."""

        service: str = ""

    class Expected(BaseModel):
        """The label."""

        verdict: str
        fault_type: str = "none"
        kind: str = ""

    class Provenance(BaseModel):
        """Where a case comes from."""

        parameters: dict[str, Any] | None = None

    input: Input = Input()
    expected: Expected | None = None
    provenance: Provenance = Provenance()


def cases_in(folder: Path) -> list[Path]:
    """Return the bundles in a folder by name, the folder itself if it is one. Raises InputError if there are none."""
    if (folder / "case.json").is_file():
        return [folder]
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}; expected a folder of cases") from error
    cases = [entry for entry in entries if (entry / "case.json").is_file() or entry.name.endswith((".tar.gz", ".tgz"))]
    if not cases:
        raise InputError(f"{folder}: expected bundles in it, metric facts (cases.json) or log lines (*.tsv.gz)")
    return cases


def expected_verdict(case: Path) -> str:
    """Return the verdict that a labelled case expects, "" without a label. Raises BundleError."""
    expected = _labels(case).expected
    return expected.verdict if expected else ""


def judge_cases(cases: Sequence[Path], policy: Policy, settings: Settings, jobs: int) -> list[Judged]:
    """Judge every case, in ``jobs`` processes where no model is asked. A case that cannot be read ends as an error."""
    with model_for(settings, policy) as model:
        if model is not None or jobs == 1 or len(cases) == 1:
            verdicts: Iterator[Judged] = (_judged(case, policy, settings, model) for case in cases)
            return list(terminal.counted(verdicts, len(cases), "judged"))
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        size = max(1, min(8, len(cases) // (4 * jobs)))
        several = pool.map(_judged, cases, *zip(*[(policy, settings)] * len(cases), strict=True), chunksize=size)
        return list(terminal.counted(several, len(cases), "judged"))


def default_jobs(policy: Policy, settings: Settings) -> int:
    """Return the number of processes: the processors there are for the rules, one where a model is waited for."""
    return 1 if policy.mode is not Mode.RULES and settings.model_configured else (os.cpu_count() or 1)


def scored(cases: Sequence[Path], judged: Sequence[Judged]) -> list[Scored]:
    """Read the labels and put them beside the verdicts; cases without a label are left out."""
    found = []
    for case, one in zip(cases, judged, strict=True):
        labels = _labels(case)
        if labels.expected is None:
            continue
        found.append(
            Scored(
                case=one.case,
                group=_group(one.case, labels),
                expected=labels.expected.verdict,
                verdict=one.verdict,
                kind=labels.expected.fault_type if labels.expected.verdict == ROLLBACK else labels.expected.kind,
                reason=one.reason,
            )
        )
    return found


def predictions(judged: Sequence[Judged]) -> str:
    """Return the verdicts as JSON lines."""
    return "".join(json.dumps({"case": one.case, "verdict": one.verdict}) + "\n" for one in judged)


def report(cases: Sequence[Scored]) -> dict[str, Any]:
    """Return the scores as a JSON tree."""
    return {
        "total": len(cases),
        "correct": sum(case.correct for case in cases),
        **_tree(score(cases)),
        "by_source": {name: {"total": len(part), **_tree(score(part))} for name, part in by(cases, _source).items()},
        "by_fault": {
            name: {"total": len(part), "correct": sum(case.correct for case in part)}
            for name, part in by(cases, _fault).items()
        },
        "wrong": [
            {"case": one.case, "expected": one.expected, "verdict": one.verdict, "kind": one.kind, "reason": one.reason}
            for one in cases
            if not one.correct
        ],
    }


def told(cases: Sequence[Scored]) -> str:
    """Return the scores as text."""
    lines = [f"{len(cases)} labelled cases in {len({case.group for case in cases})} groups", ""]
    lines += [_line(name, rate) for name, rate in _rates(score(cases))]
    lines += ["", "by source"]
    for name, part in by(cases, _source).items():
        rates = ", ".join(f"{label} {_percent(rate)}" for label, rate in _rates(score(part)) if rate.of)
        lines.append(f"  {name:<8} {len(part):>4} cases   {rates}")
    lines += ["", "by fault"]
    for name, part in by(cases, _fault).items():
        lines.append(f"  {name:<44} {sum(case.correct for case in part):>3} of {len(part):>3} right")
    if wrong := [case for case in cases if not case.correct]:
        lines += ["", "not as expected"]
        lines += [
            visible(f"  {one.case}: {one.verdict}, expected {one.expected} ({one.kind}): {one.reason}") for one in wrong
        ]
    return "\n".join([*lines, "", *WORDS]) + "\n"


def _judged(case: Path, policy: Policy, settings: Settings, model: Judge | None = None) -> Judged:
    name = case.name.removesuffix(".tgz").removesuffix(".tar.gz")
    try:
        verdict = judge_path(case, policy, model, settings).verdict
    except BundleError as error:
        return Judged(case=name, verdict=BROKEN, reason=str(error))
    return Judged(case=name, verdict=verdict.decision.value, reason=verdict.reason)


def _labels(case: Path) -> _Labels:
    with open_files(case) as files:
        content = read_document(files, "case.json")
    try:
        return _Labels.model_validate_json(content or b"{}")
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise BundleError(f"{case}: case.json: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def _group(case: str, labels: _Labels) -> Hashable:
    """Return what makes cases dependent: the run they were recorded in, else source and service."""
    run = (labels.provenance.parameters or {}).get("run")
    return (
        (case.partition("-")[0], "run", str(run)) if run else (case.partition("-")[0], "service", labels.input.service)
    )


def _source(case: Scored) -> str:
    return case.source


def _fault(case: Scored) -> str:
    return f"{case.expected}: {case.kind}" if case.expected != "promote" else "promote"


def _rates(of: Score) -> Iterator[tuple[str, Rate]]:
    yield "accuracy", of.accuracy
    yield "false promote", of.false_promote
    yield "false rollback", of.false_rollback
    yield "undecided", of.undecided
    yield "unsafe promote", of.unsafe_promote


def _tree(of: Score) -> dict[str, Any]:
    return {name.replace(" ", "_"): {**asdict(rate), "share": rate.share} for name, rate in _rates(of)}


def _percent(rate: Rate) -> str:
    return "none" if rate.share is None else f"{100 * rate.share:.1f} %"


def _line(name: str, rate: Rate) -> str:
    interval = f"95 % interval by group {100 * rate.low:.1f} to {100 * rate.high:.1f} %" if rate.of else ""
    return f"  {name:<15} {_percent(rate):>8}   {rate.count:>3} of {rate.of:<4} {interval}".rstrip()
