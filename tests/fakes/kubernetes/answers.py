"""A request to an API server, understood, and its answer from a cluster."""

import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.fakes.kubernetes import logs, selectors, status
from tests.fakes.kubernetes.cluster import KINDS, Cluster
from tests.fakes.kubernetes.status import Refusal

NAMESPACED = re.compile(
    r"/(?:api|apis/(?P<group>[\w.-]+))/(?P<version>v\w+)(?:/namespaces/(?P<namespace>[\w.-]+))?"
    r"/(?P<plural>[a-z]+)(?:/(?P<name>[\w.-]+)(?:/(?P<sub>[a-z]+))?)?"
)
REVIEWS = {
    "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
    "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
    "/apis/authorization.k8s.io/v1/subjectaccessreviews",
    "/apis/authentication.k8s.io/v1/tokenreviews",
}


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked for. ``resource`` is the plural, with the subresource after a slash; "" for a path of no resource."""

    verb: str
    group: str = ""
    version: str = ""
    resource: str = ""
    namespace: str = ""
    name: str = ""

    @property
    def qualified(self) -> str:
        """The resource with its group: "rollouts.argoproj.io", "pods/log"."""
        plural, slash, sub = self.resource.partition("/")
        return status.qualified(self.group, plural) + slash + sub


def understood(method: str, path: str, query: Mapping[str, str]) -> Request:
    """Return what a method and path mean. Raises Refusal for a path nobody serves."""
    if method == "POST" and path in REVIEWS:
        group, _, plural = path.removeprefix("/apis/").split("/")
        return Request(verb="create", group=group, version="v1", resource=plural)
    match = NAMESPACED.fullmatch(path)
    if match is None:
        return Request(verb=method.lower(), resource=path)
    group = match["group"] or ""
    if (group, match["version"], match["plural"]) not in KINDS:
        raise status.no_such_path()
    reading = "get" if match["name"] else ("watch" if query.get("watch") in ("true", "1") else "list")
    writing = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
    resource = match["plural"] + (f"/{match['sub']}" if match["sub"] else "")
    return Request(
        verb=writing.get(method, reading),
        group=group,
        version=match["version"],
        resource=resource,
        namespace=match["namespace"] or "",
        name=match["name"] or "",
    )


def log(cluster: Cluster, request: Request, query: Mapping[str, str]) -> bytes:
    """Return a container's log. Raises Refusal as API server and kubelet word it."""
    pod = _object(cluster, request)
    spec = pod["spec"]
    names = [container["name"] for container in (*spec.get("initContainers", ()), *spec["containers"])]
    container = query.get("container", "")
    if not container:
        if len(spec["containers"]) > 1:
            choices = " ".join(entry["name"] for entry in spec["containers"])
            raise status.bad_request(
                f"a container name must be specified for pod {request.name}, choose one of: [{choices}]"
            )
        container = spec["containers"][0]["name"]
    if container not in names:
        raise status.bad_request(f"container {container} is not valid for pod {request.name}")
    key = (request.namespace, request.name, container, _meant(pod, container, query.get("previous") == "true"))
    if key not in cluster.logs and key[-1]:
        raise status.bad_request("unable to retrieve container logs for containerd://gone")
    return logs.cut(cluster.logs.get(key, b""), query, cluster.clock())


def _meant(pod: Mapping[str, Any], container: str, previous: bool) -> bool:
    """Tell whether the log of the last terminated container is meant, or else the present one's. Raises Refusal.

    As ``validateContainerLogStatus`` in kubernetes pkg/kubelet/kubelet_pods.go has it.
    """
    told = pod.get("status", {})
    entries = (*told.get("containerStatuses", ()), *told.get("initContainerStatuses", ()))
    entry = next((one for one in entries if one["name"] == container), None)
    named = f'container "{container}" in pod "{pod["metadata"]["name"]}"'
    if entry is None:
        raise status.bad_request(f"{named} is not available")
    terminated = "terminated" in entry["lastState"]
    if previous:
        if not terminated:
            raise status.bad_request(f"previous terminated {named} not found")
        return True
    if not {"running", "terminated"}.isdisjoint(entry["state"]):
        return False
    if terminated:
        return True
    waiting = entry["state"].get("waiting", {}).get("reason", "")
    why = {
        "ErrImagePull": "waiting to start: image can't be pulled",
        "ImagePullBackOff": "waiting to start: trying and failing to pull image",
        "": "waiting to start - no logs yet",
    }
    raise status.bad_request(f"{named} is {why.get(waiting, f'waiting to start: {waiting}')}")


def _object(cluster: Cluster, request: Request) -> dict[str, Any]:
    plural = request.resource.partition("/")[0]
    with cluster.lock:
        found = cluster.objects.get((request.group, plural), {}).get((request.namespace, request.name))
    if found is None:
        raise status.not_found(group=request.group, resource=plural, name=request.name)
    return found


def get(cluster: Cluster, request: Request) -> dict[str, Any]:
    """Return one object, or a subresource of it that is the object again. Raises Refusal."""
    if "/" in request.resource and not request.resource.endswith("/status"):
        raise status.no_such_path()
    return _object(cluster, request)


def selected(cluster: Cluster, request: Request, query: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the objects that the selectors of a query choose. Raises Refusal."""
    try:
        by_label = selectors.labels(query.get("labelSelector", ""))
        by_field = selectors.fields(query.get("fieldSelector", ""))
    except ValueError as error:
        raise status.bad_request(str(error)) from error
    found = cluster.of(request.group, request.resource, request.namespace)
    return [tree for tree in found if by_label(tree["metadata"].get("labels", {})) and by_field(tree)]


def listed(cluster: Cluster, request: Request, query: Mapping[str, str]) -> dict[str, Any]:
    """Return a list, a page at a time where the query has a limit. Raises Refusal."""
    found = selected(cluster, request, query)
    meta: dict[str, Any] = {"resourceVersion": str(cluster.revision)}
    begin = _continued(query.get("continue", ""))
    limit = int(query.get("limit", "0") or 0)
    rest = len(found) - begin - limit
    if limit and rest > 0:
        meta |= {"continue": b64encode(b"from:%d" % (begin + limit)).decode()}
        if not (query.get("labelSelector") or query.get("fieldSelector")):  # the server cannot tell with a selector
            meta["remainingItemCount"] = rest
    page = found[begin : begin + limit] if limit else found[begin:]
    kind = KINDS[request.group, request.version, request.resource]
    version = f"{request.group}/{request.version}" if request.group else request.version
    own = "." not in request.group.removesuffix(".k8s.io")  # built-in lists leave out kind and version of their items
    items = [{k: v for k, v in tree.items() if not own or k not in ("kind", "apiVersion")} for tree in page]
    return {"kind": f"{kind}List", "apiVersion": version, "metadata": meta, "items": items}


def _continued(token: str) -> int:
    if not token:
        return 0
    try:
        return int(b64decode(token).decode().removeprefix("from:"))
    except ValueError as error:
        raise status.bad_request("continue key is not valid") from error


def reviewed(cluster: Cluster, request: Request, body: Mapping[str, Any]) -> dict[str, Any]:
    """Answer a review of access or of a token."""
    spec = body.get("spec", {})
    answer = {key: body[key] for key in ("kind", "apiVersion", "spec") if key in body} | {"metadata": {}}
    if request.resource in ("selfsubjectaccessreviews", "subjectaccessreviews"):
        asked = spec.get("resourceAttributes", {})
        resource = asked.get("resource", "") + (f"/{asked['subresource']}" if asked.get("subresource") else "")
        allowed = cluster.allows(asked.get("verb", ""), asked.get("group", ""), resource)
        return answer | {"status": {"allowed": allowed, **({} if allowed else {"reason": ""})}}
    if request.resource == "selfsubjectrulesreviews":
        rules = [dict(rule) for rule in cluster.rules or ({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},)]
        return answer | {
            "spec": {},
            "status": {"resourceRules": rules, "nonResourceRules": [], "incomplete": False},
        }
    user = cluster.tokens.get(spec.get("token", ""))
    if user is None:
        return answer | {"status": {"user": {}, "error": "[invalid bearer token]"}}
    groups = ["system:serviceaccounts", "system:authenticated"]
    return answer | {"status": {"authenticated": True, "user": {"username": user, "groups": groups}}}


def about(cluster: Cluster, path: str) -> dict[str, Any] | bytes:
    """Answer a path that is about the server itself. Raises Refusal."""
    path = path.rstrip("/")
    if path in ("/healthz", "/livez", "/readyz"):
        return b"ok"
    present = [key for key in KINDS if key[0] not in cluster.groups_away]
    if path == "/version":
        major, minor = cluster.version.removeprefix("v").split(".")[:2]
        build = {"gitCommit": "0" * 40, "gitTreeState": "clean", "buildDate": "2026-08-01T00:00:00Z"}
        machine = {"goVersion": "go1.26.0", "compiler": "gc", "platform": "linux/amd64"}
        return {"major": major, "minor": minor, "gitVersion": cluster.version, **build, **machine}
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
    if path == "/apis":
        groups = sorted({(group, version) for group, version, _ in present if group})
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(*pair) for pair in groups]}
    match = re.fullmatch(r"/(?:api|apis/(?P<group>[\w.-]+))(?:/(?P<version>v\w+))?", path)
    if match is None:
        raise status.no_such_path()
    group = match["group"] or ""
    versions = sorted({version for have, version, _ in present if have == group})
    if not versions or (match["version"] and match["version"] not in versions):
        raise status.no_such_path()
    if not match["version"]:
        return {"kind": "APIGroup", "apiVersion": "v1", **_group(group, versions[0])}
    resources = [
        {
            "name": plural,
            "singularName": kind.lower(),
            "namespaced": True,
            "kind": kind,
            "verbs": ["get", "list", "watch"],
        }
        for (have, version, plural), kind in KINDS.items()
        if (have, version) == (group, match["version"])
    ]
    full = f"{group}/{match['version']}" if group else match["version"]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": full, "resources": resources}


def _group(group: str, version: str) -> dict[str, Any]:
    told = {"groupVersion": f"{group}/{version}", "version": version}
    return {"name": group, "versions": [told], "preferredVersion": told}


def checked(cluster: Cluster, request: Request) -> None:
    """Refuse what is not installed or not allowed. Raises Refusal."""
    if request.group in cluster.groups_away:
        raise status.no_such_path()
    if request.resource.startswith("/") or request.group in ("authorization.k8s.io", "authentication.k8s.io"):
        return
    if not cluster.allows(request.verb, request.group, request.resource):
        resource, _, sub = request.resource.partition("/")
        raise status.forbidden(
            user=cluster.user,
            verb=request.verb,
            group=request.group,
            resource=resource,
            namespace=request.namespace,
            name=request.name,
            subresource=sub,
        )


__all__ = ["Refusal", "Request", "about", "checked", "get", "listed", "log", "reviewed", "selected", "understood"]
