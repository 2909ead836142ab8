"""The description of the interface, and what it does when it is taken at its word, and when it is not."""

import io
import json

from rollout_verdict.service.app import create_app, describe
from tests.evals import schemathesis_run
from tests.openapi_docs import FILE, description

SHORT_S = 20  # the long run is a command of its own; this one meets each operation with right and wrong requests


def test_the_description_in_the_docs_is_that_of_the_routes():
    assert FILE.read_text() == description(), "run: PYTHONPATH=plugin python -m tests.openapi_docs"


def test_every_status_has_words_and_every_body_an_example(services):
    tree = describe(create_app(services))
    for path, methods in tree["paths"].items():
        for method, operation in methods.items():
            where = f"{method} {path}"
            assert operation["summary"], where
            assert all(answer["description"] for answer in operation["responses"].values()), where
            json_body = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if json_body:
                name = json_body["schema"]["$ref"].rpartition("/")[2]
                assert tree["components"]["schemas"][name]["examples"], where


def test_no_answer_of_the_framework_is_described(services):
    assert "HTTPValidationError" not in json.dumps(describe(create_app(services)))


def test_whatever_is_sent_the_answer_is_a_documented_one():
    """No 5xx, no status, content type or body that the description does not have."""
    tally = schemathesis_run.run(SHORT_S, examples=4, seed=1, out=io.StringIO())
    assert tally.failures == {}
    answered = {status.rpartition(" ")[2] for status in tally.statuses}
    assert {"200", "201", "401", "403", "404", "422"} <= answered, "the requests did not get past the door"


def test_a_status_that_is_not_documented_is_found(monkeypatch):
    """The check can fail."""
    real = schemathesis_run.describe

    def without(app):
        tree = real(app)
        del tree["paths"]["/v1/about"]["get"]["responses"]["200"]
        tree["paths"] = {"/v1/about": tree["paths"]["/v1/about"]}
        return tree

    monkeypatch.setattr(schemathesis_run, "describe", without)
    tally = schemathesis_run.run(0, examples=10, seed=1, out=io.StringIO())
    assert list(tally.failures) == ["GET /v1/about: UndefinedStatusCode"]
