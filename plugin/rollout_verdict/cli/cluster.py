"""Questions to an API server that make no evidence: its version, what it serves, what we may do, names of objects."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar

from rollout_verdict.adapters.kubernetes import connect
from rollout_verdict.adapters.kubernetes.client import Api, Patience
from rollout_verdict.adapters.kubernetes.events import EVENTS
from rollout_verdict.adapters.kubernetes.fields import text_of
from rollout_verdict.adapters.kubernetes.logs import LOG
from rollout_verdict.adapters.kubernetes.search import KINDS, REPLICA_SETS
from rollout_verdict.adapters.kubernetes.sides import PODS
from rollout_verdict.adapters.kubernetes.trouble import Access, ApiError, Resource, unreached
from rollout_verdict.adapters.kubernetes.usage import POD_METRICS
from rollout_verdict.aside import aside
from rollout_verdict.core.target import TargetKind

if TYPE_CHECKING:
    from kubernetes.client import ApiClient
    from kubernetes.client.rest import RESTResponse

T = TypeVar("T")

REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
GRACE_S = 0.5  # after its own deadlines, which say better what hangs, a question is left behind
ANSWER_BYTES = 4 << 20  # the list of a large group's resources has some 100 KB


@dataclass(frozen=True, slots=True)
class Read:
    """Something that live evidence asks for, and what for. Without what is not ``needed`` Rollouts are judged, too."""

    verb: str
    resource: Resource
    purpose: str
    needed: bool = True


READS = (  # docs/rbac.yaml allows exactly this
    Read("get", KINDS[TargetKind.ROLLOUT], "who is stable and who is canary"),
    Read("get", KINDS[TargetKind.ANALYSIS_RUN], "analyses named by their run", needed=False),
    Read("get", KINDS[TargetKind.EXPERIMENT], "the sides of an experiment", needed=False),
    Read("get", KINDS[TargetKind.DEPLOYMENT], "plain Deployments", needed=False),
    Read("list", REPLICA_SETS, "what changed between the versions; the sides of a Deployment", needed=False),
    Read("list", PODS, "the pods of both sides and how they fare"),
    Read("get", LOG, "what they log"),
    Read("list", EVENTS, "why a pod does not start", needed=False),
    Read("list", POD_METRICS, "what the pods use", needed=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """An answer: its status, the document it holds if any, and how far its clock is ahead of ours, in seconds."""

    status: int
    document: dict[str, Any]
    skew_s: float | None


class Server:
    """An API server to put questions to."""

    def __init__(self, client: "ApiClient", answer_s: float) -> None:
        self._client, self._answer_s = client, answer_s

    @property
    def address(self) -> str:
        """Where it is."""
        return str(self._client.configuration.host)

    def get(self, path: str) -> Said:
        """Read a document. Raises ApiError when there is no answer; a refusal is one."""
        return self._ask("GET", path, None)

    def may(self, verb: str, resource: Resource, namespace: str) -> bool:
        """Whether we may. Raises ApiError when the server does not say."""
        attributes = {"namespace": namespace, "verb": verb, "group": resource.group, "resource": resource.plural}
        if resource.sub:
            attributes["subresource"] = resource.sub
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        said = self._ask("POST", REVIEW, review)
        status = said.document.get("status")
        if not 200 <= said.status < 300 or not isinstance(status, dict):
            raise ApiError(f"the API server does not tell what is allowed ({said.status})")
        return status.get("allowed") is True

    def names(self, kind: TargetKind, namespace: str) -> list[str]:
        """Return the names of the objects of a kind. Raises ApiError."""
        patience = Patience(connect_s=self._answer_s, read_s=self._answer_s, attempts=1)
        api = Api(
            self._client, clock=time.monotonic, now=lambda: datetime.now(UTC), sleep=time.sleep, patience=patience
        )
        access = Access(resource=KINDS[kind], namespace=namespace)
        listed, _ = api.listed(access, end=time.monotonic() + self._answer_s)
        return [name for one in listed if (name := text_of(one, "metadata", "name"))]

    def _ask(self, method: str, path: str, body: object) -> Said:
        try:
            response, content = within(self._answer_s + GRACE_S, lambda: self._sent(method, path, body))
        except Exception as error:  # noqa: BLE001 -- exec plugins, token files, TLS and sockets fail in many ways
            raise unreached(error) from None
        try:
            document = json.loads(content)
        except (ValueError, RecursionError):
            document = {}
        return Said(
            status=response.status,
            document=document if isinstance(document, dict) else {},
            skew_s=_skew(response.headers.get("Date", "")),
        )

    def _sent(self, method: str, path: str, body: object) -> tuple["RESTResponse", bytes]:
        """Send a request; returns the answer and what was read of it."""
        request = self._client.param_serialize(
            method=method,
            resource_path=path,
            header_params={"Accept": "application/json", **({"Content-Type": "application/json"} if body else {})},
            body=body,
            auth_settings=["BearerToken"],
        )
        response = self._client.call_api(*request, _request_timeout=(self._answer_s, self._answer_s))
        content = b""
        while len(content) < ANSWER_BYTES and (piece := response.response.read1(ANSWER_BYTES)):
            content += piece
        response.response.close()
        return response, content


@contextmanager
def server(kubeconfig: str, context: str, answer_s: float, *, plugin_s: float | None = None) -> Iterator[Server]:
    """Give the API server of a kubeconfig; times as for ``connect``. Raises ConnectionSettingsError."""
    client = connect(kubeconfig, context, plugin_s=plugin_s)
    try:
        yield Server(client, answer_s)
    finally:
        client.rest_client.close()


def within(seconds: float, work: Callable[[], T]) -> T:
    """Return what ``work`` gives. Raises TimeoutError when that takes longer, and what ``work`` raises.

    What hangs is left behind on a thread that nobody waits for: the look-up of a name, a credential plugin and a server
    that sends byte by byte know no deadline of ours.
    """
    return aside("asking", work).result(seconds)


def _skew(date: str) -> float | None:
    try:
        told = parsedate_to_datetime(date)
    except ValueError:
        return None
    told = told if told.tzinfo else told.replace(tzinfo=UTC)
    return (told - datetime.now(UTC)).total_seconds()
