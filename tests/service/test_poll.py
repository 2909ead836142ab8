"""Argo's web provider: its own code, with the template of the docs, against the service."""

import json
import re
import subprocess

import pytest
import yaml

from rollout_verdict.service.reuse import LOOKED_AT, STEPS
from tests.conformance.test_conformance import build
from tests.conftest import ROOT
from tests.service.conftest import TOKENS, bearer, make_client, make_services, served

PATH = "/v1/analyses:poll"
ARGUMENTS = {"namespace": "shop", "canary-hash": "5d8f7c", "stable-hash": "7b6c5d"}


def body(rollout="healthy", **more):
    return {"namespace": "shop", "rollout": rollout, "canaryHash": "5d8f7c", "stableHash": "7b6c5d", **more}


def ask(client, *arguments, **keywords):
    answer = client.post(PATH, json=body(*arguments, **keywords))
    assert answer.status_code == 200
    assert len(answer.content) < 2000
    return answer.json()


# Argo's own code


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """The AnalysisTemplate as the docs have it."""
    page = (ROOT / "docs" / "service.md").read_text()
    (found,) = re.findall(r"```yaml\n(apiVersion: argoproj.io.*?)```", page, re.DOTALL)
    path = tmp_path_factory.mktemp("template") / "template.yaml"
    path.write_text(found)
    return path


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    return make_services(tmp_path_factory.mktemp("web"))


@pytest.fixture(scope="module")
def measure(services, template):
    """Run Argo's provider; returns its measurements."""
    program = build("webmetric")
    with served(services) as address:

        def run(rollout, polls=2, token=TOKENS["run"], path=PATH, **changed):
            given = {**ARGUMENTS, "rollout": rollout, "token": token, **changed}
            command = [program, template, address + path, str(polls), *(f"{k}={v}" for k, v in given.items())]
            found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
            assert found.returncode == 0, found.stderr
            return [json.loads(line) for line in found.stdout.splitlines()]

        yield run


@pytest.mark.parametrize(
    ("rollout", "phase", "verdict"),
    [
        ("healthy", "Successful", "promote"),
        ("new-errors", "Failed", "rollback"),
        ("few-requests", "Inconclusive", "inconclusive"),
        ("running", "Inconclusive", "running"),
        ("gone", "Inconclusive", "error"),
        ("cancelled", "Inconclusive", "error"),
    ],
)
def test_argo_sees_each_state_for_what_it_is(measure, rollout, phase, verdict):
    found = measure(rollout)
    assert [one["phase"] for one in found] == [phase] * (1 if phase in ("Successful", "Failed") else 2)
    told = json.loads(found[-1]["value"])
    assert told["verdict"] == verdict
    assert told["reason"]
    assert len(found[-1]["value"]) < 2000


@pytest.mark.parametrize(
    "wrong",
    [{"rollout": "Not A Name"}, {"canary-hash": "NOT/A/HASH"}, {"namespace": ""}],
    ids=lambda one: next(iter(one)),
)
def test_what_is_wrong_in_a_template_is_told_and_is_no_success(measure, wrong):
    given = {"rollout": "healthy", **wrong}
    (found,) = measure(given.pop("rollout"), polls=1, **given)
    assert found["phase"] == "Inconclusive"
    assert json.loads(found["value"])["verdict"] == "error"


def test_without_a_valid_token_argo_sees_an_error(measure):
    (found,) = measure("healthy", polls=1, token="wrong-token-0123456789")
    assert (found["phase"], found["message"]) == ("Error", "received non 2xx response code: 401")


def test_a_service_that_is_down_is_an_error(measure):
    (found,) = measure("unavailable", polls=1)
    assert (found["phase"], found["message"]) == ("Error", "received non 2xx response code: 503")


def test_a_condition_for_success_names_the_word_of_a_promotion(template):
    metric = yaml.safe_load(template.read_text())["spec"]["metrics"][0]
    assert metric["successCondition"] == 'result.verdict == "promote"'
    assert metric["failureCondition"] == 'result.verdict == "rollback"'


# Start or get


def test_the_same_canary_is_the_same_analysis(client, services):
    first = ask(client)
    assert ask(client)["id"] == first["id"]
    assert ask(client, "new-errors")["id"] != first["id"]
    assert ask(client, canaryHash="0")["id"] != first["id"]
    assert ask(client, key="step 2")["id"] != first["id"]
    assert ask(client, config={"window": "5m"})["id"] != first["id"]


@pytest.fixture
def fresh(tmp_path):
    services = make_services(tmp_path, reuse_s=100.0)
    with make_client(services) as client:
        yield client, services


def test_a_verdict_grows_old(fresh):
    client, services = fresh
    first = ask(client)["id"]
    services.clock.pass_s(99)
    assert ask(client)["id"] == first
    services.clock.pass_s(2)
    second = ask(client)["id"]
    assert second != first
    assert ask(client)["id"] == second


def test_what_runs_does_not_grow_old(fresh):
    client, services = fresh
    first = ask(client, "running")
    services.clock.pass_s(10_000)
    assert ask(client, "running") == first


def test_a_failure_is_tried_again_after_a_minute(fresh):
    client, services = fresh
    first = ask(client, "gone")["id"]
    services.clock.pass_s(59)
    assert ask(client, "gone")["id"] == first
    services.clock.pass_s(2)
    assert ask(client, "gone")["id"] != first


def test_that_an_analysis_was_cancelled_is_told_for_a_minute(fresh):
    """By a person, or since it ran past its deadline: Argo's controller must not start the same work for ever."""
    client, services = fresh
    first = ask(client, "running")
    client.post(f"/v1/analyses/{first['id']}/cancel")
    told = ask(client, "running")
    assert (told["id"], told["verdict"], told["reason"]) == (first["id"], "error", "cancelled")
    services.clock.pass_s(61)
    assert ask(client, "running")["id"] != first["id"]


def test_another_replica_finds_the_same_analysis(fresh):
    client, services = fresh
    with make_client(services) as other:
        assert ask(other)["id"] == ask(client)["id"]


def test_what_another_replica_went_on_with_is_not_told_when_it_is_old(fresh):
    client, services = fresh
    first = ask(client)["id"]
    with make_client(services) as other:
        services.clock.pass_s(3_600)
        second = ask(other)["id"]
    services.clock.pass_s(36_000)
    third = ask(client)["id"]
    assert len({first, second, third}) == 3
    assert ask(client)["id"] == third


@pytest.mark.parametrize("before", [1, STEPS + 2])
def test_a_fresh_process_tells_no_old_verdict_that_newer_ones_hide(fresh, before):
    """What it knows nothing of, and no longer finds among the newest of the rollout, is under the id it works out."""
    client, services = fresh
    for _ in range(before):
        ask(client)
        services.clock.pass_s(1_000)
    for number in range(LOOKED_AT):
        ask(client, canaryHash=f"d{number}")
    services.clock.pass_s(1_000)
    told = list(services.analyses.kept)
    with make_client(services) as other:
        found = ask(other)["id"]
        assert found not in told
        assert ask(other)["id"] == found


def test_a_verdict_that_others_put_under_the_same_id_is_nobodys(fresh):
    """Whoever may measure in one namespace must not decide in another by taking its next id."""
    client, _ = fresh
    taken = ask(client, "running")["id"]
    with make_client(make_services(fresh[1].settings.state_dir, reuse_s=100.0)) as untouched:
        measurement = {"id": taken, "analysisRun": {"namespace": "elsewhere", "name": "healthy"}, "config": {}}
        made = untouched.post("/v1/measurements", json=measurement, headers=bearer("foreign"))
        assert (made.status_code, made.json()["measurement"]["verdict"]) == (201, "promote")
        assert ask(untouched, "running")["verdict"] == "error"


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"minConfidence": 700}, "minConfidence is 700"),
        ({"prometheus": {"address": "http://10.0.0.1"}}, "prometheus.address"),
    ],
)
def test_a_wrong_configuration_is_told_where_people_see_it(client, config, words):
    told = ask(client, config=config)
    assert told["verdict"] == "error"
    assert words in told["reason"]


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"namespace": 1}', '{"colour": 1}', "[" * 100_000])
def test_what_is_no_request_is_told_as_well(client, content):
    answer = client.post(PATH, content=content, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["verdict"]) == (200, "error")
    assert answer.json()["reason"]
