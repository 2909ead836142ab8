"""The prompt files: found in a checkout and in a wheel, versioned, and what the code expects of them."""

import json
import re
from string import Template

import pytest

from rollout_verdict.adapters import prompts
from rollout_verdict.adapters.gemini.parse import ReplyModel
from rollout_verdict.core.model.neutral import estimated_tokens
from rollout_verdict.core.values import Decision

# Per the field documentation of the SDK; anything else is ignored silently or refused.
KEYWORDS = frozenset(
    ["type", "description", "enum", "items", "maxItems", "minimum", "maximum", "properties", "required", "propertyOrdering"]
)  # fmt: skip
ORDER = [
    "observations", "citations", "suspicious_ids", "root_cause", "next_steps", "probabilities", "decision", "summary",
]  # fmt: skip


def test_the_newest_version_is_the_default():
    """A caller that names none gets the last one."""
    assert prompts.versions()[-1] == prompts.load().version
    assert prompts.load("v1").version == "v1"


def test_an_unknown_version_is_refused_with_the_known_ones(tmp_path):
    """The message says what there is."""
    with pytest.raises(ValueError, match="prompt version 'v99' is not one of v1"):
        prompts.load("v99")
    with pytest.raises(ValueError, match=r"is not one of \(none\)"):
        prompts.load(root=tmp_path)


def copy(tmp_path, name="v1", of=None):
    (tmp_path / name).mkdir()
    for file in (prompts.folder() / (of or name)).iterdir():
        (tmp_path / name / file.name).write_bytes(file.read_bytes())
    return tmp_path


def test_versions_are_ordered_by_number(tmp_path):
    """v10 comes after v9; other folders do not count."""
    for name in ("v9", "v10", "vx", "old"):
        copy(tmp_path, name, of="v2")
    assert prompts.versions(tmp_path) == ("v9", "v10")
    assert prompts.load(root=tmp_path).version == "v10"


@pytest.mark.parametrize("version", prompts.versions())
def test_the_digest_tells_any_change_of_any_file(tmp_path, version):
    """A recorded verdict names the bytes it was asked with."""
    digests = {prompts.load(version).digest}
    root = copy(tmp_path, version)
    assert prompts.load(root=root).digest in digests
    files = sorted((root / version).iterdir())
    for path in files:
        path.write_text(path.read_text() + " ")
        digests.add(prompts.load(root=root).digest)
    assert len(digests) == len(files) + 1


def test_a_released_version_is_what_it_was():
    """Whoever has a verdict of it on record finds the same bytes again."""
    assert prompts.load("v1").digest == "aa0ef41d1f1e0f828a246321c4b561e6935371430e46b31f3cc82d8412beab5a"


def test_what_later_versions_say_besides():
    """The texts of the first are still the same ones; memory and requests came with the second."""
    first, second = prompts.load("v1"), prompts.load("v2")
    for name in ("system", "examples", "evidence", "operator", "question", "schema_text"):
        assert getattr(first, name) == getattr(second, name), name
    assert (first.memory, first.more, first.given) == ("", "", "")
    assert all((second.memory, second.more, second.given))


def test_a_missing_file_is_an_error(tmp_path):
    """Half a prompt is none."""
    root = copy(tmp_path)
    (root / "v1" / "question.md").unlink()
    with pytest.raises(FileNotFoundError, match=r"question\.md"):
        prompts.load(root=root)


def test_the_folder_is_found_in_a_wheel_and_in_a_checkout(tmp_path, monkeypatch):
    """A wheel carries them inside the package; without either place the message names both."""
    package = tmp_path / "plugin" / "rollout_verdict"
    package.mkdir(parents=True)
    monkeypatch.setattr(prompts, "PACKAGE", package)
    with pytest.raises(FileNotFoundError, match="reinstall the package"):
        prompts.folder()
    (tmp_path / "prompts").mkdir()
    assert prompts.folder() == tmp_path / "prompts"
    (package / "_prompts").mkdir()
    assert prompts.folder() == package / "_prompts"


def test_the_variables_of_the_templates():
    """The public surface of a prompt version: nothing else is filled in."""
    templates = prompts.load()
    used = {
        name: sorted(set(Template(getattr(templates, name)).get_identifiers()))
        for name in ("evidence", "operator", "question", "memory", "more", "given")
    }
    assert used == {
        "memory": [],
        "more": [],
        "given": ["boundary", "ids", "last", "more"],
        "evidence": ["boundary", "evidence"],
        "operator": ["boundary", "operator"],
        "question": ["boundary", "rules"],
    }


def test_the_static_part_is_small_enough_to_leave_room():
    """Two thirds of the usual prompt at most."""
    templates = prompts.load()
    static = (templates.system, templates.examples, templates.question, templates.schema_text)
    assert estimated_tokens(*static) < 2_400


def nodes(schema):
    yield schema
    for inner in [*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])]:
        yield from nodes(inner)


def test_the_schema_uses_supported_keywords_only():
    """And every object orders and requires all of its properties alike: the models write them in that order."""
    for node in nodes(prompts.load().schema):
        assert set(node) <= KEYWORDS
        if node["type"] == "object":
            assert list(node["properties"]) == node["required"] == node["propertyOrdering"]
        if node["type"] == "array":
            assert node["maxItems"] <= 20


def test_evidence_comes_before_the_conclusion():
    """Models that write their observations first decide better."""
    assert prompts.load().schema["required"] == ORDER


def test_the_schema_and_the_parser_agree():
    """The model is asked for exactly what the parser accepts."""
    parsed = ReplyModel.model_json_schema()
    asked = prompts.load().schema
    assert list(parsed["properties"]) == ORDER
    for name, inner in (("citations", "_Citation"), ("probabilities", "_Probabilities")):
        node = asked["properties"][name]
        assert list(parsed["$defs"][inner]["properties"]) == list(node.get("items", node)["properties"])
    assert asked["properties"]["decision"]["enum"] == [decision.value for decision in Decision]
    assert sorted(asked["properties"]["probabilities"]["properties"]) == sorted(d.value for d in Decision)


def test_the_examples_are_replies_that_the_parser_accepts():
    """One of each decision, so that none is favoured."""
    from rollout_verdict.adapters.gemini.parse import parse

    replies = re.findall(r"^Reply: (\{.*\})$", prompts.load().examples, re.MULTILINE)
    assert sorted(parse(reply).decision for reply in replies) == sorted(Decision)
    assert all(list(json.loads(reply)) == ORDER for reply in replies)
