"""Marks: who says that something is harmless, of what, and until when."""

import pytest

from tests.service.conftest import bearer

ANALYSIS = "0" * 32


@pytest.fixture
def judged(client):
    """An analysis with a new error in its logs."""
    body = {"id": ANALYSIS, "config": {}, "analysisRun": {"namespace": "shop", "name": "run"}}
    body["analysisRun"]["owner"] = {"kind": "Rollout", "name": "new-errors"}
    client.post("/v1/measurements", json=body)
    return client


def mark(client, who="run", **changed):
    body = {"analysis": ANALYSIS, "item": "l1", "why": "the cache retries, SHOP-12", **changed}
    return client.post("/v1/marks", json=body, headers=bearer(who))


def test_a_mark_is_kept_with_who_and_why(judged):
    made = mark(judged)
    assert made.status_code == 201
    told = made.json()
    assert (told["namespace"], told["name"], told["kind"]) == ("shop", "new-errors", "log")
    assert (told["who"], told["why"], told["expires"]) == ("argo", "the cache retries, SHOP-12", None)
    assert told["text"]
    assert judged.get("/v1/marks").json() == {"marks": [told]}
    assert judged.delete(f"/v1/marks/{told['id']}").status_code == 204
    assert judged.delete(f"/v1/marks/{told['id']}").status_code == 404
    assert judged.get("/v1/marks").json() == {"marks": []}


@pytest.mark.parametrize(
    ("changed", "status", "words"),
    [
        ({"item": "l999"}, 422, "no item"),
        ({"item": "L1"}, 422, "item"),
        ({"why": ""}, 422, "why"),
        ({"expires": "2020-01-01T00:00:00Z"}, 422, "still to come"),
        ({"expires": "2030-01-01T00:00:00"}, 422, "expires"),
        ({"expires": "2036-12-01T00:00:00Z"}, 422, "within ten years"),
        ({"expires": "9999-12-31T23:59:59.999999Z"}, 422, "within ten years"),
        ({"expires": "9999-12-31T23:59:59-12:00"}, 422, "within ten years"),
        ({"expires": "0001-01-01T00:00:00+12:00"}, 422, "still to come"),
        ({"analysis": "unknown"}, 404, "no analysis"),
        ({"colour": "red"}, 422, "colour"),
    ],
)
def test_what_cannot_be_marked_is_told(judged, changed, status, words):
    answer = mark(judged, **changed)
    assert (answer.status_code, words in answer.json()["message"]) == (status, True), answer.json()


def test_marks_of_other_namespaces_are_not_there(judged):
    made = mark(judged).json()
    assert judged.get("/v1/marks", headers=bearer("foreign")).json() == {"marks": []}
    assert judged.delete(f"/v1/marks/{made['id']}", headers=bearer("foreign")).status_code == 404
    assert judged.get("/v1/marks", params={"namespace": "shop"}, headers=bearer("foreign")).status_code == 403
    assert len(judged.get("/v1/marks", headers=bearer("shop")).json()["marks"]) == 1


def test_an_analysis_that_is_not_done_shows_nothing_to_mark(judged):
    running = judged.post("/v1/analyses", json={"namespace": "shop", "name": "running"}).json()["id"]
    assert mark(judged, analysis=running).status_code == 409
