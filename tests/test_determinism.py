"""Same bundle, policy and reply: the same result.json, byte for byte, in every process."""

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

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
