"""Tokens of the prompt over all labelled cases, by the conservative estimate that budgets use (UTF-8 bytes / 3)."""

import statistics
import sys
from pathlib import Path

from rollout_verdict.adapters import prompts
from rollout_verdict.adapters.bundle import read_bundle
from rollout_verdict.core import rules
from rollout_verdict.core.compare import compare
from rollout_verdict.core.model.prompt import Budget, render
from rollout_verdict.core.policy import Policy
from rollout_verdict.core.redaction.redact import Redactor

CASES = Path(__file__).resolve().parents[3] / "shared" / "data" / "canary-cases"


def tokens(folder: Path) -> int:
    """Return the estimated tokens of the prompt for one case."""
    evidence, policy = Redactor().tree(read_bundle(folder)), Policy()
    comparison = compare(evidence, policy)
    opinion = rules.judge(evidence, comparison, policy).opinion
    return render(prompts.load(), evidence, comparison, opinion, policy, budget=Budget()).tokens


def main() -> None:
    """Print median and most."""
    cases = Path(sys.argv[1]) if len(sys.argv) > 1 else CASES
    if not cases.is_dir():
        print(f"no labelled cases at {cases}")
        return
    counts = [tokens(folder) for folder in sorted(cases.iterdir()) if (folder / "case.json").is_file()]
    print(f"prompt tokens over {len(counts)} cases: median {statistics.median(counts):.0f}, most {max(counts)}")


if __name__ == "__main__":
    main()
