"""What the containers use, by the metrics API where the cluster has one."""

from collections.abc import Iterable

from rollout_verdict.adapters.kubernetes.client import Api
from rollout_verdict.adapters.kubernetes.fields import Document, name_of, objects, text_of, texts
from rollout_verdict.adapters.kubernetes.trouble import Access, ApiError, Resource
from rollout_verdict.core.values import Gap, SourceKind

POD_METRICS = Resource(plural="pods", group="metrics.k8s.io", version="v1beta1")

Usage = dict[tuple[str, str], tuple[tuple[str, str], ...]]  # by pod and container


def read_usage(api: Api, namespace: str, *, end: float) -> tuple[Usage, list[Gap]]:
    """Return what each container uses. A cluster without a metrics API has nothing to tell, which is no gap."""
    try:
        listed, _ = api.listed(Access(resource=POD_METRICS, namespace=namespace), end=end)
    except ApiError as error:
        return {}, [] if error.status == 404 else [error.gap(SourceKind.KUBERNETES, "resource use of the pods")]
    return usage_of(listed), []


def usage_of(listed: Iterable[Document]) -> Usage:
    """Return what each container uses, by pod and container."""
    return {
        (name_of(pod), text_of(one, "name")): texts(one, "usage")
        for pod in listed
        for one in objects(pod, "containers")
    }
