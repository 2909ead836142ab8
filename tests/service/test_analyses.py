"""Analyses over HTTP: start, list, look, stop, replay, compare, read."""

import io
import json
import shutil
import tarfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from rollout_verdict.adapters.bundle import read_verdict
from rollout_verdict.service.documents import REPORT_POLICY
from rollout_verdict.service.tokens import Grants
from tests.service.conftest import bearer, make_client, make_services, served
from tests.service.memory import BUNDLES, packed

PATH = "/v1/analyses"
GZIP = {"content-type": "application/gzip"}


def start(client, name="healthy", namespace="shop", **more):
    answer = client.post(PATH, json={"namespace": namespace, "name": name, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


# Start


def test_an_object_of_the_cluster_is_judged(client, services):
    started = client.post(PATH, json={"kind": "deployment", "namespace": "shop", "name": "new-errors"})
    assert started.status_code == 201
    found = client.get(f"{PATH}/{started.json()['id']}").json()
    assert found["phase"] == "done"
    assert found["verdict"]["decision"] == "rollback"
    assert (found["askedBy"], found["origin"]) == ("argo", "api")
    assert services.analyses.kept[found["id"]].request.target.kind.value == "deployment"


def test_selectors_and_hashes_narrow_it(client, services):
    made = start(client, selectors={"canary": "role=canary"}, hashes={"stable": "5d8f"}, config={"stableLabel": "a=b"})
    target = services.analyses.kept[made].request.target
    assert (target.selectors.stable, target.selectors.canary) == ("a=b", "role=canary")
    assert (target.hashes.stable, target.hashes.canary) == ("5d8f", "")


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (packed(BUNDLES / "new_errors"), GZIP),
        (packed(BUNDLES / "new_errors"), {"content-type": "application/octet-stream"}),
    ],
)
def test_a_bundle_is_uploaded_as_the_body(client, content, headers):
    answer = client.post(PATH, content=content, headers=headers, params={"name": "cart", "namespace": "shop"})
    assert answer.status_code == 201
    told = answer.json()
    assert (told["name"], told["namespace"], told["verdict"]["decision"]) == ("cart", "shop", "rollback")


def test_a_bundle_is_uploaded_by_a_form(client):
    answer = client.post(PATH, files={"bundle": ("../../cart.tar.gz", packed(BUNDLES / "healthy"))})
    assert (answer.status_code, answer.json()["name"]) == (201, "cart")
    assert answer.json()["verdict"]["decision"] == "promote"


def bundle_of(folder, namespace, name):
    """The healthy bundle as another rollout's; without a name it names none."""
    copy = Path(shutil.copytree(BUNDLES / "healthy", folder / "copy"))
    case = json.loads((copy / "case.json").read_text())
    case["input"] |= {"namespace": namespace, "service": name}
    (copy / "case.json").write_text(json.dumps(case))
    if not name:
        (copy / "case.json").unlink()
    return packed(copy)


@pytest.mark.parametrize(
    ("who", "query", "inside", "filed"),
    [
        ("run", {}, ("shop", "cart"), ("shop", "cart")),
        ("run", {}, ("", "cart"), ("", "cart")),
        ("run", {"name": "mine"}, ("shop", "cart"), ("", "mine")),
        ("run", {"namespace": "shop"}, ("shop", "cart"), ("shop", "cart")),
        ("run", {"namespace": "shop"}, ("", "cart"), ("shop", "cart")),
        ("run", {"namespace": "shop", "name": "mine"}, ("shop", "cart"), ("shop", "mine")),
        ("run", {"namespace": "shop"}, ("payments", "cart"), ("shop", "file")),
        ("run", {}, ("", ""), ("", "file")),
        ("run", {}, ("Not/One", "cart"), ("", "file")),
        ("run", {}, ("shop", "../cart"), ("", "file")),
        ("run", {}, ("shop", "<b>cart</b>"), ("", "file")),
        ("shop", {"namespace": "shop"}, ("shop", "cart"), ("shop", "cart")),
        ("shop", {"namespace": "shop"}, ("payments", "cart"), ("shop", "file")),
        ("shop", {}, ("payments", "cart"), None),
        ("shop", {}, ("shop", "cart"), None),
        ("shop", {"namespace": "payments"}, ("shop", "cart"), None),
    ],
)
def test_a_bundle_is_filed_under_the_rollout_it_names(client, services, tmp_path, who, query, inside, filed):
    """The caller's word goes before the bundle's, and the bundle's before the file's; no limit gives way to any."""
    files = {"bundle": ("file.tar.gz", bundle_of(tmp_path, *inside))}
    answer = client.post(PATH, files=files, params=query, headers=bearer(who))
    if filed is None:
        assert (answer.status_code, services.analyses.kept) == (403, {})
        return
    told = answer.json()
    assert (answer.status_code, told["namespace"], told["name"]) == (201, *filed)


@pytest.mark.parametrize(
    ("keywords", "status", "words"),
    [
        ({"content": b"no bundle", "headers": GZIP}, 422, "not a bundle"),
        ({"content": b"", "headers": GZIP}, 422, "not a bundle"),
        ({"files": {"other": ("a", b"")}}, 422, "'bundle'"),
        ({"content": b"no form", "headers": {"content-type": "multipart/form-data"}}, 400, "form"),
        ({"content": b"no form", "headers": {"content-type": "multipart/form-data; boundary=x"}}, 400, "form"),
        ({"content": b"x", "headers": {"content-type": "text/plain"}}, 415, "Content-Type: expected"),
        ({"content": b"x"}, 415, "Content-Type: expected"),
        ({"content": b"{", "headers": {"content-type": "application/json"}}, 400, "not JSON"),
        ({"json": {"namespace": "shop"}}, 422, "name is missing"),
        ({"json": {"namespace": "shop", "name": "../x"}}, 422, "name"),
        ({"json": {"namespace": "shop", "name": "x", "colour": 1}}, 422, "unknown key: colour"),
        ({"json": {"namespace": "shop", "name": "x", "config": {"namespace": "other"}}}, 422, "config.namespace"),
        ({"json": {"namespace": "shop", "name": "x", "config": {"a": [[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]}}}, 422, "deeper"),
        ({"json": {"namespace": "shop", "name": "x", "config": {"extraPrompt": "x" * 70_000}}}, 422, "larger"),
    ],
)  # fmt: skip
def test_what_cannot_be_judged_is_told(client, services, keywords, status, words):
    answer = client.post(PATH, **keywords)
    assert (answer.status_code, words in answer.json()["message"]) == (status, True), answer.text
    assert services.analyses.kept == {}


def test_an_error_about_an_upload_names_no_file_of_the_service(client, tmp_path):
    answer = client.post(PATH, content=b"\x1f\x8b junk", headers=GZIP)
    assert str(tmp_path) not in answer.text


def test_who_is_bound_to_namespaces_names_one_for_an_upload(client):
    content = packed(BUNDLES / "healthy")
    for query, status in (({}, 403), ({"namespace": "elsewhere"}, 403), ({"namespace": "shop"}, 201)):
        answer = client.post(PATH, content=content, headers={**GZIP, **bearer("shop")}, params=query)
        assert answer.status_code == status
        assert query or "?namespace=" in answer.json()["message"]


def test_the_same_key_starts_once_for_the_same_caller(client):
    body = {"namespace": "shop", "name": "healthy"}
    first = client.post(PATH, json=body, headers={"idempotency-key": "k1"})
    again = client.post(PATH, json=body, headers={"idempotency-key": "k1"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    other = client.post(PATH, json=body, headers={"idempotency-key": "k1", **bearer("admin")})
    assert other.json()["id"] != first.json()["id"]
    changed = client.post(PATH, json={**body, "name": "new-errors"}, headers={"idempotency-key": "k1"})
    assert changed.status_code == 409
    uploaded = client.post(PATH, content=packed(BUNDLES / "healthy"), headers={"idempotency-key": "k1", **GZIP})
    assert uploaded.status_code == 409


def test_the_same_key_with_another_configuration_is_a_conflict(client):
    """The verdict by one configuration is none by another: the answer names what differs, and what to do."""
    body = {"namespace": "shop", "name": "healthy", "config": {"window": "10m", "mode": "rules"}}
    key = {"idempotency-key": "k3"}
    first = client.post(PATH, json=body, headers=key).json()["id"]
    for same in ({"mode": "rules", "window": 600}, {**body["config"], "colour": "red", "minConfidence": 70}):
        again = client.post(PATH, json={**body, "config": same}, headers=key)
        assert (again.status_code, again.json()["id"]) == (200, first)
    for config, told in (
        ({"window": "5m", "mode": "rules"}, "config.window"),
        ({}, "config.mode"),
        ({**body["config"], "requiredSources": ["diff"]}, "config.requiredSources"),
    ):
        other = client.post(PATH, json={**body, "config": config}, headers=key)
        assert other.status_code == 409
        assert f"with another {told}: repeat that request unchanged, or take another key" in other.json()["message"]


def test_the_same_key_for_another_replay_is_a_conflict(client):
    made, path = start(client, "new-errors"), f"{PATH}/{start(client, 'healthy')}/replay"
    key = {"idempotency-key": "k4"}
    given = [
        {"config": {"mode": "rules"}},
        {"config": {"mode": "rules"}},
        {"config": {"mode": "advisory"}},
        {"model": "x"},
    ]
    answers = [client.post(path, json=body, headers=key) for body in given]
    assert [answer.status_code for answer in answers] == [201, 200, 409, 409]
    assert "config.model, config.mode" in answers[3].json()["message"]
    elsewhere = client.post(f"{PATH}/{made}/replay", json=given[0], headers=key)
    assert "another name, evidence:" in elsewhere.json()["message"]


def test_whose_a_taken_id_is_stays_unsaid(client, services):
    """The plugin's door takes any id: whoever meets one of a namespace they may not see learns that it is taken."""
    body = {"namespace": "shop", "name": "healthy", "config": {"mode": "rules"}}
    made = client.post(PATH, json=body, headers={"idempotency-key": "k5", **bearer("shop")}).json()["id"]
    kept = services.analyses.kept[made]
    services.analyses.kept[made] = replace(kept, request=replace(kept.request, namespace="elsewhere", name="secret"))
    answer = client.post(PATH, json=body, headers={"idempotency-key": "k5", **bearer("shop")})
    assert answer.status_code == 409
    assert "with another namespace:" in answer.json()["message"]


def test_the_same_key_for_another_bundle_is_a_conflict(client):
    """The verdict on the first bundle is none on the second."""
    headers = {"idempotency-key": "k2", **GZIP}
    good, bad = packed(BUNDLES / "healthy"), packed(BUNDLES / "new_errors")
    found = [client.post(PATH, content=content, headers=headers).status_code for content in (good, good, bad)]
    assert found == [201, 200, 409]


# List


def test_the_list_is_filtered_and_paged(client):
    made = [start(client, name) for name in ("healthy", "new-errors", "healthy", "running")]
    start(client, namespace="elsewhere")

    def listed(**query):
        return [one["id"] for one in client.get(PATH, params=query).json()["analyses"]]

    assert listed(namespace="shop") == made[::-1]
    assert listed(name="healthy", namespace="shop") == [made[2], made[0]]
    assert listed(decision="rollback") == [made[1]]
    assert listed(phase="running") == [made[3]]
    assert listed(origin="plugin") == []
    first = client.get(PATH, params={"namespace": "shop", "limit": 3}).json()
    assert [one["id"] for one in first["analyses"]] == made[:0:-1]
    second = client.get(PATH, params={"namespace": "shop", "limit": 3, "cursor": first["cursor"]}).json()
    assert ([one["id"] for one in second["analyses"]], second["cursor"]) == ([made[0]], "")


@pytest.mark.parametrize(
    "query", [{"cursor": "nonsense"}, {"limit": 0}, {"limit": 201}, {"phase": "x"}, {"namespace": "A"}, {"origin": "x"}]
)
def test_a_list_that_cannot_be_had_is_told(client, query):
    answer = client.get(PATH, params=query)
    assert answer.status_code == 422
    assert next(iter(query)) in answer.json()["message"]


# Look, stop, replay, compare


def test_an_analysis_is_cancelled_once(client, services):
    made = start(client, "running")
    assert client.post(f"{PATH}/{made}/cancel").json()["phase"] == "cancelled"
    assert client.post(f"{PATH}/{made}/cancel").json()["phase"] == "cancelled"
    done = start(client)
    assert client.post(f"{PATH}/{done}/cancel").json()["phase"] == "done"


def test_the_same_evidence_is_judged_again(client, services):
    made = start(client, "new-errors")
    again = client.post(f"{PATH}/{made}/replay", json={"config": {"requiredSources": ["diff"]}})
    assert again.status_code == 201
    told = again.json()
    assert (told["replayOf"], told["name"], told["verdict"]["decision"]) == (made, "new-errors", "inconclusive")
    assert told["verdict"]["digest"] == client.get(f"{PATH}/{made}").json()["verdict"]["digest"]
    other = client.post(f"{PATH}/{made}/replay", json={"model": "gemini-x"}).json()["id"]
    assert services.analyses.kept[other].request.config == {"model": "gemini-x"}
    compared = client.get(f"{PATH}/{made}/compare/{told['id']}").json()
    assert compared["changed"]["decision"] == ["rollback", "inconclusive"]
    assert client.get(f"{PATH}/{made}/compare/{made}").json()["changed"] == {}


@pytest.mark.parametrize("name", ["running", "gone"])
def test_what_is_not_done_has_nothing_to_read(client, name):
    made = start(client, name)
    for method, path in (("post", "replay"), ("get", "report"), ("get", "bundle"), ("get", f"compare/{made}")):
        options = {"json": {}} if method == "post" else {}
        assert client.request(method, f"{PATH}/{made}/{path}", **options).status_code == 409, path


def test_a_replay_with_a_wrong_policy_is_told(client):
    made = start(client)
    answer = client.post(f"{PATH}/{made}/replay", json={"config": {"minConfidence": 700}})
    assert (answer.status_code, "minConfidence" in answer.json()["message"]) == (422, True)


def test_a_key_that_is_not_known_is_told_in_the_answer(client):
    """It has no effect, and whoever mistyped it learns that when they start, look, list and replay."""
    said = ['unknown configuration key ignored: "minConfidense"']
    wrong = {"config": {"minConfidense": 70}}
    made = client.post(PATH, json={"namespace": "shop", "name": "healthy", **wrong}).json()
    assert made["warnings"] == said
    assert client.get(f"{PATH}/{made['id']}").json()["warnings"] == said
    assert client.get(PATH).json()["analyses"][0]["warnings"] == said
    assert client.post(f"{PATH}/{made['id']}/replay", json=wrong).json()["warnings"] == said
    assert client.post(f"{PATH}/{made['id']}/replay", json={}).json()["warnings"] == []


def test_a_model_that_cannot_be_asked_is_no_replay(client, services):
    """Without a key the rules would judge, and whoever named a model would take it for the model's verdict."""
    made = start(client)
    unasked = make_client(replace(services, about=replace(services.about, model="")))
    for body in ({"model": "gemini-x"}, {"config": {"model": "gemini-x"}}):
        answer = unasked.post(f"{PATH}/{made}/replay", json=body)
        assert (answer.status_code, "set GEMINI_API_KEY" in answer.json()["message"]) == (422, True)
    assert unasked.post(f"{PATH}/{made}/replay", json={}).status_code == 201


# Documents


def test_the_report_in_three_forms(client):
    made = start(client, "new-errors")
    page = client.get(f"{PATH}/{made}/report")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"] == REPORT_POLICY
    assert "<html" in page.text
    text = client.get(f"{PATH}/{made}/report", params={"format": "markdown"})
    assert text.headers["content-type"].startswith("text/markdown")
    assert json.loads(client.get(f"{PATH}/{made}/report", params={"format": "json"}).text)["verdict"]["row"] == 3
    assert client.get(f"{PATH}/{made}/report", params={"format": "pdf"}).status_code == 422


def test_the_bundle_can_be_judged_again(client, tmp_path):
    made = start(client, "new-errors")
    answer = client.get(f"{PATH}/{made}/bundle")
    assert answer.headers["content-disposition"] == f'attachment; filename="{made}.tar.gz"'
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as tar:
        assert "evidence.json" in tar.getnames()
    path = tmp_path / "bundle.tar.gz"
    path.write_bytes(answer.content)
    assert read_verdict(path).decision.value == "rollback"


# Events


def events(text):
    """Kinds and analyses of a stream."""
    found = []
    for block in text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if lines:
            found.append((lines["event"], json.loads(lines["data"])))
    return found


def test_events_end_with_the_verdict(client):
    made = start(client)
    answer = client.get(f"{PATH}/{made}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    ((kind, told),) = events(answer.text)
    assert (kind, told["verdict"]["decision"]) == ("verdict", "promote")


def test_events_tell_of_progress_and_a_silence_is_broken(tmp_path):
    services = make_services(tmp_path, eager=False, watch_interval_s=0.005, heartbeat_s=0.01)
    with make_client(services) as client:
        made = start(client)
        with client.stream("GET", f"{PATH}/{made}/events") as answer:
            parts = answer.iter_text()
            text = next(parts)
            while ": still at it" not in text:
                text += next(parts)
            services.analyses.step(made)
            text += "".join(parts)
    assert [kind for kind, _ in events(text)] == ["progress", "verdict"]


def test_events_end_with_the_token_that_asked_for_them(tmp_path):
    """What is told after a token was taken back is told to nobody."""
    services = make_services(tmp_path, eager=False)
    with make_client(services) as client:
        made = start(client)
    with (
        served(services) as address,
        httpx2.stream("GET", f"{address}{PATH}/{made}/events", headers=bearer("run"), timeout=60) as answer,
    ):
        lines = answer.iter_lines()
        assert next(lines) == "event: progress"
        services.auth._grants = Grants
        services.analyses.step(made)
        assert "event: verdict" not in list(lines)


def test_one_caller_holds_no_more_than_its_streams(tmp_path):
    services = make_services(tmp_path, eager=False, streams=2, stream_s=20.0)
    with make_client(services) as client:
        made = start(client)
    with served(services) as address, httpx2.Client(timeout=60) as client, ExitStack() as stack:
        path = f"{address}{PATH}/{made}/events"
        streams = [stack.enter_context(client.stream("GET", path, headers=bearer("read"))) for _ in range(2)]
        told = [one.iter_lines() for one in streams]  # held, since a stream ends with whoever reads it
        assert [next(one) for one in told] == ["event: progress"] * 2
        assert client.get(path, headers=bearer("read")).status_code == 429
        services.analyses.step(made)
        assert client.get(path, headers=bearer("admin")).status_code == 200


def test_events_end_when_their_time_is_up(tmp_path):
    with make_client(make_services(tmp_path, stream_s=0.02)) as client:
        answer = client.get(f"{PATH}/{start(client, 'running')}/events")
    assert [kind for kind, _ in events(answer.text)] == ["progress"]


def test_too_many_who_watch_are_sent_away(tmp_path):
    with make_client(make_services(tmp_path, watchers=0)) as client:
        answer = client.get(f"{PATH}/{start(client)}/events")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
