"""A rollout with two sides, and series about it with ratios and durations that are known."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from rollout_verdict.core.target import Scope
from rollout_verdict.core.values import Pair, RolloutRef, Side, Window

END = 1_795_000_000.0
WINDOW_S = 600
SCRAPE_S = 30
BEFORE_S = 120  # the series began before the window

RATE = Pair(stable=40.0, canary=10.0)  # requests a second of the side
FAILING = Pair(stable=0.01, canary=0.08)
CLIENT = 0.02
# All requests lie in one bucket each, so that any quantile is known exactly: bounds in seconds.
BUCKET = Pair(stable=(0.05, 0.1), canary=(0.5, 1.0))
BOUNDS = (0.05, 0.1, 0.3, 0.5, 1.0, 1.2, 5.0)


@dataclass(frozen=True, kw_only=True)
class World:
    """Names of one rollout. ``thin`` makes it serve next to nothing on the canary."""

    namespace: str
    rollout: str = "checkout"
    hashes: Pair[str] = field(default_factory=lambda: Pair(stable="5d8f7c9b6d", canary="7b4c8f66f5"))
    services: Pair[str] = field(default_factory=lambda: Pair(stable="checkout", canary="checkout-canary"))
    number: int = 0

    def pods(self, side):
        return tuple(
            f"{self.rollout}-{self.hashes.of(side)}-{end}"
            for end in {"stable": ("k2x9p", "zz7tb"), "canary": ("m4qwl",)}[side]
        )

    def addresses(self, side):
        start = {"stable": 1, "canary": 101}[side]
        return tuple(f"10.7.{self.number}.{start + place}" for place, _ in enumerate(self.pods(side)))

    def group(self, side):
        return f"targetgroup/k8s-{self.namespace[:8]}-{side}/0123456789abcde{self.number:x}"

    def scope(self, *, routers=(), blind=False, end=END, window_s=WINDOW_S):
        """``blind`` leaves out what would name the services and target groups."""
        both = Pair(stable=Side.STABLE, canary=Side.CANARY)
        nothing = Pair(stable="", canary="")
        return Scope(
            rollout=RolloutRef(
                namespace=self.namespace,
                name=self.rollout,
                stable_hash=self.hashes.stable,
                canary_hash=self.hashes.canary,
            ),
            window=Window(start=datetime.fromtimestamp(end - window_s, UTC), end=datetime.fromtimestamp(end, UTC)),
            pods=both.map(self.pods),
            addresses=both.map(self.addresses),
            services=nothing if blind else self.services,
            ingresses=("checkout-ingress",),
            routers=routers,
            target_groups=nothing if blind else both.map(self.group),
        )


def times(*, scrape_s=SCRAPE_S, end=END):
    """When samples are taken: a little after full steps, from before the window to its end."""
    count = (WINDOW_S + BEFORE_S) // scrape_s
    return [
        end - WINDOW_S - BEFORE_S + 7 + scrape_s * n
        for n in range(count + 1)
        if scrape_s * n + 7 <= WINDOW_S + BEFORE_S
    ]


def counter(rate, *, scrape_s=SCRAPE_S, start=1000.0):
    """A running total that grows by ``rate`` a second."""
    first = times(scrape_s=scrape_s)[0]
    return [(at, start + rate * (at - first)) for at in times(scrape_s=scrape_s)]


def gauge(value, *, scrape_s=SCRAPE_S):
    return [(at, value) for at in times(scrape_s=scrape_s)]


def wobbling(value, *, scrape_s=SCRAPE_S):
    """What came in during a minute, up and down by a tenth, with the value as its mean; the same until the next minute."""
    first = times(scrape_s=scrape_s)[0]
    return [(at, value * (1.1 if int(at - first) // 60 % 2 else 0.9)) for at in times(scrape_s=scrape_s)]


def quantile(side, q):
    """Where PromQL's linear interpolation puts a quantile when all observations lie in one bucket."""
    low, high = BUCKET.of(side)
    return low + (high - low) * q
