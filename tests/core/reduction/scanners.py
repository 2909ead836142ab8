"""Both forms of the hot pass over logs."""

import importlib.util

from rollout_verdict.core.reduction import scan
from tests.conftest import missing


def scanner(form: str) -> type[scan.Scanner]:
    """Return the class of a form, "python" or "compiled"."""
    if form == "python":
        return scan.Scanner
    if importlib.util.find_spec("rollout_verdict.core.reduction._scan") is None:
        missing("the compiled scanner (scripts/compile.py: it takes a C compiler and Python.h)")
    from rollout_verdict.core.reduction import _scan

    return _scan.Scanner
