"""Run the fake on a port: python -m tests.fakes.gemini --port 8089 --responder citing."""

import argparse
import contextlib
import sys

from tests.fakes.gemini import SCENARIOS, FakeGemini


def main(arguments: list[str] | None = None) -> int:
    """Serve until interrupted. Prints on stderr what to set to use it."""
    parser = argparse.ArgumentParser(prog="python -m tests.fakes.gemini", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one")
    parser.add_argument(
        "--responder",
        default="citing",
        choices=sorted(SCENARIOS),
        metavar="NAME",
        help=f"one of {', '.join(sorted(SCENARIOS))}",
    )
    options = parser.parse_args(arguments)
    fake = FakeGemini(responder=SCENARIOS[options.responder], port=options.port)
    sys.stderr.write(f"fake Gemini ({options.responder}) on {fake.url}\n")
    sys.stderr.write(f"export GOOGLE_GEMINI_BASE_URL={fake.url} GEMINI_API_KEY=any\n")
    sys.stderr.flush()
    with contextlib.suppress(KeyboardInterrupt):
        fake.serve_forever()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
