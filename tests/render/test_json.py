"""The JSON document: one line, canonical, with its schema."""

import json

from rollout_verdict.render import json as document
from tests.render import results


def test_it_is_one_document_with_a_schema():
    """Machines find the version, the verdict and the ids that people see."""
    written = document.render(results.result())
    assert written.count("\n") == 1
    assert written.endswith("\n")
    tree = json.loads(written)
    assert tree["schema"] == "rollout-verdict/result/v1"
    assert tree["verdict"]["decision"] == "rollback"
    assert [check["id"] for check in tree["comparison"]["metrics"]["checks"]] == ["m1", "m2", "m3", "m4", "m5"]
    assert tree["comparison"]["metrics"]["checks"][0]["interval"]["high"] is None


def test_prompt_and_reply_stay_outside():
    """They are kept beside the result, not in it."""
    assert {"prompt", "reply"}.isdisjoint(json.loads(document.render(results.result())))


def test_the_same_result_is_the_same_bytes():
    """Keys are sorted and nothing depends on the moment."""
    written = document.render(results.result())
    assert written == document.render(results.result())
    assert written == json.dumps(json.loads(written), sort_keys=True, ensure_ascii=False, separators=(",", ":")) + "\n"
