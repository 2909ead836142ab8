"""What a cluster holds: objects, logs, who may do what, and what goes wrong."""

import copy
import itertools
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.fakes.kubernetes import status
from tests.fakes.kubernetes.faults import Fault

# (group, version, plural) -> kind. All of them live in namespaces.
KINDS = {
    ("", "v1", "pods"): "Pod",
    ("", "v1", "events"): "Event",
    ("", "v1", "services"): "Service",
    ("", "v1", "configmaps"): "ConfigMap",
    ("apps", "v1", "replicasets"): "ReplicaSet",
    ("apps", "v1", "deployments"): "Deployment",
    ("apps", "v1", "statefulsets"): "StatefulSet",
    ("events.k8s.io", "v1", "events"): "Event",
    ("networking.k8s.io", "v1", "ingresses"): "Ingress",
    ("argoproj.io", "v1alpha1", "rollouts"): "Rollout",
    ("argoproj.io", "v1alpha1", "analysisruns"): "AnalysisRun",
    ("argoproj.io", "v1alpha1", "analysistemplates"): "AnalysisTemplate",
    ("argoproj.io", "v1alpha1", "experiments"): "Experiment",
    ("metrics.k8s.io", "v1beta1", "pods"): "PodMetrics",
}
PLURALS = {(group, kind): plural for (group, _, plural), kind in KINDS.items()}

Key = tuple[str, str]  # (group, plural)
Rule = Mapping[str, Sequence[str]]  # apiGroups, resources, verbs, as in a Role


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A request as it came. ``resource`` is qualified and has its subresource: "pods/log"."""

    verb: str
    resource: str
    namespace: str
    name: str
    query: Mapping[str, str]
    status: int | str


@dataclass(kw_only=True)
class Cluster:
    """Objects by resource, namespace and name. Safe to change while it is served.

    ``tokens`` maps bearer tokens to user names; without any everybody is ``user``. ``rules`` are what the user may do, as
    in a Role, everything when None; ``denied`` (verb, qualified resource) takes away from that. ``groups_away`` are API
    groups that are not installed. ``clock`` is what the cluster holds for the time.
    """

    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    user: str = "system:serviceaccount:verdict:verdict"
    tokens: dict[str, str] = field(default_factory=dict)
    rules: Sequence[Rule] | None = None
    denied: set[tuple[str, str]] = field(default_factory=set)
    groups_away: set[str] = field(default_factory=set)
    faults: list[Fault] = field(default_factory=list)
    version: str = "v1.37.0"
    journal: list[Entry] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lock = threading.Condition()
        self.objects: dict[Key, dict[tuple[str, str], dict[str, Any]]] = {}
        self.changes: list[tuple[int, Key, str, dict[str, Any]]] = []
        self.logs: dict[tuple[str, str, str, bool], bytes] = {}
        self._counter = itertools.count(1000)
        self._struck: dict[int, int] = {}
        self.revision = next(self._counter)

    def add(self, *objects: dict[str, Any]) -> None:
        """Add objects, or put them in the place of those of the same name."""
        for given in objects:
            group = given["apiVersion"].rpartition("/")[0]
            key = (group, PLURALS[group, given["kind"]])
            tree = copy.deepcopy(given)
            meta = tree["metadata"]
            with self.lock:
                shelf = self.objects.setdefault(key, {})
                place = (meta["namespace"], meta["name"])
                self.revision = next(self._counter)
                meta["resourceVersion"] = str(self.revision)
                self.changes.append((self.revision, key, "MODIFIED" if place in shelf else "ADDED", tree))
                shelf[place] = tree
                self.lock.notify_all()

    def change(
        self, group: str, plural: str, namespace: str, name: str, edit: Callable[[dict[str, Any]], None]
    ) -> None:
        """Edit an object."""
        tree = copy.deepcopy(self.objects[group, plural][namespace, name])
        edit(tree)
        self.add(tree)

    def remove(self, group: str, plural: str, namespace: str, name: str) -> None:
        """Delete an object."""
        with self.lock:
            tree = self.objects[group, plural].pop((namespace, name))
            self.revision = next(self._counter)
            self.changes.append((self.revision, (group, plural), "DELETED", tree))
            self.lock.notify_all()

    def of(self, group: str, plural: str, namespace: str = "") -> list[dict[str, Any]]:
        """Return objects in the order of their keys, as etcd gives them."""
        with self.lock:
            shelf = sorted(self.objects.get((group, plural), {}).items())
        return [tree for (where, _), tree in shelf if namespace in ("", where)]

    def log(self, namespace: str, pod: str, container: str, text: bytes, *, previous: bool = False) -> None:
        """Set a container's log: stamped lines (see ``logs.stamped``)."""
        self.logs[namespace, pod, container, previous] = text

    def allows(self, verb: str, group: str, resource: str) -> bool:
        """Whether the user may; ``resource`` with its subresource."""
        first, slash, rest = resource.partition("/")
        if (verb, status.qualified(group, first) + slash + rest) in self.denied:
            return False
        if self.rules is None:
            return True
        return any(
            _has(rule.get("verbs", ()), verb)
            and _has(rule.get("apiGroups", ()), group)
            and _has(rule.get("resources", ()), resource)
            for rule in self.rules
        )

    def strike(self, verb: str, resource: str, name: str) -> Fault | None:
        """Return the fault that meets a request, if any, and count it."""
        with self.lock:
            for index, fault in enumerate(self.faults):
                struck = self._struck.get(index, 0)
                if fault.matches(verb, resource, name) and (fault.times is None or struck < fault.times):
                    self._struck[index] = struck + 1
                    return fault
        return None

    def fail(self, *faults: Fault) -> None:
        """Have these faults from now on, and no others."""
        with self.lock:
            self.faults, self._struck = list(faults), {}

    def asked(self, resource: str) -> list[Entry]:
        """Return the requests for a resource so far."""
        with self.lock:
            return [entry for entry in self.journal if entry.resource == resource]


def _has(values: Sequence[str], value: str) -> bool:
    return "*" in values or value in values
