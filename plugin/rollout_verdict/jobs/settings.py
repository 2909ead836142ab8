"""The settings of keeping and running analyses: the environment, read once, checked, and passed down as one value."""

import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from rollout_verdict.durations import parse_duration
from rollout_verdict.jobs.answers import Limits
from rollout_verdict.jobs.database import is_sqlite
from rollout_verdict.jobs.watch import Keeping
from rollout_verdict.settings import Secret, SettingsError

MIB = 1 << 20
FILE = "analyses.sqlite"
COUNT_DIGITS = 12
OURS = "ROLLOUT_VERDICT_"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSettings:
    """Where and how much this process works.

    ``database`` is a path or ``postgresql://…``. ``replica`` names this process and is the same after a restart, so
    that it goes on with its own work at once; two processes must not share it.
    """

    database: Secret
    replica: str = "local"
    analyses: int = 64  # at the same time in this process: each holds a thread and a few MiB of evidence
    judging: int = 2  # of them, compared at the same time: arithmetic, more would only keep those waiting who ask
    poll_s: float = 0.2  # how often the queue is looked at: a fifth of a second of waiting, for two cheap queries
    beat_s: float = 5.0  # between two beats of the pulse; one that stops for six of them counts as dead
    bundle_bytes: int = 16 * MIB  # compressed; evidence is reduced already, a real one has tens of KiB
    limits: Limits = field(default_factory=Limits)
    keeping: Keeping = field(default_factory=Keeping)


def read_job_settings(environment: Mapping[str, str], state_dir: Path) -> JobSettings:
    """Return the settings in an environment. Raises SettingsError for a value that cannot be used.

    | variable | meaning |
    | --- | --- |
    | ``ROLLOUT_VERDICT_DATABASE`` | ``postgresql://USER:PASSWORD@HOST/NAME``, or a file (the default) |
    | ``ROLLOUT_VERDICT_REPLICA`` | name of this process among several, the same after a restart; the host's |
    | ``ROLLOUT_VERDICT_ANALYSES`` | analyses at the same time in this process |
    | ``ROLLOUT_VERDICT_MODEL_CALLS``, ``ROLLOUT_VERDICT_MODEL_CALLS_PER_MINUTE`` | over all processes |
    | ``ROLLOUT_VERDICT_TOKENS_PER_DAY``, ``ROLLOUT_VERDICT_COST_PER_DAY`` | of a namespace; then the rules decide |
    | ``ROLLOUT_VERDICT_KEEP``, ``ROLLOUT_VERDICT_KEEP_COUNT`` | age ("720h") and number of what is kept |
    | ``ROLLOUT_VERDICT_BUNDLE_MIB`` | evidence of one analysis at most, compressed |
    """
    env = {name.removeprefix(OURS): value.strip() for name, value in environment.items() if value.strip()}
    database = env.get("DATABASE") or str(state_dir / FILE)
    limits, keeping = Limits(), Keeping()
    usual = JobSettings(database=Secret(database))
    return JobSettings(
        database=usual.database,
        replica=env.get("REPLICA") or ("local" if is_sqlite(database) else socket.gethostname()),
        analyses=_number(env, "ANALYSES", _count, usual.analyses),
        bundle_bytes=_number(env, "BUNDLE_MIB", _count, usual.bundle_bytes // MIB) * MIB,
        limits=Limits(
            calls=_number(env, "MODEL_CALLS", _count, limits.calls),
            calls_a_minute=_number(env, "MODEL_CALLS_PER_MINUTE", _count, limits.calls_a_minute),
            tokens_a_day=_number(env, "TOKENS_PER_DAY", _count, limits.tokens_a_day),
            cost_a_day_usd=_number(env, "COST_PER_DAY", _amount, limits.cost_a_day_usd),
        ),
        keeping=Keeping(
            age_s=_number(env, "KEEP", _duration, keeping.age_s),
            count=_number(env, "KEEP_COUNT", _count, keeping.count),
        ),
    )


N = TypeVar("N", int, float, int | None, float | None)


def _number(env: Mapping[str, str], name: str, parse: Callable[[str], int | float], default: N) -> N:
    if name not in env:
        return default
    try:
        return parse(env[name])  # type: ignore[return-value]  # each caller's parser makes what its default is
    except ValueError as error:
        shown = env[name][:40]
        raise SettingsError(f"{OURS}{name}: expected {error}, got {shown!r}: correct it or unset it") from None


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= COUNT_DIGITS and int(text) > 0):
        raise ValueError("a whole number above 0")
    return int(text)


def _amount(text: str) -> float:
    if not (re.fullmatch(r"\d{1,9}(\.\d{1,4})?", text, re.ASCII) and float(text) > 0):
        raise ValueError("an amount in US dollars such as 2.50")
    return float(text)


def _duration(text: str) -> float:
    try:
        return float(parse_duration(text))
    except ValueError:
        raise ValueError("a duration such as 720h") from None
