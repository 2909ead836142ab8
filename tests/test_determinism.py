"""Same bundle, policy and reply: the same result.json, byte for byte, in every process."""

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rollout_verdict.adapters.bundle import write_bundle
from rollout_verdict.cli.judging import judge_path, model_for
from rollout_verdict.core.policy import Policy
from rollout_verdict.settings import read_settings
from tests.fakes.gemini import FakeGemini
from tests.test_golden import BUNDLES

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples" / "bundles"
RUNS = 10


def shuffled_copy(bundle: Path, target: Path, seed: int) -> Path:
    """Copy a bundle with its files written, and its lists ordered, at random."""
    rng = random.Random(seed)
    files = [path for path in bundle.rglob("*") if path.is_file()]
    rng.shuffle(files)
    for path in files:
        copy = target / path.relative_to(bundle)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".json":
            copy.write_text(json.dumps(shuffled(json.loads(path.read_text()), path.name, rng)))
        else:
            shutil.copyfile(path, copy)
    return target


def shuffled(tree, name: str, rng: random.Random):
    """Shuffle pods, series and keys; the samples of a series keep their order, as Prometheus keeps it."""
    if isinstance(tree, list):
        rng.shuffle(tree)
        return tree
    if name == "case.json":
        for key in ("stable_pods", "canary_pods"):
            rng.shuffle(tree["input"][key])
    for side in ("stable", "canary"):
        part = tree.get(side)
        if isinstance(part, dict):
            rng.shuffle(part["result"])
        elif isinstance(part, list):
            rng.shuffle(part)
    keys = list(tree)
    rng.shuffle(keys)
    return {key: tree[key] for key in keys}


@pytest.mark.parametrize("name", ["good", "bad"])
def test_ten_processes_and_orders_make_one_result(name, tmp_path):
    results = set()
    for seed in range(RUNS):
        bundle = shuffled_copy(EXAMPLES / name, tmp_path / str(seed) / name, seed)
        run = subprocess.run(
            [sys.executable, "-m", "rollout_verdict", "judge", str(bundle), "-o", "json", "--mode", "rules"],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "plugin"), "PYTHONHASHSEED": str(seed)},
            capture_output=True,
            check=True,
        )
        results.add(run.stdout)
    assert len(results) == 1
    assert json.loads(results.pop())["verdict"]["decision"] == {"good": "promote", "bad": "rollback"}[name]


REPLAY = """
import sys
from pathlib import Path

from rollout_verdict.adapters.bundle import read_bundle, read_record, write_bundle
from rollout_verdict.core.policy import Policy
from rollout_verdict.core.redaction.redact import Redactor
from rollout_verdict.engine import judge
from rollout_verdict.wiring import recorded_judge

bundle, target = map(Path, sys.argv[1:])
write_bundle(target, judge(read_bundle(bundle), Policy(), recorded_judge(read_record(bundle)), Redactor()))
"""


@pytest.mark.parametrize("name", ["new_errors", "healthy"])
def test_ten_processes_make_the_recorded_result_from_the_recorded_reply(name, tmp_path):
    """The first result came of a call over HTTP; the others of what was kept of it, without a key."""
    with FakeGemini() as fake:
        settings = read_settings({"GEMINI_API_KEY": "k", "GOOGLE_GEMINI_BASE_URL": fake.url})
        with model_for(settings, Policy()) as model:
            first = judge_path(BUNDLES / name, Policy(), model, settings)
        assert len(fake.journal) == 1
    write_bundle(tmp_path / "first", first)
    results = set()
    for seed in range(RUNS):
        subprocess.run(
            [sys.executable, "-c", REPLAY, str(tmp_path / "first"), str(tmp_path / str(seed))],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "plugin"), "PYTHONHASHSEED": str(seed)},
            check=True,
        )
        results.add((tmp_path / str(seed) / "result.json").read_bytes())
    assert results == {(tmp_path / "first/result.json").read_bytes()}
    assert first.verdict.decided_by.value == "both"
