"""Is everything there that a verdict on a live rollout needs, and what to do about what is not."""

import asyncio
import json
import string
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from rollout_verdict.adapters.kubernetes import ConnectionSettingsError
from rollout_verdict.adapters.kubernetes.trouble import Access, ApiError, refused
from rollout_verdict.cli.cluster import READS, Said, Server, server
from rollout_verdict.cli.target import namespace_of
from rollout_verdict.core.quote import visible
from rollout_verdict.settings import Settings, SettingsError

if TYPE_CHECKING:
    from rollout_verdict.adapters.gemini.trouble import Kind

ARGO = "/apis/argoproj.io/v1alpha1"
METRICS = "/apis/metrics.k8s.io/v1beta1"
SKEW_S = 5.0  # as the sources have it: the Date header is good to a second
KEY_LETTERS = frozenset(string.ascii_letters + string.digits + "-_.")  # of the vendor's keys, old form and new
KEY_LENGTH = (20, 200)


class State(StrEnum):
    """What came of a check. Only ``MISSING`` keeps rollouts from being judged."""

    OK = "ok"
    MISSING = "missing"
    OPTIONAL = "optional"  # not there, and verdicts are poorer without it
    UNKNOWN = "unknown"  # could not be checked, because of something said elsewhere


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing looked at: what was found, and what to do about it, "" when there is nothing to do."""

    name: str
    state: State
    found: str
    todo: str = ""


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
    yield from _model(known, ask=patient.ask_model)


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


def _model(settings: Settings, *, ask: bool) -> Iterator[Check]:
    from rollout_verdict.wiring import model_options

    if not settings.model_configured:
        todo = "set GEMINI_API_KEY (or ROLLOUT_VERDICT_API_KEY_FILE) to have a model judge as well"
        found = "no API key: verdicts are by rules alone"
        yield Check(name="model", state=State.OPTIONAL, found=found, todo=todo)
        return
    try:
        options = model_options(settings)
    except SettingsError as error:
        yield Check(name="model", state=State.MISSING, found=str(error), todo="correct it, or unset the variable")
        return
    where = f"Vertex AI, project {settings.project}" if settings.vertex else f"key from {settings.key_source}"
    if problem := "" if settings.vertex or settings.api_key is None else _key_problem(settings.api_key.reveal()):
        todo = f"copy the key again into {settings.key_source}, whole and without quotes"
        yield Check(name="model", state=State.MISSING, found=f"{where}: {problem}", todo=todo)
        return
    yield Check(name="model", state=State.OK, found=f"{where}, {', '.join(options.models)}")
    if ask:
        yield asyncio.run(_answer(settings))


def _key_problem(key: str) -> str:
    """Return what is wrong with the look of a key, never a part of it."""
    if not set(key) <= KEY_LETTERS:
        return "the key holds characters that no key has"
    if not KEY_LENGTH[0] <= len(key) <= KEY_LENGTH[1]:
        return f"the key has {len(key)} characters, which is too {'few' if len(key) < KEY_LENGTH[0] else 'many'}"
    return ""


async def _answer(settings: Settings) -> Check:
    """Ask the first model of the chain a question of a few words."""
    from rollout_verdict.adapters.gemini.call import Client
    from rollout_verdict.adapters.gemini.trouble import Kind, TroubleError
    from rollout_verdict.core.model.prompt import Prompt
    from rollout_verdict.wiring import model_options, prompt_templates

    options, templates = model_options(settings), prompt_templates(settings)
    word = "This is a test of the connection. Answer with decision inconclusive and nothing else."
    prompt = Prompt(
        templates=templates, boundary="", system="Answer briefly.", user=word, shown={}, omitted=(), tokens=100
    )
    client = Client(options)
    started = time.monotonic()
    try:
        said, _ = await client.ask(options.models[0], prompt, 256, options.thinking)
    except TroubleError as error:
        said = error
    finally:
        await client.close()
    took = time.monotonic() - started
    name = f"answer of {options.models[0]}"
    if isinstance(said, TroubleError) and said.kind is not Kind.TRUNCATED:  # a cut answer is one, too
        return Check(name=name, state=State.MISSING, found=visible(str(said)), todo=_todo(said.kind))
    return Check(name=name, state=State.OK, found=f"came in {took:.1f} s")


def _todo(kind: "Kind") -> str:
    from rollout_verdict.adapters.gemini.trouble import Kind

    if kind in (Kind.UNAUTHENTICATED, Kind.CREDENTIALS):
        return "see that the key is valid, and allowed for this API and from this address"
    if kind is Kind.NOT_FOUND:
        return "name a model that the key may use in ROLLOUT_VERDICT_MODELS"
    if kind in (Kind.NETWORK, Kind.TIMED_OUT):
        return "let this machine reach the model's address; behind a proxy set HTTPS_PROXY"
    return "try again; verdicts are by rules alone until it answers"


def healthy(found: list[Check]) -> bool:
    """Whether rollouts can be judged as things are."""
    return not any(check.state is State.MISSING for check in found)


def as_text(check: Check) -> str:
    """Return a check for people, on one line, or two when there is something to do."""
    line = f"{check.state.value:<9}{visible(check.name)}: {visible(check.found)}\n"
    return line + (f"{'':<9}-> {visible(check.todo)}\n" if check.todo else "")


def as_json(found: list[Check]) -> str:
    """Return all checks as one document."""
    return json.dumps({"healthy": healthy(found), "checks": [asdict(check) for check in found]}, indent=1) + "\n"
