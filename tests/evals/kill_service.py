"""kill -9 at random moments of running analyses: does every one end, once, and is no paid answer bought twice?

    python -m tests.evals.kill_service [--trials 50] [--seed 1] [--sqlite] [--postgres] [--outage 30]

On SQLite with one process, on PostgreSQL with three. Each trial begins some analyses, kills a process at a random
moment and starts it again, or leaves it dead until the others have taken over. Prints a line of figures for each.
"""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

from rollout_verdict.jobs.analysis import Phase
from rollout_verdict.jobs.database import open_engines
from rollout_verdict.jobs.tables import ANALYSES, ANSWERS
from tests.fakes.gemini import Call, FakeGemini
from tests.fakes.gemini.scenarios import citing
from tests.jobs.children import Child, noted
from tests.jobs.postgres import Postgres

A_TRIAL = 6  # analyses begun in one
SPAN_S = 1.2  # in which a trial's analyses end if nobody kills anything
END_S = 120.0  # after which one that has not ended counts as lost
LEFT_DEAD = 0.2  # share of trials with several processes in which the killed one stays dead


def slowly(call: Call):
    """Answer as a model that takes its time, so that some processes die while they wait for it."""
    answer = citing(call)
    return type(answer)(**{**vars(answer), "delay_s": random.Random(call.number).uniform(0.05, 0.5)})


@dataclass
class Figures:
    """What a run has shown."""

    analyses: int = 0
    kills: int = 0
    lost: list[str] = field(default_factory=list)
    bought_twice: list[str] = field(default_factory=list)
    calls: int = 0
    untold: list[str] = field(default_factory=list)
    told_again: int = 0
    gathered_again: int = 0
    not_done: Counter[str] = field(default_factory=Counter)
    takeovers_s: list[float] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether nothing was lost, repeated or left out."""
        slow = [took for took in self.takeovers_s if took > 60]
        return not (self.lost or self.bought_twice or self.untold or self.not_done or slow)

    def line(self, name: str) -> str:
        """Tell it in one line."""
        taken = (
            f", takeovers {len(self.takeovers_s)}, slowest {max(self.takeovers_s):.1f} s" if self.takeovers_s else ""
        )
        return (
            f"{name}: {self.kills} kills, {self.analyses} analyses, {len(self.lost)} lost, "
            f"{len(self.bought_twice)} stored answers bought again, {self.calls} model calls, "
            f"{len(self.untold)} not told, {self.told_again} told more than once, "
            f"{self.gathered_again} gathered more than once, not done: {dict(self.not_done) or 'none'}{taken}"
        )


class Trials:
    """Processes on one database, killed and started again."""

    def __init__(
        self,
        database: str,
        replicas: list[str],
        folder: Path,
        seed: int,
        *,
        beat_s: float = 5.0,
        left_dead: float = LEFT_DEAD,
    ) -> None:
        self.figures = Figures()
        self._database = database
        self._journal = folder / "journal"
        self._journal.touch()
        self._random = random.Random(seed)
        self._beat_s = beat_s
        self._left_dead = left_dead
        self._replicas = replicas
        self._begun: list[str] = []
        self._calls_when_stored: dict[str, int] = {}

    def run(self, trials: int, between: Callable[[int], None] = lambda trial: None) -> Figures:
        """Kill as often as that; ``between`` may do worse at each trial."""
        with FakeGemini(responder=slowly) as fake:
            self._fake = fake
            children = {replica: self._child(replica) for replica in self._replicas}
            assert all(child.ready() for child in children.values())
            engine, self._reader = open_engines(self._database)
            engine.dispose()
            try:
                for trial in range(trials):
                    self._trial(trial, children)
                    between(trial)
                self._wait(self._begun)
                self._count()
            finally:
                self._reader.dispose()
                for child in children.values():
                    child.kill()
        return self.figures

    def _child(self, replica: str) -> Child:
        return Child(self._database, replica, self._fake.url, self._journal, self._beat_s)

    def _trial(self, trial: int, children: dict[str, Child]) -> None:
        begun = [f"t{trial}-{number}" for number in range(A_TRIAL)]
        self._begun += begun
        replica = self._random.choice(list(children))
        for name, child in children.items():
            if not child.ready():  # it met the server's absence when it started; an operator's tools start it again
                children[name] = self._child(name)
                assert children[name].ready()
        children[replica].start(*begun[: A_TRIAL // 2])
        self._random.choice(list(children.values())).start(*begun[A_TRIAL // 2 :])
        self._wait_running(begun)
        time.sleep(self._random.uniform(0, SPAN_S))
        children[replica].kill()
        self.figures.kills += 1
        killed = time.monotonic()
        self._note_stored()
        if len(children) > 1 and self._random.random() < self._left_dead:
            self._wait(begun)
            self.figures.takeovers_s.append(time.monotonic() - killed)
        children[replica] = self._child(replica)  # not waited for: the next trial may meet it while it starts

    def _note_stored(self) -> None:
        """Remember how often those were asked whose answer is stored: it must never be more."""
        with self._reader.connect() as connection:
            stored = set(
                connection.execute(sa.select(ANSWERS.c.analysis).where(ANSWERS.c.answered.is_not(None))).scalars()
            )
        calls = self._calls()
        for analysis_id in stored - self._calls_when_stored.keys():
            self._calls_when_stored[analysis_id] = calls[analysis_id]

    def _calls(self) -> Counter[str]:
        """Count model calls by analysis: its name stands in the prompt."""
        with self._fake.lock:
            prompts = [entry.prompt for entry in self._fake.journal if entry.body]  # none: killed while it sent
        found = Counter[str]()
        for prompt in prompts:
            named = [one for one in self._begun if f"{one} " in prompt or f"{one}\n" in prompt or f'"{one}"' in prompt]
            found[named[-1] if named else "?"] += 1
        return found

    def _wait(self, analysis_ids: list[str]) -> None:
        end = time.monotonic() + END_S
        while time.monotonic() < end:
            if not self._open(analysis_ids):
                return
            time.sleep(0.1)
        self.figures.lost += sorted(self._open(analysis_ids))

    def _wait_running(self, analysis_ids: list[str]) -> None:
        """Wait until one has begun: who is killed while all wait in the queue loses nothing anyway."""
        end = time.monotonic() + END_S
        running = sa.select(ANALYSES.c.id).where(ANALYSES.c.id.in_(analysis_ids), ANALYSES.c.started.is_not(None))
        while time.monotonic() < end:
            with self._reader.connect() as connection:
                if connection.execute(running.limit(1)).first() is not None:
                    return
            time.sleep(0.02)

    def _open(self, analysis_ids: list[str]) -> set[str]:
        with self._reader.connect() as connection:
            final = connection.execute(
                sa.select(ANALYSES.c.id).where(
                    ANALYSES.c.id.in_(analysis_ids), ANALYSES.c.phase.not_in([Phase.QUEUED.value, Phase.RUNNING.value])
                )
            ).scalars()
            return set(analysis_ids) - set(final)

    def _count(self) -> None:
        figures = self.figures
        figures.analyses = len(self._begun)
        end = time.monotonic() + END_S
        while time.monotonic() < end and (untold := self._untold()):
            time.sleep(0.2)  # notifications come after the verdict
        figures.untold = untold
        with self._reader.connect() as connection:
            phases = connection.execute(sa.select(ANALYSES.c.phase)).scalars()
            figures.not_done = Counter(phase for phase in phases if phase != Phase.DONE.value)
        calls = self._calls()
        figures.calls = sum(calls.values())
        assert not calls["?"], "a prompt could not be told apart"
        figures.bought_twice = sorted(one for one, before in self._calls_when_stored.items() if calls[one] > before)
        for (what, _), times in noted(self._journal).items():
            figures.told_again += times > 1 and what.startswith("told")
            figures.gathered_again += times > 1 and what == "gathered"

    def _untold(self) -> list[str]:
        told = {analysis_id for what, analysis_id in noted(self._journal) if what.startswith("told")}
        return sorted(set(self._begun) - told)


def on_sqlite(trials: int, seed: int, folder: Path) -> Figures:
    """One process on a file."""
    return Trials(str(folder / "analyses.sqlite"), ["local"], folder, seed).run(trials)


def on_postgres(trials: int, seed: int, folder: Path, outage_s: float = 0.0) -> Figures:
    """Three processes on a server, which itself goes away for a while in the middle when ``outage_s`` is given."""
    with Postgres() as server:

        def outage(trial: int) -> None:
            if outage_s and trial == trials // 2:
                server.stop()
                time.sleep(outage_s)
                server.start()

        return Trials(server.create("verdict"), ["one", "two", "three"], folder, seed).run(trials, outage)


def main() -> int:
    """Print the figures; 1 when anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sqlite", action="store_true")
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--outage", type=float, default=0.0, help="seconds without the server, in the middle")
    options = parser.parse_args()
    both = not (options.sqlite or options.postgres)
    good = True
    with tempfile.TemporaryDirectory(prefix="kill-service-") as name:
        folder = Path(name)
        for wanted, label, run in (
            (options.sqlite, "SQLite, one process", lambda at: on_sqlite(options.trials, options.seed, at)),
            (
                options.postgres,
                f"PostgreSQL, three processes, server away {options.outage:g} s",
                lambda at: on_postgres(options.trials, options.seed, at, options.outage),
            ),
        ):
            if both or wanted:
                place = folder / label.split(",", 1)[0]
                place.mkdir()
                figures = run(place)
                sys.stdout.write(figures.line(label) + "\n")
                sys.stdout.flush()
                good = good and figures.good
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
