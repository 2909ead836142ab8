"""A process of the service for tests to kill: python -m tests.jobs.process DATABASE REPLICA MODEL_URL JOURNAL [BEAT_S].

Reads commands from stdin, one a line: ``start ID`` begins an analysis of a live target. Says ``ready`` when it works
and ``started ID`` when an analysis is kept. What was gathered and told goes into the journal, a line at a time.
"""

import dataclasses
import os
import random
import sys
import time
from pathlib import Path

from rollout_verdict import wiring
from rollout_verdict.adapters.bundle import read_bundle
from rollout_verdict.core.target import Target, TargetKind
from rollout_verdict.jobs.analysis import Request, UnavailableError
from rollout_verdict.jobs.answers import Limits
from rollout_verdict.jobs.settings import JobSettings
from rollout_verdict.settings import Secret, Settings
from tests.conftest import ROOT

BUNDLE = ROOT / "examples" / "bundles" / "bad"
CHANNEL = "journal"


class Journal:
    """A file that several processes append lines to; a line is written whole or not at all."""

    name = CHANNEL

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o600)

    def note(self, what: str, analysis_id: str) -> None:
        os.write(self._descriptor, f"{what} {analysis_id}\n".encode())

    def __call__(self, request, result) -> None:
        time.sleep(random.random() * 0.05)
        self.note(f"told:{result.verdict.decision.value}", request.id)


def request(analysis_id: str, **config) -> Request:
    """An analysis of a rollout that has the analysis's name, so that its prompts can be told apart."""
    return Request(
        id=analysis_id,
        namespace="shop",
        name=analysis_id,
        target=Target(kind=TargetKind.ROLLOUT, namespace="shop", name=analysis_id),
        config={"notify": [CHANNEL], **config},
    )


def main(database: str, replica: str, model_url: str, journal_path: str, beat_s: str = "5") -> None:
    journal = Journal(Path(journal_path))
    evidence = read_bundle(BUNDLE)

    def gather(asked, configuration, on_stage):
        time.sleep(random.random() * 0.1)
        journal.note("gathered", asked.id)
        return dataclasses.replace(evidence, rollout=dataclasses.replace(evidence.rollout, name=asked.name))

    settings = Settings(api_key=Secret("key-of-nobody"), base_url=model_url)
    jobs = JobSettings(
        database=Secret(database),
        replica=replica,
        beat_s=float(beat_s),
        limits=Limits(calls=None, calls_a_minute=None),
    )
    model = wiring.model_judge(settings)
    analyses = wiring.analyses(settings, jobs, gather, model=model, notifiers=[journal])
    analyses.launch()
    print("ready", flush=True)
    for line in sys.stdin:
        _, analysis_id = line.split()
        while True:
            try:
                analyses.start(request(analysis_id))
            except UnavailableError:
                time.sleep(0.2)
            else:
                break
        print("started", analysis_id, flush=True)
    analyses.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
