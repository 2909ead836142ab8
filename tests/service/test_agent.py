"""The Go plugin's agent: its client's requests, and what becomes of each of our answers there."""

import json
import subprocess
import threading

import pytest

from tests.conformance.test_conformance import build
from tests.service.conftest import TOKENS, bearer, make_client, make_services, served

CONTEXT = {
    "namespace": "shop",
    "rolloutName": "healthy",
    "stableSelector": "role=stable",
    "canarySelector": "role=canary",
}


def body(rollout="healthy", **more):
    return {"userId": "argo-rollouts", "prompt": "Promote!", "context": {**CONTEXT, "rolloutName": rollout}, **more}


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    return make_services(tmp_path_factory.mktemp("agent"), agent_wait_s=0.3)


@pytest.fixture(scope="module")
def address(services):
    with served(services) as found:
        yield found


def go(address, rollout, token=TOKENS["run"]):
    """What the Go client makes of us. Its address carries the token."""
    url = address.replace("http://", f"http://argo:{token}@") if token else address
    command = [build("agent"), url, "shop", rollout, "role=stable", "role=canary"]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return json.loads(found.stdout)


@pytest.mark.parametrize(
    ("rollout", "phase"),
    [("healthy", "Successful"), ("new-errors", "Failed"), ("few-requests", "Failed"), ("crash-loop", "Failed")],
)
def test_verdicts_arrive(address, rollout, phase):
    found = go(address, rollout)
    assert found["phase"] == phase
    told = found["answer"]
    assert told["promote"] is (phase == "Successful")
    assert told["analysis"]
    assert 0 <= told["confidence"] <= 100
    assert (float(found["value"]) > 0) is (phase == "Successful")


@pytest.mark.parametrize(
    ("rollout", "message"),
    [("gone", "status 424"), ("cancelled", "status 424"), ("running", "status 202"), ("unavailable", "status 503"),
     ("Not A Name", "status 422")],
)  # fmt: skip
def test_each_kind_of_failure_is_an_error_there(address, rollout, message):
    assert go(address, rollout) == {"phase": "Error", "value": "", "message": message}


def test_a_verdict_that_others_put_under_the_same_id_promotes_nothing(tmp_path):
    """Whoever may measure in one namespace must not decide in another by taking its next id."""
    folders = [tmp_path / name for name in ("seen", "fresh")]
    for folder in folders:
        folder.mkdir()
    seen = make_services(folders[0], agent_wait_s=0.01)
    with make_client(seen) as client:
        assert client.post("/a2a/analyze", json=body("running")).status_code == 202
    (taken,) = seen.analyses.kept
    with make_client(make_services(folders[1], agent_wait_s=0.01)) as client:
        measurement = {"id": taken, "analysisRun": {"namespace": "elsewhere", "name": "healthy"}, "config": {}}
        made = client.post("/v1/measurements", json=measurement, headers=bearer("foreign"))
        assert (made.status_code, made.json()["measurement"]["verdict"]) == (201, "promote")
        answer = client.post("/a2a/analyze", json=body("running"))
    assert (answer.status_code, "promote" in answer.json()) == (422, False)


def test_what_another_replica_judged_is_not_told_of_a_later_canary(tmp_path):
    services = make_services(tmp_path)
    with make_client(services) as one, make_client(services) as other:
        for client, analyses in ((one, 1), (other, 2), (one, 3)):
            assert client.post("/a2a/analyze", json=body()).status_code == 200
            assert len(services.analyses.kept) == analyses
            services.clock.pass_s(3_600)


@pytest.mark.parametrize("token", ["", "wrong-token-0123456789", TOKENS["read"], TOKENS["expired"], TOKENS["foreign"]])
def test_without_the_right_token_it_is_an_error(address, token):
    found = go(address, "healthy", token)
    assert (found["phase"], found["message"]) in [("Error", "status 401"), ("Error", "status 403")]


def test_all_fields_of_the_agent_are_there(client):
    told = client.post("/a2a/analyze", json=body("new-errors", memoryId="rollout:shop/x")).json()
    assert set(told) == {
        "analysis", "rootCause", "remediation", "prLink", "promote", "confidence", "modelResults", "votingRationale",
    }  # fmt: skip
    (one,) = told["modelResults"]
    assert set(one) == {
        "modelName", "analysis", "rootCause", "remediation", "promote", "confidence", "executionTimeMs", "error",
    }  # fmt: skip
    assert "rollback" in told["votingRationale"]


@pytest.mark.parametrize("rollout", ["gone", "cancelled", "running"])
def test_who_overlooks_the_status_still_finds_no_promotion(tmp_path, rollout):
    with make_client(make_services(tmp_path, agent_wait_s=0.02)) as client:
        answer = client.post("/a2a/analyze", json=body(rollout))
    assert answer.status_code in (202, 424)
    assert (answer.json()["promote"], answer.json()["confidence"]) == (False, 0)


@pytest.fixture
def own(tmp_path):
    """A service of the test's own, and a client."""
    services = make_services(tmp_path, agent_wait_s=0.02)
    with make_client(services) as client:
        yield services, client


def last(services):
    return list(services.analyses.kept.values())[-1].request


def test_models_to_use_are_the_model_and_the_second_opinions(own):
    services, client = own
    client.post("/a2a/analyze", json=body(modelsToUse=["gemini-a", "gemini-b", "gemini-c"]))
    assert last(services).config == {"model": "gemini-a", "secondOpinions": ["gemini-b", "gemini-c"]}
    client.post("/a2a/analyze", json=body("new-errors", modelsToUse=None))
    assert last(services).config == {}


def test_selectors_name_the_pods_and_the_prompt_goes_nowhere(own):
    services, client = own
    client.post("/a2a/analyze", json=body())
    request = last(services)
    assert (request.target.selectors.stable, request.target.selectors.canary) == ("role=stable", "role=canary")
    assert "Promote!" not in repr(request)
    assert (request.origin, request.asked_by) == ("a2a", "argo")


def test_the_memory_names_the_rollout_when_the_context_does_not(own):
    services, client = own
    older = {"userId": "argo-rollouts", "memoryId": "rollout:shop/healthy", "context": {"namespace": "shop"}}
    assert client.post("/a2a/analyze", json=older).json()["promote"] is True
    assert last(services).target.name == "healthy"
    nameless = {**older, "memoryId": "rollout:shop"}
    answer = client.post("/a2a/analyze", json=nameless)
    assert answer.status_code == 422
    assert "rolloutName" in answer.json()["message"]


def test_a_second_call_waits_for_what_runs_and_a_third_starts_anew(own):
    services, client = own
    assert client.post("/a2a/analyze", json=body("running")).status_code == 202
    assert client.post("/a2a/analyze", json=body("running")).status_code == 202
    assert len(services.analyses.kept) == 1
    services.analyses.cancel(last(services).id)
    client.post("/a2a/analyze", json=body("running"))
    assert len(services.analyses.kept) == 2


def test_the_answer_comes_when_the_analysis_is_done(tmp_path):
    services = make_services(tmp_path, eager=False, agent_wait_s=60.0)
    with make_client(services) as client:
        answers = []
        caller = threading.Thread(target=lambda: answers.append(client.post("/a2a/analyze", json=body())))
        caller.start()
        while not services.analyses.kept:
            caller.join(0.005)
        services.analyses.step(last(services).id)
        caller.join(30)
    assert answers[0].json()["promote"] is True


def test_too_many_that_wait_are_sent_away(tmp_path):
    with make_client(make_services(tmp_path, watchers=1, agent_wait_s=0.5)) as client:
        answers = []
        call = lambda: answers.append(client.post("/a2a/analyze", json=body("running")))  # noqa: E731
        callers = [threading.Thread(target=call) for _ in range(3)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join(30)
    assert sorted(answer.status_code for answer in answers) == [202, 503, 503]


def test_health_is_open_to_all(client):
    for path in ("/a2a/health", "/"):
        answer = client.get(path, headers={**bearer("wrong"), "accept": "*/*"})
        assert (answer.status_code, answer.json()["status"]) == (200, "healthy")


@pytest.mark.parametrize(
    "memory",
    ["", "rollout:shop", "rollout:shop/", "rollout:/cart", "rollout:shop/a\0b", "rollout:shop/../x", "rollout:Shop/cart",
     f"rollout:shop/{'x' * 254}"],
)  # fmt: skip
def test_a_memory_names_a_rollout_as_kubernetes_does_or_is_refused(own, memory):
    services, client = own
    answer = client.post("/a2a/analyze", json={"memoryId": memory})
    assert (answer.status_code, "memoryId rollout:NAMESPACE/NAME" in answer.json()["message"]) == (422, True)
    assert not services.analyses.kept
