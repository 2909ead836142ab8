"""Compiles the hot pass over logs beside its source: python scripts/compile.py.

It is optional: without a C compiler, or Python.h, the same pass runs in Python, several times slower.
"""

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from contextlib import suppress
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent / "plugin/rollout_verdict/core/reduction/_scan.c"
NAME = "_scan.abi3.so"  # the stable interface: one file for all versions of Python
_TIMEOUT_S = 120


def compile_to(target: Path) -> str:
    """Compile into a file; return why that was not possible, "" if it was."""
    try:
        return _compile(target, shlex.split(os.environ.get("CC") or "cc"))
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        return f"it broke: {error}"


def _compile(target: Path, compiler: list[str]) -> str:
    include = Path(sysconfig.get_path("include"))
    if sys.implementation.name != "cpython":
        return "it is for CPython"
    if not shutil.which(compiler[0]):
        return f"there is no C compiler {compiler[0]}"
    if not (include / "Python.h").exists():
        return f"there is no Python.h for {sys.executable} (on Debian: the package python3-dev)"
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        made = Path(folder) / NAME
        flags = ["-std=gnu11", "-O3", "-Wall", "-Wextra", "-fPIC", "-shared", f"-I{include}"]
        done = subprocess.run(
            [*compiler, *flags, str(SOURCE), "-o", str(made)],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
        if done.returncode:
            return f"{compiler[0]} failed: {done.stderr[-2000:]}"
        made.replace(target)  # whoever has the one before open keeps it
    return ""


def main() -> None:
    """Compile unless what is there is newer than the source."""
    target = SOURCE.with_name(NAME)
    if target.exists() and target.stat().st_mtime >= SOURCE.stat().st_mtime:
        return
    if problem := compile_to(target):
        with suppress(OSError):
            target.unlink(missing_ok=True)  # of another source
        print(f"the pass over logs is not compiled and runs in Python: {problem}", file=sys.stderr)


if __name__ == "__main__":
    main()
