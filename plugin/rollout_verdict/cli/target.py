"""What a person names: ``rollout/checkout``, ``ar/checkout-7d4cc1-3``, or just ``checkout``; and where it is."""

import re
from pathlib import Path
from typing import Any

from rollout_verdict.cli.input import InputError
from rollout_verdict.core.target import Target, TargetKind
from rollout_verdict.core.values import Pair

WORDS = {
    "rollout": TargetKind.ROLLOUT,
    "ro": TargetKind.ROLLOUT,
    "analysisrun": TargetKind.ANALYSIS_RUN,
    "ar": TargetKind.ANALYSIS_RUN,
    "experiment": TargetKind.EXPERIMENT,
    "exp": TargetKind.EXPERIMENT,
    "deployment": TargetKind.DEPLOYMENT,
    "deploy": TargetKind.DEPLOYMENT,
}
KINDS = ("rollout", "analysisrun", "experiment", "deployment")
_IN_CLUSTER = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")  # where the kubelet mounts it
_NAME_LENGTH = 253  # of an object's name in Kubernetes


def target(named: str, namespace: str, *, stable: str = "", canary: str = "") -> Target:
    """Return what a name means; without a kind it is a Rollout's. Raises InputError for what names nothing.

    ``stable`` and ``canary`` are label selectors of the two sides.
    """
    kind, slash, name = named.rpartition("/")
    word = kind.lower().partition(".")[0].removesuffix("s") if slash else "rollout"
    if word not in WORDS:
        raise InputError(f"{named}: what is {kind!r}? Name one of {', '.join(f'{one}/NAME' for one in KINDS)}, or NAME")
    if not _named(name):
        raise InputError(f"{named}: {name!r} is no name of an object; write it as kubectl get {word} prints it")
    return Target(kind=WORDS[word], namespace=namespace, name=name, selectors=Pair(stable=stable, canary=canary))


def _named(name: str) -> bool:
    """Whether it can be an object's name: RFC 1123 with dots, as the API server checks it."""
    return len(name) <= _NAME_LENGTH and re.fullmatch(r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?", name) is not None


def namespace_of(kubeconfig: str, context: str) -> str:
    """Return the namespace that a command without one means: the context's, else the pod's own, else "default".

    A kubeconfig that cannot be read has its say where the connection is made.
    """
    if not (kubeconfig or context) and _IN_CLUSTER.is_file():
        return _IN_CLUSTER.read_text(encoding="utf-8").strip() or "default"
    named, active = contexts(kubeconfig)
    return str(named.get(context or active, {}).get("namespace") or "default")


def contexts(kubeconfig: str) -> tuple[dict[str, dict[str, Any]], str]:
    """Return the contexts of a kubeconfig by name, and the current one's name; nothing of an unreadable file."""
    import yaml  # type: ignore[import-untyped]  # it has no types of its own
    from kubernetes.config import ConfigException, list_kube_config_contexts

    try:
        found, active = list_kube_config_contexts(kubeconfig or None)  # type: ignore[no-untyped-call]  # it has no types
    except (ConfigException, OSError, TypeError, ValueError, AttributeError, yaml.YAMLError):
        return {}, ""
    return {str(one["name"]): dict(one.get("context") or {}) for one in found}, str((active or {}).get("name", ""))
