"""A judge in front of the fake server, with a clock that only moves when somebody sleeps."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

from rollout_verdict.adapters import prompts
from rollout_verdict.adapters.gemini import GeminiJudge, Options, load_prices
from tests.fakes.gemini import FakeGemini

KEY = "AIzaSyD-test-key-never-to-be-seen-anywhere"
FIRST, SECOND, THIRD = Options().models
TEMPLATES = prompts.load()
TODAY = date(2026, 11, 23)


class Time:
    """Seconds that pass by sleeping alone. ``slept`` holds each wait."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept = []

    def clock(self):
        return self.now

    async def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


@contextmanager
def judge(time=None, **options) -> Iterator[GeminiJudge]:
    """A judge without jitter that never really waits."""
    passing = time or Time()
    built = GeminiJudge(
        TEMPLATES,
        Options(**{"api_key": KEY, "attempt_timeout_s": 5.0, **options}),
        load_prices(),
        clock=passing.clock,
        sleep=passing.sleep,
        today=lambda: TODAY,
        jitter=lambda: 1.0,
    )
    try:
        yield built
    finally:
        built.close()


@contextmanager
def model(*script, time=None, responder=None, **options):
    """A fake server playing ``script`` and a judge that asks it. Yields both."""
    server = FakeGemini(script={"*": script} if script else {}, **({"responder": responder} if responder else {}))
    with server as fake, judge(time, base_url=fake.url, **options) as judging:
        yield fake, judging


def calls(fake):
    """How many calls each model of the chain got, in the order in which they were asked."""
    asked = [entry.model for entry in fake.journal]
    assert asked == sorted(asked, key=asked.index), "a model was asked again after the chain had moved on"
    return tuple(asked.count(name) for name in dict.fromkeys(asked))
