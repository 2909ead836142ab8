"""A running cluster: the control plane, Argo Rollouts with our plugin, Prometheus, and clients of them."""

import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from kubernetes.client import ApiClient, AppsV1Api, Configuration, CoreV1Api, CustomObjectsApi, RbacAuthorizationV1Api
from kubernetes.client.exceptions import ApiException
from kubernetes.config import load_kube_config

from tests.conftest import ROOT, needs
from tests.e2e.programs import definitions, program

START_TIMEOUT_S = 120.0
_STOP_TIMEOUT_S = 20.0
_POLL_S = 0.2
PLUGIN = "rollout-verdict/verdict"
READER = ("rollout-verdict", "rollout-verdict")  # namespace and name of the ServiceAccount that reads the evidence
GROUP = ("argoproj.io", "v1alpha1")
RULES = ROOT / "docs" / "rbac.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Where everything is. ``reader`` is the kubeconfig of a ServiceAccount with the documented role, and no more."""

    folder: Path
    admin: Path
    reader: Path
    prometheus: str
    client: ApiClient

    @property
    def core(self) -> CoreV1Api:
        return CoreV1Api(self.client)

    @property
    def apps(self) -> AppsV1Api:
        return AppsV1Api(self.client)

    @property
    def rbac(self) -> RbacAuthorizationV1Api:
        return RbacAuthorizationV1Api(self.client)

    @property
    def custom(self) -> CustomObjectsApi:
        return CustomObjectsApi(self.client)

    def create(self, document: Mapping[str, Any]) -> Any:
        """Create an object of Argo Rollouts."""
        plural, namespace = f"{document['kind'].lower()}s", document["metadata"]["namespace"]
        return self.custom.create_namespaced_custom_object(*GROUP, namespace, plural, document)

    def get(self, plural: str, namespace: str, name: str) -> dict[str, Any]:
        """Return an object of Argo Rollouts."""
        return self.custom.get_namespaced_custom_object(*GROUP, namespace, plural, name)

    def listed(self, plural: str, namespace: str) -> list[dict[str, Any]]:
        """Return the objects of Argo Rollouts in a namespace, oldest first."""
        items = self.custom.list_namespaced_custom_object(*GROUP, namespace, plural)["items"]
        return sorted(items, key=lambda one: (one["metadata"]["creationTimestamp"], one["metadata"]["name"]))

    def patch(self, plural: str, namespace: str, name: str, change: Mapping[str, Any], *, status: bool = False) -> None:
        """Merge a change into an object of Argo Rollouts, or into its status."""
        call = (
            self.custom.patch_namespaced_custom_object_status if status else self.custom.patch_namespaced_custom_object
        )
        call(*GROUP, namespace, plural, name, change, _content_type="application/merge-patch+json")

    def pods(self, namespace: str, selector: str = "") -> list[Any]:
        """Return the pods that are not about to go."""
        found = self.core.list_namespaced_pod(namespace, label_selector=selector).items
        return [pod for pod in found if pod.metadata.deletion_timestamp is None]

    def wait(self, what: str, holds: Callable[[], Any], *, timeout_s: float = 120.0) -> Any:
        """Return the first truthy answer of a condition. Fails the test at the deadline, with what there is."""
        end = time.monotonic() + timeout_s
        while True:
            found = holds()
            if found:
                return found
            if time.monotonic() > end:
                pytest.fail(f"{what}: not within {timeout_s:.0f} s; logs are in {self.folder}")
            time.sleep(_POLL_S)

    def namespace(self, name: str) -> str:
        """Make a namespace."""
        self.core.create_namespace({"metadata": {"name": name}})
        return name

    def clear(self, namespace: str) -> None:
        """End all that runs in a namespace: no garbage collector does it for us."""
        for plural in ("rollouts", "experiments", "analysisruns"):
            self.custom.delete_collection_namespaced_custom_object(*GROUP, namespace, plural)
        self.apps.delete_collection_namespaced_deployment(namespace)
        self.apps.delete_collection_namespaced_replica_set(namespace)
        self.core.delete_collection_namespaced_pod(namespace)


@contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    """Run a cluster whose state and logs are in that folder."""
    prometheus = needs("prometheus")
    binary, controller, crds = program("controlplane"), program("rollouts-controller"), definitions()
    port, etcd, kubelet, metrics, health, web = free_ports(6)
    arguments = [
        str(binary), f"-dir={folder}", f"-crds={crds}", f"-port={port}", f"-etcd-port={etcd}", f"-kubelet-port={kubelet}",
    ]  # fmt: skip
    with _process("controlplane", arguments, folder, announces="ready"):
        admin = folder / "admin.kubeconfig"
        client = connected(admin)
        try:
            reader = _install(client, folder)
            scrape = _prometheus_config(folder)
            flags = [f"--config.file={scrape}", f"--storage.tsdb.path={folder / 'tsdb'}", "--log.level=warn"]
            with (
                _process("prometheus", [prometheus, *flags, f"--web.listen-address=127.0.0.1:{web}"], folder),
                _process(
                    "rollouts-controller",
                    [
                        str(controller), f"--kubeconfig={admin}", "--leader-elect=false",
                        f"--metricsPort={metrics}", f"--healthzPort={health}",
                    ],
                    folder,
                    environment={
                        "KUBECONFIG": str(reader),
                        "ROLLOUT_VERDICT_PROMETHEUS": f"http://127.0.0.1:{web}",
                        "TMPDIR": str(_short(folder)),
                    },
                ),
            ):  # fmt: skip
                cluster = Cluster(
                    folder=folder,
                    admin=admin,
                    reader=reader,
                    prometheus=f"http://127.0.0.1:{web}",
                    client=client,
                )
                for url in (f"{cluster.prometheus}/-/ready", f"http://127.0.0.1:{health}/healthz"):
                    cluster.wait(url, lambda url=url: _answers(url), timeout_s=START_TIMEOUT_S)
                yield cluster
        finally:
            client.close()


def connected(kubeconfig: Path) -> ApiClient:
    """Return a client by a kubeconfig."""
    configuration = Configuration()
    load_kube_config(config_file=str(kubeconfig), client_configuration=configuration)
    return ApiClient(configuration)


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on; all are held until all are found."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def _short(folder: Path) -> Path:
    """Return a folder for sockets: their paths may have 108 characters, those of pytest's folders have half of that."""
    sockets = folder / "s"
    sockets.mkdir(exist_ok=True)
    return sockets


@contextmanager
def _process(
    name: str, command: list[str], folder: Path, *, environment: Mapping[str, str] | None = None, announces: str = ""
) -> Iterator[None]:
    """Run a process until the end of the block; its log is NAME.log. It ends with us, however we end."""
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [needs("setpriv"), "--pdeathsig", "TERM", "--", *command],
            cwd=folder, env={**os.environ, **(environment or {})}, stdin=subprocess.PIPE, stdout=subprocess.PIPE if announces else log,
            stderr=log,
        )  # fmt: skip
    try:
        if announces:
            _heard(process, announces, folder / f"{name}.log")
        yield
        if process.poll() is not None:
            pytest.fail(f"{name} ended by itself ({process.returncode}): see {folder / name}.log")
    finally:
        process.terminate()
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(_STOP_TIMEOUT_S)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def _heard(process: "subprocess.Popen[bytes]", word: str, log: Path) -> None:
    stdout = process.stdout
    assert stdout is not None
    readable, _, _ = select.select([stdout], [], [], START_TIMEOUT_S)
    line = stdout.readline().decode(errors="replace").strip() if readable else ""
    if line != word:
        pytest.fail(f"the control plane did not start:\n{log.read_text(errors='replace')[-4000:]}")


def _answers(url: str) -> bool:
    try:
        return httpx2.get(url, timeout=2.0).status_code == 200
    except httpx2.HTTPError:
        return False


def _prometheus_config(folder: Path) -> Path:
    """Write the scrape configuration: the labels come with the targets, as relabelling by the Kubernetes SD makes them."""
    path = folder / "prometheus.yml"
    job = {
        "job_name": "kubernetes-pods",
        "scrape_interval": "1s",
        "scrape_timeout": "1s",
        "file_sd_configs": [{"files": [str(folder / "targets.json")]}],
    }
    path.write_text(json.dumps({"scrape_configs": [job]}))
    return path


def _install(client: ApiClient, folder: Path) -> Path:
    """Install the plugin and the reader's ServiceAccount as the documentation has it. Return its kubeconfig."""
    core, rbac = CoreV1Api(client), RbacAuthorizationV1Api(client)
    namespace, name = READER
    for one in (namespace, "argo-rollouts"):
        core.create_namespace({"metadata": {"name": one}})
    core.create_namespaced_service_account(namespace, {"metadata": {"name": name}})
    role = documented_role()
    rbac.create_cluster_role(role)
    rbac.create_cluster_role_binding(binding(role["metadata"]["name"], name))
    plugin = folder / "plugin"
    source = f"import sys\nsys.path.insert(0, {str(ROOT / 'plugin')!r})\n"
    plugin.write_text(
        f"#!{sys.executable} -IB\n{source}from rollout_verdict.rpc.__main__ import main\nraise SystemExit(main())\n"
    )
    plugin.chmod(0o755)
    installed = [{"name": PLUGIN, "location": f"file://{plugin}", "args": ["--local"]}]
    core.create_namespaced_config_map(
        "argo-rollouts",
        {"metadata": {"name": "argo-rollouts-config"}, "data": {"metricProviderPlugins": yaml.safe_dump(installed)}},
    )
    return reader_kubeconfig(client, folder, name)


def documented_role() -> dict[str, Any]:
    """Return the ClusterRole of docs/rbac.yaml."""
    documents = [one for one in yaml.safe_load_all(RULES.read_text()) if one]
    (role,) = [one for one in documents if one["kind"] == "ClusterRole"]
    return role


def binding(role: str, account: str) -> dict[str, Any]:
    """Return a ClusterRoleBinding of that name that gives a role to a ServiceAccount."""
    return {
        "metadata": {"name": account},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "namespace": READER[0], "name": account}],
    }


def reader_kubeconfig(client: ApiClient, folder: Path, account: str) -> Path:
    """Return a kubeconfig with a token of a ServiceAccount, as the API server issues it to a pod."""
    request = {"spec": {"expirationSeconds": 7200}}
    token = CoreV1Api(client).create_namespaced_service_account_token(account, READER[0], request).status.token
    document = yaml.safe_load((folder / "admin.kubeconfig").read_text())
    document["users"][0]["user"] = {"token": token}
    path = folder / f"{account}.kubeconfig"
    path.write_text(json.dumps(document))
    return path


def gone(call: Callable[[], Any]) -> bool:
    """Tell whether what the call asks for does not exist."""
    try:
        call()
    except ApiException as error:
        return error.status == 404
    return False
