"""The published schemas: of Kubernetes as ``kubernetes-validate`` carries them, of Argo Rollouts from its Go module."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import yaml
from referencing import Registry, Resource

VERSION = "1.37.0"
CONFORMANCE = Path(__file__).resolve().parents[2] / "conformance"  # its go.mod names the release of Argo Rollouts
CRDS = {
    "Rollout": "rollout-crd.yaml",
    "AnalysisRun": "analysis-run-crd.yaml",
    "AnalysisTemplate": "analysis-template-crd.yaml",
    "Experiment": "experiment-crd.yaml",
}


def problems(tree: Mapping[str, Any], *, name: str = "") -> list[str]:
    """Return what is wrong with an object of Kubernetes itself; ``name`` is the schema's, that of its kind if not given."""
    group, _, version = str(tree.get("apiVersion", "")).rpartition("/")
    suffix = f"{group.partition('.')[0]}-{version}" if group else version
    return _told(_kubernetes(name or f"{str(tree['kind']).lower()}-{suffix}"), tree)


def argo_problems(tree: Mapping[str, Any], folder: Path) -> list[str]:
    """Return what is wrong with an object of Argo Rollouts by the CRDs in a folder."""
    return _told(_argo(str(tree["kind"]), folder), tree)


@cache
def crd_folder() -> Path | None:
    """Return the folder of the CRDs of the release the conformance tests use, None where it cannot be had."""
    go = shutil.which("go")
    if go is None:
        return None
    ran = subprocess.run(
        [go, "mod", "download", "-json", "github.com/argoproj/argo-rollouts"],
        cwd=CONFORMANCE,
        env={**os.environ, "GOFLAGS": "-mod=mod"},
        capture_output=True,
        text=True,
        timeout=300,  # it may have to be fetched
        check=False,
    )
    if ran.returncode:
        return None
    folder = Path(json.loads(ran.stdout)["Dir"]) / "manifests" / "crds"
    return folder if folder.is_dir() else None


def _told(validator: Any, tree: Mapping[str, Any]) -> list[str]:
    errors = sorted(validator.iter_errors(tree), key=lambda error: list(map(str, error.absolute_path)))
    return [f"{'/'.join(map(str, error.absolute_path))}: {error.message[:300]}" for error in errors]


@cache
def _definitions() -> Any:
    return Resource.from_contents(_schema("_definitions"))


def _schema(name: str) -> Any:
    folder = resources.files("kubernetes_validate") / "kubernetes-json-schema" / f"v{VERSION}-local-strict"
    return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))


@cache
def _kubernetes(name: str) -> Any:
    schema = _schema(name)
    registry: Registry[Any] = Resource.from_contents(schema) @ (_definitions() @ Registry())
    return jsonschema.Draft202012Validator(schema, registry=registry)


@cache
def _argo(kind: str, folder: Path) -> Any:
    crd = yaml.safe_load((folder / CRDS[kind]).read_text(encoding="utf-8"))
    versions = {entry["name"]: entry["schema"]["openAPIV3Schema"] for entry in crd["spec"]["versions"]}
    return jsonschema.Draft202012Validator(_plain(versions["v1alpha1"], root=True))


def _plain(schema: Any, *, root: bool = False) -> Any:
    """Return a structural schema as JSON Schema; a field it does not know is an error, as it would be pruned."""
    if isinstance(schema, list):
        return [_plain(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    out = {key: _plain(value) for key, value in schema.items() if key not in ("properties", "description", "format")}
    if "properties" in schema:
        out["properties"] = {name: _plain(entry) for name, entry in schema["properties"].items()}
        if root:
            out["properties"]["metadata"] = {"type": "object"}
        if not schema.get("x-kubernetes-preserve-unknown-fields") and "additionalProperties" not in schema:
            out["additionalProperties"] = False
    if schema.get("x-kubernetes-int-or-string"):
        out.pop("type", None)
        out["anyOf"] = [{"type": "integer"}, {"type": "string"}]
    if schema.get("nullable") and "type" in out:
        out["type"] = [out["type"], "null"]
    return out
