"""Every route against every kind of caller. A route without a row here fails."""

from urllib.parse import urlencode

import pytest
from fastapi.routing import APIRoute

from rollout_verdict.service.app import create_app
from tests.service.conftest import bearer, make_client, make_services
from tests.service.memory import BUNDLES, packed

HEX = "0" * 31
TARGET = {"namespace": "shop", "name": "healthy"}
MEASURE = {
    "id": HEX + "9",
    "analysisRun": {"namespace": "shop", "name": "run", "owner": {"kind": "Rollout", "name": "healthy"}},
    "config": {},
}
AGENT = {"userId": "argo-rollouts", "prompt": "", "context": {"namespace": "shop", "rolloutName": "healthy"}}
ME, OTHER = HEX + "1", HEX + "2"


def json(body):
    return {"json": body}


def form(**fields):
    return {"content": urlencode(fields), "headers": {"content-type": "application/x-www-form-urlencoded"}}


# method, route, scope ("" open to all), what is sent, what a caller of another namespace gets (None: the same as all)
ROWS = [
    ("GET", "/", "", {}, None),
    ("GET", "/healthz", "", {}, None),
    ("GET", "/readyz", "", {}, None),
    ("GET", "/a2a/health", "", {}, None),
    ("GET", "/login", "", {}, None),
    ("POST", "/login", "", {}, None),
    ("POST", "/logout", "", {}, None),
    ("GET", "/static/{name}", "", {}, None),
    ("GET", "/metrics", "read", {}, None),
    ("GET", "/v1/about", "read", {}, None),
    ("GET", "/v1/openapi.json", "read", {}, None),
    ("GET", "/v1/tokens", "admin", {}, None),
    ("POST", "/v1/measurements", "run", json(MEASURE), 403),
    ("GET", "/v1/measurements/{measurement_id}", "read", {}, 404),
    ("DELETE", "/v1/measurements/{measurement_id}", "run", {}, 404),
    ("POST", "/v1/analyses:poll", "run", json({"namespace": "shop", "rollout": "healthy"}), 403),
    ("POST", "/a2a/analyze", "run", json(AGENT), 403),
    ("GET", "/v1/analyses", "read", {}, None),
    ("POST", "/v1/analyses", "run", json(TARGET), 403),
    ("GET", "/v1/analyses/{analysis_id}", "read", {}, 404),
    ("POST", "/v1/analyses/{analysis_id}/cancel", "run", {}, 404),
    ("POST", "/v1/analyses/{analysis_id}/replay", "run", json({}), 404),
    ("GET", "/v1/analyses/{analysis_id}/events", "read", {}, 404),
    ("GET", "/v1/analyses/{analysis_id}/report", "read", {}, 404),
    ("GET", "/v1/analyses/{analysis_id}/bundle", "read", {}, 404),
    ("GET", "/v1/analyses/{analysis_id}/compare/{other_id}", "read", {}, 404),
    ("GET", "/v1/marks", "read", {}, None),
    ("POST", "/v1/marks", "run", json({"analysis": OTHER, "item": "l1", "why": "known"}), 404),
    ("DELETE", "/v1/marks/{mark_id}", "run", {}, 404),
    ("GET", "/analyses", "read", {}, None),
    ("GET", "/analyses/new", "run", {}, None),
    ("GET", "/analyses/{analysis_id}", "read", {}, 404),
    ("GET", "/analyses/{analysis_id}/exchange", "read", {}, 404),
    ("GET", "/history", "read", {"params": {"namespace": "shop", "name": "healthy"}}, 403),
    ("POST", "/analyses/upload", "run", {"files": {"bundle": ("b.tar.gz", packed(BUNDLES / "healthy"))}}, 403),
    ("POST", "/analyses/start", "run", form(namespace="shop", name="healthy", kind="rollout", mode="rules"), 403),
    ("POST", "/analyses/{analysis_id}/cancel", "run", {}, 404),
    ("POST", "/analyses/{analysis_id}/benign", "run", form(item="l1", why="known"), 404),
    ("POST", "/marks/{mark_id}/remove", "run", {}, 404),
    ("POST", "/analyses/{analysis_id}/replay", "run", form(mode="rules"), 404),
]
KNOWN = [(method, path) for method, path, *_ in ROWS]
ENOUGH = {"read": ("read", "run", "admin"), "run": ("run", "admin"), "admin": ("admin",)}


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    services = make_services(tmp_path_factory.mktemp("access"), failures_per_minute=10_000)
    with make_client(services, "") as found:
        for number, name in (("1", "healthy"), ("2", "new-errors")):
            body = {**MEASURE, "id": HEX + number}
            body["analysisRun"] = {**MEASURE["analysisRun"], "owner": {"kind": "Rollout", "name": name}}
            assert found.post("/v1/measurements", json=body, headers=bearer("run")).status_code == 201
        yield found


def send(client, method, path, options, who):
    mark_id = ""
    if "{mark_id}" in path:
        body = {"analysis": OTHER, "item": "l1", "why": "known"}
        mark_id = client.post("/v1/marks", json=body, headers=bearer("run")).json()["id"]
    path = path.format(
        mark_id=mark_id, analysis_id=ME, measurement_id=ME, other_id=OTHER, namespace="shop", name="healthy"
    )
    options = {**options, "headers": {**options.get("headers", {}), **(bearer(who) if who else {})}}
    return client.request(method, path, **options)


def flattened(routes):
    for route in routes:
        if isinstance(route, APIRoute):
            yield route
        elif (inner := getattr(route, "routes", None)) is not None:
            yield from flattened(inner)
        elif (original := getattr(route, "original_router", None)) is not None:
            yield from flattened(original.routes)


def test_every_route_has_a_row(services):
    found = {(method, route.path) for route in flattened(create_app(services).routes) for method in route.methods}
    assert len(found) > 20
    assert found - {("HEAD", path) for _, path in found} == set(KNOWN)


@pytest.mark.parametrize(("method", "path", "scope", "options", "foreign"), ROWS, ids=[f"{m} {p}" for m, p in KNOWN])
def test_a_route_is_open_to_whom_it_says(client, method, path, scope, options, foreign):
    if not scope:
        assert send(client, method, path, options, "").status_code not in (401, 500)
        return
    for nobody in ("", "wrong-token-0123456789", "expired", "read-token-012345678"):
        assert send(client, method, path, options, nobody).status_code == 401, nobody
    for who in ("read", "run", "admin"):
        status = send(client, method, path, options, who).status_code
        if who in ENOUGH[scope]:
            assert status not in (401, 403, 404, 405, 422, 500), (who, status)
        else:
            assert status == 403, (who, status)
    status = send(client, method, path, options, "foreign").status_code
    assert status == foreign or (foreign is None and status not in (401, 403, 500)), status


def test_a_list_shows_nothing_of_other_namespaces(client):
    assert client.get("/v1/analyses", headers=bearer("foreign")).json()["analyses"] == []
    assert client.get("/v1/analyses", params={"namespace": "shop"}, headers=bearer("foreign")).status_code == 403
    assert len(client.get("/v1/analyses", headers=bearer("shop")).json()["analyses"]) > 1
    assert "healthy" not in client.get("/analyses", headers=bearer("foreign")).text


def test_an_id_of_another_namespace_is_not_taken_over(client):
    body = {**MEASURE, "id": ME, "analysisRun": {"namespace": "elsewhere", "name": "run"}}
    assert client.post("/v1/measurements", json=body, headers=bearer("foreign")).status_code == 409


def test_a_namespace_in_the_configuration_is_checked_as_well(client):
    body = {**MEASURE, "id": HEX + "8", "config": {"namespace": "elsewhere"}}
    assert client.post("/v1/measurements", json=body, headers=bearer("shop")).status_code == 403


def test_a_template_cannot_look_into_another_namespace_because_the_plugin_may(client):
    """A token for all namespaces is the plugin's, not the template author's: another namespace has to be named in it."""
    body = {**MEASURE, "id": HEX + "9", "config": {"namespace": "elsewhere"}}
    refused = client.post("/v1/measurements", json=body, headers=bearer("run"))
    assert refused.status_code == 403
    assert "a token that names both namespaces" in refused.text
    own = {**body, "id": HEX + "a", "config": {"namespace": "shop"}}
    assert client.post("/v1/measurements", json=own, headers=bearer("run")).status_code == 201
