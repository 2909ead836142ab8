"""Is everything there that a verdict on a live rollout needs, and what to do about what is not."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rollout_verdict.adapters.kubernetes import ConnectionSettingsError
from rollout_verdict.adapters.kubernetes.trouble import Access, ApiError, refused
from rollout_verdict.cli import sources
from rollout_verdict.cli.check import Check, State
from rollout_verdict.cli.cluster import READS, Said, Server, server
from rollout_verdict.cli.target import namespace_of
from rollout_verdict.settings import Settings, SettingsError

ARGO = "/apis/argoproj.io/v1alpha1"
METRICS = "/apis/metrics.k8s.io/v1beta1"
SKEW_S = 5.0  # as the sources have it: the Date header is good to a second


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """What to look at. Times are seconds."""

    namespace: str = ""
    kubeconfig: str = ""
    context: str = ""
    prometheus: str = ""
    ask_model: bool = False
    answer_s: float = 10.0  # of each question; a person waits


def checks(patient: Patient, settings: Callable[[], Settings]) -> Iterator[Check]:
    """Yield what was found, in the order of what depends on what. ``settings`` may raise SettingsError."""
    namespace = patient.namespace or namespace_of(patient.kubeconfig, patient.context)
    try:
        with server(patient.kubeconfig, patient.context, patient.answer_s) as cluster:
            yield from _cluster(cluster, namespace)
    except ConnectionSettingsError as error:
        yield Check(
            name="cluster",
            state=State.MISSING,
            found=str(error),
            todo="name a kubeconfig by --kubeconfig or KUBECONFIG, or a context of it by --context",
        )
    try:
        known = settings()
    except SettingsError as error:
        yield Check(name="settings", state=State.MISSING, found=str(error), todo="correct it, or unset the variable")
        return
    yield sources.prometheus(known, patient.prometheus, patient.answer_s)
    yield from sources.model(known, ask=patient.ask_model)


def _cluster(cluster: Server, namespace: str) -> Iterator[Check]:
    try:
        said = cluster.get("/version")
        trouble = _no_api(said)
    except ApiError as error:
        trouble = error
    if trouble is not None:
        found = f"{cluster.address}: {trouble.reason}"
        yield Check(name="cluster", state=State.MISSING, found=found, todo=trouble.hint)
        return
    version = str(said.document.get("gitVersion", ""))
    yield Check(name="cluster", state=State.OK, found=f"{cluster.address} {version}".rstrip())
    yield _clock(said.skew_s)
    yield _served(
        cluster,
        "Argo Rollouts",
        ARGO,
        "rollouts",
        "install Argo Rollouts with its CRDs; without it only deployment/NAME can be looked at",
    )
    metrics = _served(
        cluster, "resource use", METRICS, "pods", "install metrics-server if CPU and memory are to be compared"
    )
    yield metrics
    for read in READS:
        access = Access(resource=read.resource, namespace=namespace, name="any" if read.verb == "get" else "")
        if read.resource.group == "metrics.k8s.io" and metrics.state is not State.OK:
            continue
        name = f"may {read.verb} {access.told} in {namespace}"
        try:
            allowed = cluster.may(read.verb, read.resource, namespace)
        except ApiError as error:
            yield Check(name=name, state=State.UNKNOWN, found=error.reason, todo=error.hint or access.check(""))
            continue
        if allowed:
            yield Check(name=name, state=State.OK, found=read.purpose)
            continue
        todo = f"allow it as docs/rbac.yaml does; check with: {access.check('')}"
        state = State.MISSING if read.needed else State.OPTIONAL
        yield Check(name=name, state=state, found=f"not allowed: {read.purpose}", todo=todo)


def _no_api(said: Said) -> ApiError | None:
    """Return what keeps an answer about the version from being an API server's; one may keep its version to itself."""
    if said.status == 401:
        return refused(Access(resource=READS[0].resource, namespace=""), 401, "", "", 0.0)
    if said.status == 403 or (said.status == 200 and isinstance(said.document.get("gitVersion"), str)):
        return None
    hint = "check that the address in the kubeconfig is the API server's"
    return ApiError(f"what answers ({said.status}) is no API server", hint)


def _clock(skew_s: float | None) -> Check:
    if skew_s is None:
        return Check(name="clock", state=State.UNKNOWN, found="the API server's answers have no date")
    if abs(skew_s) <= SKEW_S:
        return Check(name="clock", state=State.OK, found="as the API server's")
    side = "ahead of" if skew_s > 0 else "behind"
    return Check(
        name="clock",
        state=State.OPTIONAL,
        found=f"the API server's clock is {abs(skew_s):.0f} s {side} this machine's",
        todo="set the clocks by NTP: the window follows the API server's, metrics may be of another time",
    )


def _served(cluster: Server, name: str, path: str, plural: str, todo: str) -> Check:
    try:
        said = cluster.get(path)
    except ApiError as error:
        return Check(name=name, state=State.UNKNOWN, found=error.reason, todo=error.hint)
    listed = said.document.get("resources")
    names = {one.get("name") for one in listed if isinstance(one, dict)} if isinstance(listed, list) else set()
    if said.status == 200 and plural in names:
        return Check(name=name, state=State.OK, found=path.removeprefix("/apis/"))
    found = f"the cluster does not serve {path.removeprefix('/apis/')}"
    if said.status not in (200, 404):
        found = f"{path.removeprefix('/apis/')} does not answer ({said.status})"
    return Check(name=name, state=State.OPTIONAL, found=found, todo=todo)
