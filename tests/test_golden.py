"""Golden bundles: recorded evidence in, the verdict it must get out. Every bug that is met adds one."""

import json
import shutil
from pathlib import Path

import pytest

from rollout_verdict.adapters.bundle import read_bundle
from rollout_verdict.core.policy import Mode, Policy
from rollout_verdict.core.redaction.redact import Redactor
from rollout_verdict.engine import judge
from tests.conftest import ROOT

BUNDLES = Path(__file__).resolve().parent / "bundles"
EXAMPLES = ROOT / "examples" / "bundles"

# bundle, decision, row of the decision table, a finding that must be among those of the rules
GOLDEN = [
    (BUNDLES / "healthy", "promote", 3, None),
    (BUNDLES / "reworded", "promote", 3, None),
    (BUNDLES / "new_errors", "rollback", 3, "log-new"),
    (BUNDLES / "failing_requests", "rollback", 3, "metric-high"),
    (BUNDLES / "slower", "rollback", 3, "metric-high"),
    (BUNDLES / "crash_loop", "rollback", 1, "crash-loop"),
    (BUNDLES / "image_pull", "rollback", 1, "image-pull"),
    (BUNDLES / "out_of_memory", "rollback", 1, "oom-killed"),
    (BUNDLES / "no_canary", "inconclusive", 2, None),
    (BUNDLES / "few_requests", "inconclusive", 2, None),
    (EXAMPLES / "bad", "rollback", 3, "metric-high"),
    (EXAMPLES / "good", "promote", 3, None),
]


def test_every_bundle_has_an_expected_verdict():
    stored = {folder for place in (BUNDLES, EXAMPLES) for folder in place.iterdir() if (folder / "case.json").is_file()}
    assert stored == {row[0] for row in GOLDEN}


@pytest.mark.parametrize(("bundle", "decision", "row", "finding"), GOLDEN, ids=[row[0].name for row in GOLDEN])
def test_a_golden_bundle_gets_its_verdict(bundle, decision, row, finding):
    verdict = judge(read_bundle(bundle), Policy(mode=Mode.RULES), None, Redactor()).verdict
    assert (verdict.decision.value, verdict.row) == (decision, row), verdict.reason
    codes = {found.code for opinion in verdict.opinions for found in opinion.findings}
    assert finding is None or finding in codes


BAD = [row[0] for row in GOLDEN if row[1] == "rollback" and row[0].parent == BUNDLES]


@pytest.mark.parametrize("bundle", BAD, ids=lambda path: path.name)
def test_turned_around_nothing_bad_is_left(bundle, tmp_path):
    """The harm belongs to the canary: with the sides swapped a bad bundle is no rollback.

    Not so the recorded example: a request that fails at once is quicker than one that is served.
    """
    turned = shutil.copytree(bundle, tmp_path / bundle.name)
    case = json.loads((turned / "case.json").read_bytes())
    given = case["input"]
    given["stable_pods"], given["canary_pods"] = given["canary_pods"], given["stable_pods"]
    (turned / "case.json").write_text(json.dumps(case))
    for name in ("metrics.json", "kubernetes.json"):
        if (turned / name).exists():
            document = json.loads((turned / name).read_bytes())
            document["stable"], document["canary"] = document["canary"], document["stable"]
            (turned / name).write_text(json.dumps(document))
    if (turned / "logs").exists():
        (turned / "logs/stable").rename(turned / "logs/was")
        (turned / "logs/canary").rename(turned / "logs/stable")
        (turned / "logs/was").rename(turned / "logs/canary")
    verdict = judge(read_bundle(turned), Policy(mode=Mode.RULES), None, Redactor()).verdict
    assert verdict.decision.value != "rollback", verdict.reason
