"""Bundles on disk: a folder or a .tar.gz with the recorded evidence of one measurement."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rollout_verdict.core.values import Side


@dataclass(frozen=True, slots=True, kw_only=True)
class RawLog:
    """A log file of a bundle."""

    side: Side
    pod: str
    container: str
    path: Path

    def chunks(self, size: int = 1 << 20) -> Iterator[bytes]:
        """Yield the decompressed bytes."""
        opener = gzip.open if self.path.suffix == ".gz" else open
        with opener(self.path, "rb") as stream:
            while chunk := stream.read(size):
                yield chunk


def provisional_read(
    folder: Path,
) -> tuple[dict[str, Any], list[RawLog], dict[str, Any] | None, dict[str, Any] | None]:
    """Return (input, logs, metrics, kubernetes) of a bundle folder. To be replaced by the hardened reader."""
    case = json.loads((folder / "case.json").read_bytes())["input"]
    logs = [
        RawLog(
            side=Side(p.parts[-3]),
            pod=p.parts[-2],
            container=p.name.removesuffix(".gz").removesuffix(".log"),
            path=p,
        )
        for p in sorted(folder.glob("logs/*/*/*.log*"))
    ]
    metrics = json.loads(p.read_bytes()) if (p := folder / "metrics.json").exists() else None
    kubernetes = json.loads(p.read_bytes()) if (p := folder / "kubernetes.json").exists() else None
    return case, logs, metrics, kubernetes
