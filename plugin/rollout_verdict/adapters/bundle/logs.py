"""The log files of a bundle into reduced evidence, one stream a container, never a whole log at once."""

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from rollout_verdict.adapters.bundle.files import LOG_FILE, MIB, BundleError, Limits, read_log
from rollout_verdict.core.evidence import LogEvidence
from rollout_verdict.core.reduction.reduce import LogReducer
from rollout_verdict.core.values import Gap, Pair, Side, SourceKind, Window

_SHORTER = "leave out what lies outside the window that is judged"
NAMED = 5  # of a list of pods or files in a message; the rest are counted


def read_logs(
    files: Mapping[str, Path],
    listed: Pair[tuple[str, ...]],
    window: Window | None,
    *,
    timestamps: bool | None,
    limits: Limits,
) -> tuple[LogEvidence | None, list[Gap]]:
    """Return what the logs say, None without any, and what is missing of them.

    ``listed`` names the pods of each side; one without a log file is a gap. ``timestamps`` says whether lines begin
    with the kubelet's time; None finds out. Raises BundleError for two files of one container, and for logs that take
    more bytes or time than all of them together may.
    """
    found = _containers(files)
    gaps = _strangers(files)
    if not found:
        return None, [*gaps, _gap("logs", "the bundle has no log files", None)]
    chosen = sorted(found)[: limits.log_files]
    if left_out := len(found) - len(chosen):
        gaps.append(
            _gap(f"{left_out} of the log files", f"only {limits.log_files} log files of a bundle are read", None)
        )
    budget = _Budget(limits)
    reducer = LogReducer(window=window, timestamps=timestamps)
    for side in Side:
        for pod in listed.of(side):
            reducer.declare(side, pod)
    for side, pod, container in chosen:
        stream = reducer.stream(side, pod, container)
        try:
            for chunk in read_log(found[side, pod, container], limits):
                budget.take(len(chunk))
                stream.feed(chunk)
        except _ExhaustedError:
            raise
        except BundleError as error:
            stream.close(partial=str(error))
            what = f"rest of the log of {side} pod {pod}, container {container}"
            gaps.append(replace(_gap(what, str(error), side), hint="pack this file again, or record it anew"))
        else:
            stream.close()
    return reducer.finish(), [*gaps, *_missing(set(found), listed)]


class _ExhaustedError(BundleError):
    """All logs together are too much. No part of them stands: what it would say depends on how fast the machine is."""


class _Budget:
    """What all logs of a bundle have taken."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._end = time.monotonic() + limits.logs_s
        self._taken = 0

    def take(self, size: int) -> None:
        """Count bytes. Raises _ExhaustedError when there are too many, or it is too late for them."""
        self._taken += size
        if self._taken > self._limits.logs_bytes:
            raise _ExhaustedError(
                f"its logs unpack to more than {self._limits.logs_bytes // MIB} MiB together; {_SHORTER}"
            )
        if time.monotonic() >= self._end:
            raise _ExhaustedError(f"its logs take longer than {self._limits.logs_s:g} s to read; {_SHORTER}")


def readable(name: str) -> str:
    """Return a file name as text: bytes that are no UTF-8 become U+FFFD."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def some(names: list[str]) -> str:
    """Name the first few and count the others."""
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _containers(files: Mapping[str, Path]) -> dict[tuple[Side, str, str], Path]:
    found: dict[tuple[Side, str, str], Path] = {}
    for name, path in files.items():
        if match := LOG_FILE.fullmatch(name):
            key = (Side(match[1]), readable(match[2]), readable(match[3]))
            if key in found:
                raise BundleError(f"{name}: the log of this container is there twice; keep one of the two")
            found[key] = path
    return found


def _strangers(files: Mapping[str, Path]) -> list[Gap]:
    """Tell of files below ``logs/`` that are no logs by their place or name: a typing error must not go unseen."""
    strange = [readable(name) for name in files if name.startswith("logs/") and not LOG_FILE.fullmatch(name)]
    if not strange:
        return []
    return [_gap(some(strange), "not of the form logs/stable|canary/POD/CONTAINER.log[.gz], so it is not read", None)]


def _missing(found: set[tuple[Side, str, str]], listed: Pair[tuple[str, ...]]) -> list[Gap]:
    gaps = []
    for side in Side:
        logged = {pod for at, pod, _ in found if at is side}
        if not logged:
            gaps.append(_gap(f"{side} logs", f"the bundle has no log file of a {side} pod", side))
        elif lacking := sorted(set(listed.of(side)) - logged):
            gaps.append(_gap(f"logs of {side} pods {some(lacking)}", "the bundle has no log file of them", side))
    return gaps


def _gap(what: str, reason: str, side: Side | None) -> Gap:
    hint = "record it as logs/stable|canary/POD/CONTAINER.log.gz"
    return Gap(source=SourceKind.LOGS, what=what, reason=reason, hint=hint, side=side)
