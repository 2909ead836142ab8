"""Series that are there and still cannot say everything."""

from dataclasses import replace

from rollout_verdict.core.values import Pair, Side
from tests.adapters.prometheus.world import RATE, World, counter

NO_STATUS = World(namespace="no-status", number=210)
SLOW = World(namespace="slow", number=211)
SLOWER = World(namespace="slower", number=212)
TWICE = World(namespace="twice", number=213)
RARE = World(namespace="rare", number=214)
RENAMED = World(namespace="renamed", number=215)
BEFORE = replace(RENAMED, hashes=Pair(stable=RENAMED.hashes.stable, canary="6c9d7bb4d8"))
NEIGHBOURS = World(namespace="neighbours", number=216)
UNSURE = World(namespace="unsure", number=217)
CLUSTERS = World(namespace="clusters", number=218)
HERE, THERE = "eu-1", 'us "1"\\'  # of clusters: the second is a name that has to be escaped
WORDS = World(namespace="words", number=219)
GCLB = "stackdriver_https_lb_rule_loadbalancing_googleapis_com_https_backend_request_count"


def write_all(tsdb):
    tsdb.add("nginx_gateway_fabric_http_requests_total", {"class": "nginx"}, counter(50.0))
    _write(tsdb)
    for side in Side:
        for pod in CLUSTERS.pods(side):
            for name, code in ((HERE, "200"), (THERE.translate(_ESCAPES), "500")):
                labels = {"pod": pod, "namespace": CLUSTERS.namespace, "cluster": name, "code": code}
                tsdb.add("http_requests_total", labels, counter(RATE.of(side)))


_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"'})


def _write(tsdb):
    """``SLOW`` has a canary beyond the highest bound, ``SLOWER`` both sides; ``TWICE`` two backends a side; ``RARE`` is
    scraped twice in the window; the canary of ``RENAMED`` has another label for the status; beside ``NEIGHBOURS`` and
    ``UNSURE`` stand services whose names begin alike, behind ports with a number and with a name; ``WORDS`` has words for
    the status, and half of what its canary answers are failures."""
    for side in Side:
        for world in (NO_STATUS, SLOW, SLOWER):
            for pod in world.pods(side):
                labels = {"pod": pod, "namespace": world.namespace}
                rate = RATE.of(side) / len(world.pods(side))
                status = {} if world is NO_STATUS else {"code": "200"}
                tsdb.add("http_requests_total", {**labels, **status}, counter(rate))
                beyond = world is SLOWER or (world is SLOW and side is Side.CANARY)
                if world is not NO_STATUS:
                    for le in ("0.1", "1", "+Inf"):
                        inside = le == "+Inf" or not beyond
                        tsdb.add(
                            "http_request_duration_seconds_bucket",
                            {**labels, "le": le},
                            counter(rate if inside else 0.0),
                        )
        for number in ("1a2b3c", "4d5e6f"):
            name = f"k8s1-{number}-{TWICE.namespace}-{TWICE.services.of(side)}-80-{number}"
            tsdb.add(GCLB, {"backend_target_name": name, "response_code_class": "200"}, counter(10.0, scrape_s=60))
        for pod in RARE.pods(side):
            labels = {"pod": pod, "namespace": RARE.namespace, "code": "200"}
            tsdb.add("http_requests_total", labels, counter(10.0, scrape_s=300))
    for side in Side:
        for pod in RENAMED.pods(side):
            labels = {"pod": pod, "namespace": RENAMED.namespace, **_status(side)}
            tsdb.add("http_requests_total", labels, counter(RATE.of(side)))
        for pod in BEFORE.pods(side) if side is Side.CANARY else ():
            labels = {"pod": pod, "namespace": BEFORE.namespace, "status": "200"}
            tsdb.add("http_requests_total", labels, counter(RATE.of(side)))
        for pod in WORDS.pods(side):
            for status, share in (("success", 0.5), ("error", 0.5 if side is Side.CANARY else 0.0)):
                labels = {"pod": pod, "namespace": WORDS.namespace, "status": status}
                tsdb.add("http_requests_total", labels, counter(RATE.of(side) * share))
        for world, port in ((NEIGHBOURS, "80"), (UNSURE, "http")):
            service = world.services.of(side)
            for name, code, rate in ((service, "200", RATE.of(side)), (f"{service}-admin", "500", 100.0)):
                labels = {"service": f"{world.namespace}-{name}-{port}@kubernetescrd", "code": code}
                tsdb.add("traefik_service_requests_total", labels, counter(rate))


def _status(side):
    return {"status": "200"} if side is Side.STABLE else {"http_status": "500"}
