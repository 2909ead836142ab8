"""The command line: ``rollout-verdict``.

Results go to stdout, progress and complaints to stderr. Exit codes: 0 judged or explained, 1 a failure of ours, 2 wrong
usage or bad input; with ``--exit-code`` 10 for a rollback, 11 for an inconclusive verdict. Heavy imports stand inside
the commands, so that ``--help`` is quick.
"""

import logging
import sys
from collections.abc import Sequence
from functools import cache

USAGE = 2


def main(arguments: Sequence[str] | None = None, program: str = "rollout-verdict") -> None:
    """Run a command and exit. Input that cannot be used ends in one line on stderr and exit code 2."""
    from rollout_verdict.cli.app import app

    for stream in (sys.stdout, sys.stderr):
        if callable(reconfigure := getattr(stream, "reconfigure", None)):
            reconfigure(errors="replace")  # a terminal that cannot show a letter must not cost the verdict
    handler = logging.StreamHandler()
    handler.addFilter(lambda record: _redacting().filter(record))
    logging.basicConfig(handlers=[handler], format="%(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    try:
        app(args=None if arguments is None else list(arguments), prog_name=program)
    except ValueError as error:
        from rollout_verdict.adapters.bundle import BundleError
        from rollout_verdict.cli.input import InputError
        from rollout_verdict.core.quote import visible
        from rollout_verdict.settings import SettingsError

        if not isinstance(error, BundleError | InputError | SettingsError):
            raise
        sys.stderr.write(f"{program}: {visible(' '.join(str(error).split()))}\n")
        raise SystemExit(USAGE) from None


@cache
def _redacting() -> logging.Filter:
    """Return what keeps secrets out of log records: loaded with the first of them, which most commands never write."""
    from rollout_verdict.log_records import RedactingFilter

    return RedactingFilter()


def kubectl_main(arguments: Sequence[str] | None = None) -> None:
    """Run a command as the kubectl plugin: usage texts name it the way people call it."""
    main(arguments, program="kubectl rollout-verdict")


def kubectl_complete(arguments: Sequence[str] | None = None) -> None:
    """Print candidates for the last word of a command line, as kubectl asks a plugin for them."""
    from rollout_verdict.cli.complete import complete

    words = list(sys.argv[1:] if arguments is None else arguments)
    candidates = complete(words)
    # Flags of kubectl's completion: 4, no names of files instead; 2, no space after what goes on, "rollout/".
    directive = 6 if any(one.endswith("/") for one in candidates) else 4
    sys.stdout.write("".join(f"{one}\n" for one in (*candidates, f":{directive}")))
