"""cAdvisor, kube-state-metrics and the kubelet's probes as kube-prometheus scrapes them."""

from rollout_verdict.core.values import Side
from tests.adapters.prometheus.world import World, counter, gauge, times

WHOLE, BARE = World(namespace="kube-whole", number=200), World(namespace="kube-bare", number=201)
ALIKE = World(namespace="kube-alike", number=202)  # the canary's pods do as well as those of stable
CORES = {Side.STABLE: 0.2, Side.CANARY: 0.5}
MEMORY = {Side.STABLE: 200 * 2**20, Side.CANARY: 300 * 2**20}


def write_all(tsdb):
    for side in Side:
        for pod in WHOLE.pods(side):
            _pod(tsdb, WHOLE.namespace, pod, side)
        for pod in ALIKE.pods(side):
            _pod(tsdb, ALIKE.namespace, pod, Side.STABLE)
    # Series of the namespace without a pod: totals of a node.
    tsdb.add("container_cpu_usage_seconds_total", {"namespace": BARE.namespace, "id": "/"}, counter(1.0))


def _pod(tsdb, namespace, pod, side):
    cadvisor = {"namespace": namespace, "pod": pod, "container": "api", "image": "shop:1"}
    tsdb.add("container_cpu_usage_seconds_total", cadvisor, counter(CORES[side]))
    tsdb.add("container_cpu_usage_seconds_total", {**cadvisor, "container": ""}, counter(CORES[side]))  # the pod's sum
    tsdb.add("container_cpu_usage_seconds_total", {**cadvisor, "container": "POD"}, counter(0.01))
    tsdb.add("container_cpu_cfs_periods_total", cadvisor, counter(10.0))
    tsdb.add("container_cpu_cfs_throttled_periods_total", cadvisor, counter(1.0 if side is Side.STABLE else 4.0))
    tsdb.add("container_memory_working_set_bytes", cadvisor, gauge(MEMORY[side]))
    tsdb.add("container_network_receive_bytes_total", {"namespace": namespace, "pod": pod}, counter(5000.0))
    state = {
        "exported_namespace": namespace,
        "exported_pod": pod,
        "namespace": "monitoring",
        "pod": "kube-state-metrics-0",
    }
    named = {**state, "container": "api"}
    restarts = [(at, float(n > len(times()) // 2) * 3) for n, at in enumerate(times())]
    tsdb.add("kube_pod_container_status_restarts_total", named, gauge(0.0) if side is Side.STABLE else restarts)
    tsdb.add("kube_pod_status_ready", {**state, "condition": "true"}, gauge(1.0))
    tsdb.add("kube_pod_status_ready", {**state, "condition": "false"}, gauge(0.0))
    tsdb.add("kube_pod_status_phase", {**state, "phase": "Running"}, gauge(1.0))
    tsdb.add("kube_pod_status_phase", {**state, "phase": "Pending"}, gauge(0.0))
    tsdb.add("kube_pod_container_resource_limits", {**named, "resource": "memory"}, gauge(512 * 2**20))
    if side is Side.CANARY:  # absent where nothing happened
        late = times()[len(times()) // 2 :]
        reason = {**named, "reason": "OOMKilled"}
        tsdb.add("kube_pod_container_status_last_terminated_reason", reason, [(at, 1.0) for at in late])
        waiting = {**named, "reason": "CrashLoopBackOff"}
        tsdb.add("kube_pod_container_status_waiting_reason", waiting, [(at, 1.0) for at in late[:4]])
    probe = {"namespace": namespace, "pod": pod, "probe_type": "Readiness"}
    tsdb.add("prober_probe_total", {**probe, "result": "successful"}, counter(0.2))
    if side is Side.CANARY:
        tsdb.add("prober_probe_total", {**probe, "result": "failed"}, counter(0.2))
