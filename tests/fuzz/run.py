"""Fuzz one target with coverage: ``python -m tests.fuzz.run TARGET [libFuzzer options] CORPUS``.

Needs atheris (Apache-2.0, from PyPI), which is not among the locked tools: install it into a virtual environment of its
own and run this from the repository's root with ``PYTHONPATH=plugin``. A crash leaves its input in the working folder;
copy it to ``tests/fuzz/corpus/TARGET``, where ``test_regressions.py`` replays it for ever.
"""

import sys

import atheris

with atheris.instrument_imports(include=["rollout_verdict"]):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    name = sys.argv.pop(1)
    atheris.Setup(sys.argv, TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
