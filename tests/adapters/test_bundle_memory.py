"""Reading a hostile bundle takes bounded memory: each runs in a process that may not have more."""

import gzip
import subprocess
import sys

import pytest

from tests.adapters.bundles import CANARY, build, documents
from tests.conftest import ROOT

MIB = 1 << 20
# address space of the interpreter with its libraries, plus what reading may take
PROGRAM = """
import resource, sys
from pathlib import Path
from rollout_verdict.adapters.bundle import BundleError, read_bundle
pages = int(Path("/proc/self/statm").read_text().split()[0])
allowed = pages * resource.getpagesize() + int(sys.argv[2]) * (1 << 20)
resource.setrlimit(resource.RLIMIT_AS, (allowed, allowed))
try:
    evidence = read_bundle(Path(sys.argv[1]))
    print("read", *sorted({gap.what for gap in evidence.gaps}), sep="; ")
except BundleError as error:
    print(error)
"""


def read(path, megabytes):
    """Read a bundle in a process with so much memory to spare; returns what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, path, str(megabytes)],
        env={"PYTHONPATH": str(ROOT / "plugin")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


def canary_log(folder):
    return build(folder) / f"logs/canary/{CANARY}/api.log.gz"


def test_a_line_of_100_mb(tmp_path):
    with gzip.open(canary_log(tmp_path / "b"), "wb", compresslevel=1) as log:
        log.write(b"2026-01-31T10:00:01Z ")
        block = b"".join(b"%07x " % (n * 2654435761 % 2**28) for n in range(1 << 17))
        for _ in range(100):
            log.write(block)
    assert read(tmp_path / "b", 48) == "read"


def test_a_log_of_zeros(tmp_path):
    with gzip.open(canary_log(tmp_path / "b"), "wb") as log:
        for _ in range(300):
            log.write(bytes(MIB))
    assert "rest of the log of canary pod" in read(tmp_path / "b", 48)


def test_an_archive_of_zeros(tmp_path):
    path = tmp_path / "b.tar.gz"
    header = b"case.json".ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2 + b"77777777777\0" + b"00000000000\0"
    header = header + b" " * 8 + b"0" + bytes(100) + b"ustar\x0000"
    header = header.ljust(512, b"\0")
    header = header[:148] + b"%06o\0 " % sum(header) + header[156:]
    with gzip.open(path, "wb") as archive:
        archive.write(header)
        for _ in range(100):
            archive.write(bytes(MIB))
    assert "as only a gzip bomb does" in read(path, 48)


@pytest.mark.parametrize("name", ["case.json", "metrics.json", "kubernetes.json", "diff.json"])
def test_a_document_of_many_small_values(tmp_path, name):
    content = b"[" + b"[]," * (5 * MIB) + b"[]]"
    assert read(build(tmp_path / "b", documents() | {name: content}), 900).startswith(f"{name}: ")
    content = b"[" + b"[]," * (6 * MIB) + b"[]]"
    assert "larger than 16 MiB" in read(build(tmp_path / "b", documents() | {name: content}), 96)
