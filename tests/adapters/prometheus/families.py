"""Every family in its own names and labels, as the software itself writes them: independent of our presets' files.

A family says, for one side of a world, which label sets its series have (``rows``: one a pod, or one for the side), and
how it marks status, durations and the rest.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from rollout_verdict.core.values import Side
from tests.adapters.prometheus.world import (
    BOUNDS,
    BUCKET,
    CLIENT,
    FAILING,
    RATE,
    World,
    counter,
    gauge,
    wobbling,
)

Labels = dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Family:
    """``latency``: (kind, metric, units a second). ``merged`` replaces what tells the sides apart, for the case that
    nothing does; None where the labels cannot be merged. ``reading``: counter, total or delta."""

    id: str
    preset: str
    variant: str = ""
    prefix: str
    counter: str
    rows: Callable[[World, Side], list[Labels]]
    ok: Labels
    bad: Labels | None
    client: Labels | None = None
    bad_counter: str = ""
    client_counter: str = ""
    latency: tuple[str, str, float] | None = None
    latency_labels: Labels = field(default_factory=dict)
    merged: Callable[[World], Labels] | None = None
    blind: bool = False  # the sides are inseparable when the rollout has no services of its own
    reading: str = "counter"
    pods: bool = False
    scrape_s: int = 30
    also: Callable[["Family", World, Side], list[tuple[str, Labels, list]]] | None = None


def write(tsdb, family: Family, world: World, *, share=1.0, sides=tuple(Side), merged=False, alike=False):
    """Write the series of both sides; ``share`` scales the canary's traffic, ``alike`` makes it as good as stable."""
    for side in sides:
        scale = share if side is Side.CANARY else 1.0
        rows = [family.merged(world)] if merged else family.rows(world, side)
        for bare in rows:
            row = {**bare, "path": f"/{side.value}"} if merged else bare
            like = Side.STABLE if alike else side
            _requests(tsdb, family, row, RATE.of(side) * scale / len(rows), like)
            if family.latency:
                _durations(tsdb, family, row, RATE.of(side) * scale / len(rows), like)
        for name, labels, samples in family.also(family, world, side) if family.also else ():
            tsdb.add(name, labels, samples)


def _samples(family, rate):
    if family.reading == "counter":
        return counter(rate, scrape_s=family.scrape_s)
    return wobbling(rate * 60, scrape_s=family.scrape_s)


def _requests(tsdb, family, row, rate, side):
    failing = FAILING.of(side)
    if family.bad_counter:  # one counter for all, others for the failures
        tsdb.add(family.counter, {**row, **family.ok}, _samples(family, rate))
        if failing:
            tsdb.add(family.bad_counter, {**row, **(family.bad or {})}, _samples(family, rate * failing))
        tsdb.add(family.client_counter, {**row, **(family.client or {})}, _samples(family, rate * CLIENT))
        return
    client = CLIENT if family.client else 0.0
    tsdb.add(family.counter, {**row, **family.ok}, _samples(family, rate * (1 - failing - client)))
    if family.bad:
        tsdb.add(family.counter, {**row, **family.bad}, _samples(family, rate * failing))
    if family.client:
        tsdb.add(family.counter, {**row, **family.client}, _samples(family, rate * client))


def _durations(tsdb, family, row, rate, side):
    kind, metric, units = family.latency
    labels = {**row, **family.latency_labels}
    low, high = BUCKET.of(side)
    middle = (low + high) / 2
    if kind in ("histogram", "mean"):
        if kind == "histogram":
            for bound in (*BOUNDS, None):
                beneath = bound is None or bound >= high
                le = "+Inf" if bound is None else f"{bound * units:g}"
                tsdb.add(f"{metric}_bucket", {**labels, "le": le}, _samples(family, rate if beneath else 0.0))
        tsdb.add(f"{metric}_sum", labels, _samples(family, rate * middle * units))
        if f"{metric}_count" != family.counter:
            tsdb.add(f"{metric}_count", labels, _samples(family, rate))
    elif kind == "summary":
        for q in ("0.5", "0.95", "0.99"):
            tsdb.add(metric, {**labels, "quantile": q}, gauge(middle * units))
    else:
        tsdb.add(metric, labels, gauge(middle * units))


def _pods(*, pod="pod", namespace="namespace", **more):
    return lambda world, side: [
        {pod: name, namespace: world.namespace, "job": "app", **more} for name in world.pods(side)
    ]


def _nothing(**labels):
    """Series of the namespace without anything that names a side."""
    return lambda world: {key: value.replace("NS", world.namespace) for key, value in labels.items()}


def _one(**labels):
    """One row a side: values with NS, SVC, GROUP, HASH, ID (underscores) filled in."""

    def rows(world, side):
        service = world.services.of(side)
        filled = {
            "NS_": world.namespace.replace("-", "_"),
            "SVC_": service.replace("-", "_"),
            "NS": world.namespace,
            "SVC": service,
            "GROUP": world.group(side),
            "HASH": world.hashes.of(side),
            "ROLLOUT": world.rollout,
        }

        def fill(text):
            for key, value in filled.items():
                text = text.replace(f"<{key}>", value)
            return text

        return [{key: fill(value) for key, value in labels.items()}]

    return rows


def _nginx(namespace="namespace", service="service", /, **more):
    def rows(world, side):
        canary = f"{world.namespace}-{world.services.canary}-80" if side is Side.CANARY else ""
        return [
            {
                namespace: world.namespace,
                service: world.services.stable,
                "ingress": "checkout-ingress",
                "canary": canary,
                "host": "shop.example",
                "path": "/",
                "controller_class": "k8s.io/ingress-nginx",
                **more,
            }
        ]

    return rows


def _reports(service="service"):
    """Another Service of the same Ingress, which fails and has a canary of its own."""

    def also(family, world, side):
        canary = f"{world.namespace}-reports-canary-80" if side is Side.CANARY else ""
        (row,) = family.rows(world, side)
        return [(family.counter, {**row, **family.bad, service: "reports", "canary": canary}, counter(12.0))]

    return also


def _istio(reporter, *, pods=False):
    def rows(world, side):
        common = {
            "reporter": reporter,
            "destination_workload": world.rollout,  # the same for both: Istio takes the hash off
            "destination_workload_namespace": world.namespace,
            "destination_service_namespace": world.namespace,
            "destination_service_name": world.services.stable if pods else world.services.of(side),
            "request_protocol": "http",
        }
        if not pods:
            return [common]
        return [{**common, "pod": pod, "namespace": world.namespace} for pod in world.pods(side)]

    return rows


def _istio_other_reporter(family, world, side):
    """What a second reporter tells of the same requests: counting it, too, would double them."""
    labels = {**_istio("destination")(world, side)[0], "response_code": "500", "instance": "sidecar"}
    return [(family.counter, labels, counter(RATE.of(side)))]


def _target_info(world, side):
    return [{"job": "shop/checkout", "instance": f"{world.namespace}-{pod}"} for pod in world.pods(side)]


def _infos(family, world, side):
    return [
        (
            "target_info",
            {
                "job": "shop/checkout",
                "instance": f"{world.namespace}-{pod}",
                "k8s_pod_name": pod,
                "k8s_namespace_name": world.namespace,
                "k8s_replicaset_name": f"{world.rollout}-{world.hashes.of(side)}",
                "service_version": version,
            },
            gauge(1.0),
        )
        for pod in world.pods(side)
        for version in ("1", "2")  # two of one instance, which would break a plain join
    ]


def _quiet_traffic_of_probes(family, world, side):
    """Health checks, which nobody asked about."""
    return [
        (family.counter, {**row, **family.ok, "handler": "/healthz"}, counter(50.0)) for row in family.rows(world, side)
    ]


def _haproxy_times(metric, labels):
    def also(family, world, side):
        row = labels(world, side)[0]
        return [(metric, row, gauge(sum(BUCKET.of(side)) / 2))]

    return also


def _envoy(**cluster):
    return {
        "rows": _one(**cluster),
        "ok": {"envoy_response_code": "200"},
        "bad": {"envoy_response_code": "503"},
        "client": {"envoy_response_code": "404"},
        "counter": "envoy_cluster_upstream_rq",
        "latency": ("histogram", "envoy_cluster_upstream_rq_time", 1000.0),
    }


HTTP = {"ok": {"code": "200"}, "bad": {"code": "503"}, "client": {"code": "404"}}
STATUS = {"ok": {"status": "200"}, "bad": {"status": "500"}, "client": {"status": "404"}}

FAMILIES = [
    Family(
        id="nginx", preset="nginx", prefix="nginx", counter="nginx_ingress_controller_requests",
        rows=_nginx(), **STATUS,
        latency=("histogram", "nginx_ingress_controller_response_duration_seconds", 1.0),
        merged=_nothing(namespace="NS", ingress="another", canary="", service="another"), also=_reports(),
    ),
    Family(
        id="nginx-exported", preset="nginx", prefix="nginx", counter="nginx_ingress_controller_requests",
        rows=_nginx("exported_namespace", "exported_service", namespace="ingress-nginx", service="controller-metrics"),
        **STATUS, latency=("histogram", "nginx_ingress_controller_request_duration_seconds", 1.0),
        merged=_nothing(exported_namespace="NS", ingress="another", canary="", namespace="ingress-nginx"),
        also=_reports("exported_service"),
    ),
    Family(
        id="nginx-by-pod", preset="nginx", prefix="nginx", counter="nginx_ingress_controller_requests",
        rows=_nginx("exported_namespace", namespace="ingress-nginx", pod="controller-0"),
        **STATUS, latency=("histogram", "nginx_ingress_controller_request_duration_seconds", 1.0), also=_reports(),
    ),
    Family(
        id="nginx-f5", preset="nginx", variant="f5", prefix="nginx",
        counter="nginx_ingress_controller_upstream_server_response_latency_ms_count",
        rows=_one(service="<SVC>", resource_namespace="<NS>", resource_type="ingress"), **HTTP,
        latency=("histogram", "nginx_ingress_controller_upstream_server_response_latency_ms", 1000.0), blind=True,
    ),
    Family(
        id="istio-hosts", preset="istio", variant="source", prefix="istio", counter="istio_requests_total",
        rows=_istio("source"), ok={"response_code": "200", "grpc_response_status": ""},
        bad={"response_code": "503", "response_flags": "UF"}, client={"response_code": "404"},
        latency=("histogram", "istio_request_duration_milliseconds", 1000.0), blind=True, also=_istio_other_reporter,
    ),
    Family(
        id="istio-grpc", preset="istio", variant="source", prefix="istio", counter="istio_requests_total",
        rows=_istio("source"), ok={"response_code": "200", "grpc_response_status": "0"},
        bad={"response_code": "200", "grpc_response_status": "14"}, client={"response_code": "401"},
        latency=("histogram", "istio_request_duration_milliseconds", 1000.0), blind=True,
    ),
    Family(
        id="istio-subsets", preset="istio", variant="destination", prefix="istio", counter="istio_requests_total",
        rows=_istio("destination", pods=True), ok={"response_code": "200"}, bad={"response_code": "500"},
        client={"response_code": "404"}, pods=True,
        latency=("histogram", "istio_request_duration_milliseconds", 1000.0),
        merged=_nothing(reporter="destination", destination_workload="checkout", destination_workload_namespace="NS"),
    ),
    Family(
        id="istio-ambient", preset="istio", variant="waypoint", prefix="istio", counter="istio_requests_total",
        rows=_istio("waypoint"), ok={"response_code": "200"}, bad={"response_code": "500"},
        client={"response_code": "404"}, latency=("histogram", "istio_request_duration_milliseconds", 1000.0),
        blind=True,
    ),
    Family(
        id="linkerd", preset="linkerd", variant="inbound", prefix="linkerd", counter="response_total",
        rows=_pods(direction="inbound", tls="true"), ok={"classification": "success", "status_code": "200"},
        bad={"classification": "failure", "status_code": "500"}, pods=True,
        latency=("histogram", "response_latency_ms", 1000.0),
        merged=_nothing(direction="inbound", namespace="NS", deployment="checkout"),
    ),
    Family(
        id="linkerd-route", preset="linkerd", variant="outbound", prefix="linkerd",
        counter="outbound_http_route_backend_response_statuses_total",
        rows=_one(backend_name="<SVC>", backend_namespace="<NS>", route_name="checkout"),
        ok={"http_status": "200", "error": ""}, bad={"http_status": "", "error": "FAIL_FAST", "x": "y"},
        client={"http_status": "404", "error": ""}, blind=True,
    ),
    Family(
        id="traefik", preset="traefik", prefix="traefik", counter="traefik_service_requests_total",
        rows=_one(service="<NS>-<SVC>-80@kubernetescrd", method="GET", protocol="http"), **HTTP,
        latency=("histogram", "traefik_service_request_duration_seconds", 1.0), blind=True,
    ),
    Family(
        id="traefik-exported", preset="traefik", prefix="traefik", counter="traefik_service_requests_total",
        rows=_one(exported_service="<NS>-<SVC>-http@kubernetes", service="traefik-metrics", namespace="traefik"), **HTTP,
        latency=("histogram", "traefik_service_request_duration_seconds", 1.0), blind=True,
    ),
    Family(
        id="haproxy", preset="haproxy", variant="backend", prefix="haproxy",
        counter="haproxy_backend_http_responses_total", rows=_one(proxy="<NS>_svc_<SVC>_http"),
        ok={"code": "2xx"}, bad={"code": "5xx"}, client={"code": "4xx"}, blind=True,
        latency=("gauge", "haproxy_backend_response_time_average_seconds", 1.0),
    ),
    Family(
        id="haproxy-exporter", preset="haproxy", variant="backend", prefix="haproxy",
        counter="haproxy_backend_http_responses_total", rows=_one(backend="<NS>_<SVC>_8080"),
        ok={"code": "2xx"}, bad={"code": "5xx"}, client={"code": "4xx"}, blind=True,
    ),
    Family(
        id="haproxy-openshift", preset="haproxy", variant="server", prefix="haproxy",
        counter="haproxy_server_http_responses_total",
        rows=_pods(pod="exported_pod", namespace="exported_namespace", route="checkout", pods_namespace="openshift-ingress"),
        ok={"code": "2xx"}, bad={"code": "5xx"}, client={"code": "4xx"}, pods=True,
        latency=("gauge", "haproxy_server_http_average_response_latency_milliseconds", 1000.0),
        merged=_nothing(exported_namespace="NS", route="checkout"),
    ),
    Family(id="contour", preset="contour", variant="codes", prefix="contour", **_envoy(envoy_cluster_name="<NS>_<SVC>_80"), blind=True),
    Family(
        id="contour-classes", preset="contour", variant="classes", prefix="contour",
        counter="envoy_cluster_upstream_rq_xx", rows=_one(cluster_name="<NS>_<SVC>_http"),
        ok={"envoy_response_code_class": "2"}, bad={"envoy_response_code_class": "5"},
        client={"envoy_response_code_class": "4"}, latency=("histogram", "envoy_cluster_upstream_rq_time", 1000.0),
        blind=True,
    ),
    Family(
        id="ambassador", preset="ambassador", variant="codes", prefix="ambassador",
        **_envoy(envoy_cluster_name="cluster_<SVC_>_<NS_>_0"), blind=True,
    ),
    Family(
        id="envoy-appmesh", preset="envoy", variant="codes", prefix="envoy",
        **{
            **_envoy(),
            "rows": _pods(pod="kubernetes_pod_name", namespace="kubernetes_namespace", envoy_cluster_name="ingress"),
        },
        pods=True, merged=_nothing(kubernetes_namespace="NS", envoy_cluster_name="ingress"),
    ),
    Family(id="envoy-gloo", preset="envoy", variant="codes", prefix="envoy", **_envoy(envoy_cluster_name="<NS>-<SVC>-8080_gloo-system"), blind=True),
    Family(id="envoy-kuma", preset="envoy", variant="codes", prefix="envoy", **_envoy(service="<SVC>_<NS>_svc_80", envoy_cluster_name="localhost_80"), blind=True),
    Family(
        id="gatewayapi-istio", preset="gatewayapi-istio", variant="source", prefix="istio", counter="istio_requests_total",
        rows=_istio("source"), ok={"response_code": "200"}, bad={"response_code": "503"}, client={"response_code": "404"},
        latency=("histogram", "istio_request_duration_milliseconds", 1000.0), blind=True,
    ),
    Family(
        id="gatewayapi-traefik", preset="gatewayapi-traefik", prefix="traefik", counter="traefik_service_requests_total",
        rows=_one(service="<NS>-<SVC>-http@kubernetesgateway"), **HTTP,
        latency=("histogram", "traefik_service_request_duration_seconds", 1.0), blind=True,
    ),
    Family(id="gatewayapi-contour", preset="gatewayapi-contour", variant="codes", prefix="contour", **_envoy(envoy_cluster_name="<NS>_<SVC>_80"), blind=True),
    Family(
        id="gatewayapi-linkerd", preset="gatewayapi-linkerd", variant="outbound", prefix="linkerd",
        counter="outbound_http_route_backend_response_statuses_total",
        rows=_one(backend_name="<SVC>", backend_namespace="<NS>", route_name="checkout"),
        ok={"http_status": "200"}, bad={"http_status": "503"}, client={"http_status": "404"}, blind=True,
    ),
    Family(
        id="gatewayapi-kong", preset="gatewayapi-kong", variant="3", prefix="kong", counter="kong_http_requests_total",
        rows=_one(service="<NS>.<SVC>.80", route="r", source="service"), **HTTP,
        latency=("histogram", "kong_upstream_latency_ms", 1000.0),
        merged=_nothing(service="httproute.NS.checkout.0", source="service"),
    ),
    Family(
        id="gatewayapi-envoy", preset="gatewayapi-envoy", prefix="gateway",
        **_envoy(envoy_cluster_name="httproute/<NS>/checkout/rule/0/backend/<NS>/<SVC>"),
        merged=_nothing(envoy_cluster_name="httproute/NS/checkout/rule/0"),
    ),
    Family(
        id="gatewayapi-cilium", preset="gatewayapi-cilium", prefix="cilium", counter="hubble_http_requests_total",
        rows=_pods(pod="destination_pod", namespace="destination_namespace", reporter="server"), **STATUS, pods=True,
        latency=("histogram", "hubble_http_request_duration_seconds", 1.0),
        merged=_nothing(destination_namespace="NS", reporter="server"),
    ),
    Family(
        id="gatewayapi-gke", preset="gatewayapi-gke", prefix="gclb",
        counter="stackdriver_https_lb_rule_loadbalancing_googleapis_com_https_backend_request_count",
        rows=_one(backend_target_name="gkegw1-ab12-<NS>-<SVC>-80-x7k2", url_map_name="u"),
        ok={"response_code_class": "200"}, bad={"response_code_class": "500"}, client={"response_code_class": "400"},
        latency=("histogram", "stackdriver_https_lb_rule_loadbalancing_googleapis_com_https_backend_latencies", 1000.0),
        reading="delta", scrape_s=60, blind=True,
    ),
    Family(
        id="kong", preset="kong", variant="3", prefix="kong", counter="kong_http_requests_total",
        rows=_one(service="<NS>.<SVC>.80", route="r", source="service", workspace="default"), **HTTP,
        latency=("histogram", "kong_upstream_latency_ms", 1000.0), blind=True,
    ),
    Family(
        id="kong-2", preset="kong", variant="2", prefix="kong", counter="kong_http_status",
        rows=_one(service="<NS>.<SVC>.pnum-80", route="r"), **HTTP,
        latency=("histogram", "kong_latency", 1000.0), latency_labels={"type": "upstream"}, blind=True,
    ),
    Family(
        id="alb", preset="alb", prefix="alb", counter="aws_applicationelb_request_count_sum",
        rows=_one(dimension_TargetGroup="<GROUP>", dimension_LoadBalancer="app/shop/1"), ok={}, bad={},
        bad_counter="aws_applicationelb_httpcode_target_5_xx_count_sum",
        client_counter="aws_applicationelb_httpcode_target_4_xx_count_sum",
        latency=("gauge", "aws_applicationelb_target_response_time_average", 1.0), reading="total", scrape_s=60,
        blind=True,
    ),
    Family(
        id="alb-snake", preset="alb", prefix="alb", counter="aws_applicationelb_request_count_sum",
        rows=_one(target_group="<GROUP>", load_balancer="app/shop/1"), ok={}, bad={},
        bad_counter="aws_applicationelb_httpcode_target_5_xx_count_sum",
        client_counter="aws_applicationelb_httpcode_target_4_xx_count_sum",
        latency=("gauge", "aws_applicationelb_target_response_time_p99", 1.0), reading="total", scrape_s=30,
        blind=True,
    ),
    Family(
        id="gclb", preset="gclb", prefix="gclb",
        counter="stackdriver_https_lb_rule_loadbalancing_googleapis_com_https_backend_request_count",
        rows=_one(backend_target_name="k8s1-c1-<NS>-<SVC>-80-1a2b3c", forwarding_rule_name="f"),
        ok={"response_code_class": "200"}, bad={"response_code_class": "500"}, client={"response_code_class": "400"},
        latency=("histogram", "stackdriver_https_lb_rule_loadbalancing_googleapis_com_https_backend_latencies", 1000.0),
        reading="delta", scrape_s=60, blind=True,
    ),
    Family(
        id="gclb-aggregated", preset="gclb", prefix="gclb",
        counter="stackdriver_https_lb_rule_loadbalancing_googleapis_com_https_backend_request_count",
        rows=_one(backend_target_name="k8s1-c1-<NS>-<SVC>-80-1a2b3c", forwarding_rule_name="f"),
        ok={"response_code_class": "200"}, bad={"response_code_class": "500"}, client={"response_code_class": "400"},
        latency=("histogram", "stackdriver_https_lb_rule_loadbalancing_googleapis_com_https_backend_latencies", 1000.0),
        scrape_s=60, blind=True,
    ),
    Family(
        id="gclb-regional", preset="gclb", variant="regional", prefix="gclb",
        counter="stackdriver_https_external_regional_lb_rule_loadbalancing_googleapis_com_https_external_regional_backend_request_count",
        rows=_one(backend_target_name="k8s1-c1-<NS>-<SVC>-80-1a2b3c"),
        ok={"response_code_class": "200"}, bad={"response_code_class": "500"}, client={"response_code_class": "400"},
        latency=("histogram", "stackdriver_https_external_regional_lb_rule_loadbalancing_googleapis_com_https_external_regional_backend_latencies", 1000.0),
        reading="delta", scrape_s=60, blind=True,
    ),
    Family(
        id="gclb-internal", preset="gclb", variant="internal", prefix="gclb",
        counter="stackdriver_internal_http_lb_rule_loadbalancing_googleapis_com_https_internal_backend_request_count",
        rows=_one(backend_target_name="k8s1-c1-<NS>-<SVC>-80-1a2b3c"),
        ok={"response_code_class": "200"}, bad={"response_code_class": "500"}, client={"response_code_class": "400"},
        latency=("histogram", "stackdriver_internal_http_lb_rule_loadbalancing_googleapis_com_https_internal_backend_latencies", 1000.0),
        reading="delta", scrape_s=60, blind=True,
    ),
    Family(
        id="otel", preset="otel", variant="stable", prefix="http", counter="http_server_request_duration_seconds_count",
        rows=_target_info, ok={"http_response_status_code": "200"}, bad={"http_response_status_code": "500"},
        client={"http_response_status_code": "404"}, latency=("histogram", "http_server_request_duration_seconds", 1.0),
        pods=True, also=_infos, merged=_nothing(k8s_namespace_name="NS", job="shop/other", instance="other"),
    ),
    Family(
        id="otel-replicaset", preset="otel", variant="older", prefix="http",
        counter="http_server_duration_milliseconds_count",
        rows=_one(k8s_replicaset_name="<ROLLOUT>-<HASH>", k8s_namespace_name="<NS>", job="shop/checkout"),
        ok={"http_status_code": "200"}, bad={"http_status_code": "500"}, client={"http_status_code": "404"},
        latency=("histogram", "http_server_duration_milliseconds", 1000.0),
        merged=_nothing(k8s_namespace_name="NS", job="shop/other", instance="other"),
    ),
    Family(
        id="otel-oldest", preset="otel", variant="oldest", prefix="http", counter="http_server_duration_count",
        rows=_pods(pod="k8s_pod_name", namespace="k8s_namespace_name"),
        ok={"http_status_code": "200"}, bad={"http_status_code": "500"}, client={"http_status_code": "404"},
        latency=("histogram", "http_server_duration", 1000.0), pods=True,
        merged=_nothing(k8s_namespace_name="NS", job="shop/other", instance="other"),
    ),
    Family(
        id="otel-grpc", preset="otel", variant="grpc", prefix="grpc", counter="rpc_server_duration_milliseconds_count",
        rows=_pods(pod="k8s_pod_name", namespace="k8s_namespace_name"),
        ok={"rpc_grpc_status_code": "0"}, bad={"rpc_grpc_status_code": "14"},
        latency=("histogram", "rpc_server_duration_milliseconds", 1000.0), pods=True,
        merged=_nothing(k8s_namespace_name="NS", job="shop/other", instance="other"),
    ),
    Family(
        id="otel-spans", preset="otel", variant="traces-spanmetrics", prefix="spans", counter="traces_spanmetrics_calls_total",
        rows=_pods(pod="k8s_pod_name", namespace="k8s_namespace_name", span_kind="SPAN_KIND_SERVER"),
        ok={"status_code": "STATUS_CODE_UNSET"}, bad={"status_code": "STATUS_CODE_ERROR"},
        latency=("histogram", "traces_spanmetrics_latency", 1.0), pods=True,
        merged=_nothing(k8s_namespace_name="NS", span_kind="SPAN_KIND_SERVER"),
    ),
    Family(
        id="otel-span-metrics", preset="otel", variant="traces-span-metrics", prefix="spans",
        counter="traces_span_metrics_calls_total",
        rows=_pods(pod="k8s_pod_name", namespace="k8s_namespace_name", span_kind="SPAN_KIND_SERVER"),
        ok={"status_code": "STATUS_CODE_UNSET"}, bad={"status_code": "STATUS_CODE_ERROR"},
        latency=("histogram", "traces_span_metrics_duration_milliseconds", 1000.0), pods=True,
        merged=_nothing(k8s_namespace_name="NS", span_kind="SPAN_KIND_SERVER"),
    ),
    Family(
        id="otel-calls", preset="otel", variant="calls", prefix="spans", counter="calls_total",
        rows=_pods(pod="k8s_pod_name", namespace="k8s_namespace_name", span_kind="SPAN_KIND_SERVER"),
        ok={"status_code": "STATUS_CODE_UNSET"}, bad={"status_code": "STATUS_CODE_ERROR"},
        latency=("histogram", "duration_milliseconds", 1000.0), pods=True,
        merged=_nothing(k8s_namespace_name="NS", span_kind="SPAN_KIND_SERVER"),
    ),
    Family(
        id="app-status", preset="app", variant="generic", prefix="http", counter="http_requests_total", rows=_pods(),
        **STATUS, latency=("histogram", "http_request_duration_seconds", 1.0), pods=True,
        also=_quiet_traffic_of_probes, merged=_nothing(namespace="NS", job="app"),
    ),
    Family(
        id="app-grouped", preset="app", variant="generic", prefix="http", counter="http_requests_total",
        rows=_pods(pod="exported_pod", namespace="exported_namespace"), ok={"status": "2xx"}, bad={"status": "5xx"},
        client={"status": "4xx"}, pods=True, latency=("histogram", "http_request_duration_seconds", 1.0),
        merged=_nothing(exported_namespace="NS"),
    ),
    Family(
        id="app-status-code", preset="app", variant="histogram", prefix="http", counter="http_request_duration_seconds_count",
        rows=_pods(pod="kubernetes_pod_name", namespace="kubernetes_namespace"),
        ok={"status_code": "200"}, bad={"status_code": "500"}, client={"status_code": "404"},
        latency=("histogram", "http_request_duration_seconds", 1.0), pods=True,
        merged=_nothing(kubernetes_namespace="NS"),
    ),
    Family(
        id="app-hash", preset="app", variant="generic", prefix="http", counter="http_requests_total",
        rows=_one(rollouts_pod_template_hash="<HASH>", namespace="<NS>", job="x"), **HTTP,
        latency=("histogram", "http_request_duration_seconds", 1.0), merged=_nothing(namespace="NS", job="app"),
    ),
    Family(
        id="app-instance", preset="app", variant="generic", prefix="http", counter="http_requests_total",
        rows=lambda world, side: [
            {"instance": f"{address}:8080", "namespace": world.namespace} for address in world.addresses(side)
        ],
        **HTTP, latency=("histogram", "http_request_duration_seconds", 1.0), pods=True,
        merged=_nothing(namespace="NS", job="app"),
    ),
    Family(
        id="app-micrometer", preset="app", variant="micrometer", prefix="http", counter="http_server_requests_seconds_count",
        rows=_pods(), ok={"status": "200", "outcome": "SUCCESS"}, bad={"status": "500", "outcome": "SERVER_ERROR"},
        client={"status": "404", "outcome": "CLIENT_ERROR"}, latency=("mean", "http_server_requests_seconds", 1.0),
        pods=True, merged=_nothing(namespace="NS", job="app"),
    ),
    Family(
        id="app-dotnet", preset="app", variant="prometheus-net", prefix="http", counter="http_requests_received_total",
        rows=_pods(), **HTTP, latency=("histogram", "http_request_duration_seconds", 1.0), pods=True,
        merged=_nothing(namespace="NS", job="app"),
    ),
    Family(
        id="app-flask", preset="app", variant="flask", prefix="http", counter="flask_http_request_total", rows=_pods(),
        **STATUS, latency=("histogram", "flask_http_request_duration_seconds", 1.0), pods=True,
        merged=_nothing(namespace="NS", job="app"),
    ),
    Family(
        id="app-django", preset="app", variant="django", prefix="http",
        counter="django_http_responses_total_by_status_total", rows=_pods(), **STATUS,
        latency=("histogram", "django_http_requests_latency_seconds_by_view_method", 1.0), pods=True,
        merged=_nothing(namespace="NS", job="app"),
    ),
    Family(
        id="app-ruby", preset="app", variant="ruby", prefix="http", counter="ruby_http_requests_total", rows=_pods(),
        **STATUS, latency=("summary", "ruby_http_request_duration_seconds", 1.0), pods=True,
        merged=_nothing(namespace="NS", job="app"),
    ),
    Family(
        id="app-grpc", preset="app", variant="grpc", prefix="grpc", counter="grpc_server_handled_total", rows=_pods(),
        ok={"grpc_code": "OK"}, bad={"grpc_code": "Internal"}, latency=("histogram", "grpc_server_handling_seconds", 1.0),
        pods=True, merged=_nothing(namespace="NS", job="app"),
    ),
]  # fmt: skip
