"""Reading bundles: what is there is read, what is missing is a gap, what is broken is told by file and key."""

import gzip
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rollout_verdict.adapters.bundle import BundleError, read_bundle
from rollout_verdict.adapters.bundle.files import DEFAULT_LIMITS, MIB
from rollout_verdict.core.canonical import canonical
from rollout_verdict.core.evidence import TemplateChange
from rollout_verdict.core.values import Pair, RolloutRef, Side, SourceKind
from tests.adapters.bundles import CANARY, LOG, STABLE, build, documents, pod


def gaps(evidence):
    return {(gap.source.value, gap.what, gap.side) for gap in evidence.gaps}


def test_a_complete_bundle_has_no_gap(tmp_path):
    evidence = read_bundle(build(tmp_path / "b"))
    assert evidence.gaps == ()
    assert evidence.rollout == RolloutRef(namespace="shop", name="shop-api", stable_hash="aaaa", canary_hash="bbbb")
    assert evidence.pods == Pair(stable=(STABLE,), canary=(CANARY,))
    assert evidence.window.start == datetime(2026, 1, 31, 10, tzinfo=UTC)
    assert evidence.window.seconds == 300
    assert [log.lines for log in evidence.logs.pods.canary] == [30]
    assert len(evidence.metrics.series.canary[0].samples) == 5
    (state,) = evidence.kubernetes.pods.canary
    (container,) = state.containers
    assert (container.state.status, container.restart_count, container.ready) == ("running", 0, True)
    assert container.limits == (("memory", "512Mi"),)
    assert evidence.diff.changes == (TemplateChange(path="containers/api/image", stable="shop:1", canary="shop:2"),)


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        ("metrics.json", {("metrics", "metrics", None)}),
        ("kubernetes.json", {("kubernetes", "pod states", None)}),
        ("diff.json", {("diff", "difference of the pod templates", None)}),
        ("case.json", {("kubernetes", "name and window of the rollout", None)}),
    ],
)
def test_a_missing_document_is_a_gap(tmp_path, missing, expected):
    parts = documents()
    del parts[missing]
    evidence = read_bundle(build(tmp_path / "b", parts))
    assert gaps(evidence) == expected
    assert evidence.pods == Pair(stable=(STABLE,), canary=(CANARY,))


def test_missing_logs_are_gaps_by_side_and_pod(tmp_path):
    assert gaps(read_bundle(build(tmp_path / "none", logs={}))) == {("logs", "logs", None)}
    one = read_bundle(build(tmp_path / "one", logs={("stable", STABLE): LOG}))
    assert gaps(one) == {("logs", "canary logs", Side.CANARY)}
    assert one.logs.pods.stable[0].lines == 30
    parts = documents()
    parts["case.json"]["input"]["stable_pods"] += ["shop-aaaa-2", "shop-aaaa-3"]
    assert ("logs", "logs of stable pods shop-aaaa-2, shop-aaaa-3", Side.STABLE) in gaps(
        read_bundle(build(tmp_path / "two", parts))
    )


def test_an_empty_side_of_a_document_is_a_gap(tmp_path):
    parts = documents()
    parts["metrics.json"]["canary"]["result"][0]["values"] = [[1769853600, "NaN"]]
    parts["kubernetes.json"]["stable"] = []
    assert gaps(read_bundle(build(tmp_path / "b", parts))) == {
        ("metrics", "canary metrics", Side.CANARY),
        ("kubernetes", "stable pod states", Side.STABLE),
    }


def test_a_listed_pod_that_is_not_described_is_a_gap(tmp_path):
    parts = documents()
    parts["case.json"]["input"]["canary_pods"] += ["shop-bbbb-2"]
    evidence = read_bundle(build(tmp_path / "b", parts))
    assert ("kubernetes", "state of shop-bbbb-2", Side.CANARY) in gaps(evidence)


def test_an_unknown_key_of_the_input_is_told_with_the_one_that_was_meant(tmp_path):
    parts = documents()
    parts["case.json"]["input"] |= {"windo": parts["case.json"]["input"].pop("window"), "colour": {"deep": [1]}}
    evidence = read_bundle(build(tmp_path / "b", parts))
    assert evidence.window is None
    (gap,) = evidence.gaps
    assert (gap.what, gap.side) == ("colour, windo in case.json", None)
    assert gap.hint == "write window for windo if that is meant"
    parts["case.json"]["input"] = {"service": "shop-api", **{f"{'x' * 200}{number}": number for number in range(9)}}
    (gap,) = read_bundle(build(tmp_path / "c", parts)).gaps
    assert "and 4 more" in gap.what
    assert len(gap.what) < 500
    assert gap.hint == ""


def test_a_misplaced_log_file_is_told(tmp_path):
    folder = build(tmp_path / "b")
    for place in ("logs/api.log", "logs/canarry/pod/api.log", "logs/canary/pod/api.txt"):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_bytes(b"x\n")
    ((source, what, side),) = gaps(read_bundle(folder))
    assert (source, side) == ("logs", None)
    assert what == "logs/api.log, logs/canarry/pod/api.log, logs/canary/pod/api.txt"


def test_a_folder_without_any_part_is_no_bundle(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(BundleError, match=r"not a bundle; expected case\.json"):
        read_bundle(tmp_path)


def test_labels_never_reach_the_evidence(tmp_path):
    parts = documents()
    plain = canonical(read_bundle(build(tmp_path / "a", parts)))
    parts["case.json"] |= {
        "id": "x-001",
        "expected": {"verdict": "SECRETLABEL", "fault_type": 7},
        "provenance": ["SECRETLABEL"],
    }
    assert canonical(read_bundle(build(tmp_path / "b", parts))) == plain


def change(*path, to):
    """Return an edit of the documents: the value at ``path`` becomes ``to``, or is taken out with ``...``."""

    def edit(parts):
        *steps, last = path
        place = parts
        for step in steps:
            place = place[step]
        if to is ...:
            del place[last]
        else:
            place[last] = to

    return edit


INPUT = ("case.json", "input")
CONTAINER = ("kubernetes.json", "canary", 0, "containers", 0)
SERIES = ("metrics.json", "canary", "result", 0)
BROKEN = [
    ("no object", change("case.json", to=[]), "case.json: the document: expected an object, got a list"),
    ("no input", change("case.json", to={}), "case.json: input: expected this key, it is missing"),
    ("service a number", change(*INPUT, "service", to=7), "case.json: input.service: expected text, got a number"),
    ("no service", change(*INPUT, "service", to=...), "case.json: input.service: expected this key, it is missing"),
    ("pods a word", change(*INPUT, "canary_pods", to="pod"), "input.canary_pods: expected a list, got text"),
    ("pod null", change(*INPUT, "canary_pods", to=["a", None]), "input.canary_pods[1]: expected text, got nothing"),
    ("pod without end", change(*INPUT, "canary_pods", to=["p" * 254]), "should have at most 253 characters"),
    ("too many pods", change(*INPUT, "canary_pods", to=["p"] * 5001), "should have at most 5000 items"),
    ("naive time", change(*INPUT, "window", "start", to="2026-01-31T10:00:00"), "expected a time with its zone"),
    ("no time", change(*INPUT, "window", "start", to="yesterday"), "expected a time, as 2026-01-31T10:00:00Z, got text"),
    ("backwards", change(*INPUT, "window", "end", to="2026-01-31T09:00:00Z"), "input.window: window end"),
    ("timestamps a word", change(*INPUT, "log_timestamps", to="yes"), "log_timestamps: expected true or false"),
    ("pod on both sides", change(*INPUT, "stable_pods", to=[CANARY]), f"pod '{CANARY}' is stable in one place"),
    ("matrix a list", change("metrics.json", "canary", to=[]), "metrics.json: canary: expected an object, got a list"),
    ("vector", change("metrics.json", "canary", "resultType", to="vector"), 'canary.resultType: expected "matrix"'),
    ("label a number", change(*SERIES, "metric", "pod", to=1), "canary.result[0].metric.pod: expected text, got 1"),
    ("sample a word", change(*SERIES, "values", to=[[1, "x"]]), "canary.result[0].values[0]: expected [unix seconds"),
    ("direction", change("metrics.json", "meta", "error_ratio", "direction", to="up"), "error_ratio.direction: expected"),
    ("pods an object", change("kubernetes.json", "canary", to={}), "canary: expected a list, got an object"),
    ("twice", change("kubernetes.json", "canary", to=[pod(CANARY)] * 2), f"pod '{CANARY}' is described twice"),
    ("count a word", change(*CONTAINER, "restartCount", to="3"), "restartCount: expected a whole number, got text"),
    ("count huge", change(*CONTAINER, "restartCount", to=10**30), "restartCount: should be less than or equal to"),
    ("count negative", change(*CONTAINER, "restartCount", to=-1), "restartCount: should be greater than or equal to"),
    ("count a fraction", change(*CONTAINER, "restartCount", to=1.5), "expected a whole number, got a number"),
    ("ready a word", change(*CONTAINER, "ready", to="True"), "containers[0].ready: expected true or false, got text"),
    ("bad date", change(*CONTAINER, "state", "started", to="Foo, 99 Bar"), "state.started: expected a time, as 2026"),
    ("bad zone", change(*CONTAINER, "state", "started", to="Foo, 99 Bar 2025 10:00"), "state.started: expected a time, as"),
    ("time a number", change(*CONTAINER, "state", "started", to=1769853600), "state.started: expected a time, as"),
    ("diff an object", change("diff.json", to={}), "diff.json: the document: expected a list, got an object"),
    ("diff a number", change("diff.json", 0, "canary", to=2), "diff.json: [0].canary: expected text, got a number"),
    ("diff without path", change("diff.json", 0, "path", to=""), "diff.json: [0].path: String should have at least 1"),
]  # fmt: skip


@pytest.mark.parametrize(("edit", "said"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN])
def test_a_wrong_shape_is_told_by_file_and_key(tmp_path, edit, said):
    parts = documents()
    edit(parts)
    with pytest.raises(BundleError) as error:
        read_bundle(build(tmp_path / "b", parts))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


BYTES = {
    "empty": (b"", "not valid JSON"),
    "cut": (b'{"input": {', "not valid JSON"),
    "no UTF-8": (b'{"input": {"service": "\xff"}}', "not valid JSON"),
    "NUL": (b"\0\0\0", "not valid JSON"),
    "deep": (b"[" * 200_000, "not valid JSON"),
    "deep objects": (b'{"a":' * 200_000, "not valid JSON"),
    "surrogate": (b'{"input": {"service": "\\ud800"}}', "not valid JSON"),
    "huge number": (b'{"input": {"service": 1' + b"0" * 5000 + b"}}", "not valid JSON"),
    "too large": (b" " * (DEFAULT_LIMITS.document_bytes + 1), "larger than 16 MiB"),
}


@pytest.mark.parametrize("name", ["case.json", "metrics.json", "kubernetes.json", "diff.json", "evidence.json"])
@pytest.mark.parametrize("kind", BYTES)
def test_bytes_that_are_no_document_are_told_by_file(tmp_path, name, kind):
    content, said = BYTES[kind]
    parts = documents() | {name: content}
    with pytest.raises(BundleError) as error:
        read_bundle(build(tmp_path / "b", parts, logs={} if name == "evidence.json" else None))
    assert str(error.value).startswith(f"{name}: ")
    assert said in str(error.value)


def test_an_error_never_quotes_what_it_found(tmp_path):
    parts = documents()
    parts["kubernetes.json"]["canary"][0]["phase"] = ["hunter2"]
    with pytest.raises(BundleError) as error:
        read_bundle(build(tmp_path / "b", parts))
    assert "hunter2" not in str(error.value)
    assert error.value.__cause__ is None


def test_a_byte_order_mark_is_no_mistake(tmp_path):
    parts = documents()
    parts["case.json"] = b"\xef\xbb\xbf" + json.dumps(parts["case.json"]).encode()
    assert read_bundle(build(tmp_path / "b", parts)).rollout.name == "shop-api"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-08-12T05:45:20+02:00", datetime(2025, 8, 12, 3, 45, 20, tzinfo=UTC)),
        ("2025-08-12T03:45:20.5Z", datetime(2025, 8, 12, 3, 45, 20, 500000, tzinfo=UTC)),
        ("Tue, 12 Aug 2025 05:45:20 +0200", datetime(2025, 8, 12, 3, 45, 20, tzinfo=UTC)),
        ("Tue, 12 Aug 2025 03:45:20 -0000", datetime(2025, 8, 12, 3, 45, 20, tzinfo=UTC)),
    ],
)
def test_both_ways_to_write_a_time_are_read(tmp_path, text, expected):
    parts = documents()
    parts["kubernetes.json"]["canary"][0]["startTime"] = text
    assert read_bundle(build(tmp_path / "b", parts)).kubernetes.pods.canary[0].start_time == expected


def test_a_sparse_description_of_a_pod_is_enough(tmp_path):
    parts = documents()
    parts["kubernetes.json"] = {"canary": [{"name": CANARY, "containers": [{"name": "api", "state": None}]}]}
    (state,) = read_bundle(build(tmp_path / "b", parts)).kubernetes.pods.canary
    assert (state.phase, state.start_time, state.events) == ("", None, ())
    (container,) = state.containers
    assert (container.ready, container.restart_count, container.state.status) == (None, None, "")


def test_long_messages_are_clipped(tmp_path):
    parts = documents()
    parts["kubernetes.json"]["canary"][0]["events"][0]["message"] = "x" * 100_000
    (event,) = read_bundle(build(tmp_path / "b", parts)).kubernetes.pods.canary[0].events
    assert len(event.message) == 4096
    assert event.message.endswith("…")


def test_a_quantity_may_be_a_number(tmp_path):
    parts = documents()
    parts["kubernetes.json"]["canary"][0]["containers"][0]["limits"] = {"cpu": 2, "memory": "1Gi"}
    (container,) = read_bundle(build(tmp_path / "b", parts)).kubernetes.pods.canary[0].containers
    assert container.limits == (("cpu", "2"), ("memory", "1Gi"))


def test_init_containers_are_told_apart(tmp_path):
    parts = documents()
    parts["kubernetes.json"]["canary"][0]["initContainers"] = [{"name": "migrate"}]
    containers = read_bundle(build(tmp_path / "b", parts)).kubernetes.pods.canary[0].containers
    assert [(one.name, one.init) for one in containers] == [("migrate", True), ("api", False)]


def test_the_order_of_pods_and_files_does_not_matter(tmp_path):
    parts = documents()
    parts["case.json"]["input"]["stable_pods"] = [STABLE, "shop-aaaa-2"]
    parts["kubernetes.json"]["stable"] += [pod("shop-aaaa-2")]
    logs = {("stable", STABLE): LOG, ("stable", "shop-aaaa-2"): LOG, ("canary", CANARY): LOG}
    first = canonical(read_bundle(build(tmp_path / "a", parts, logs)))
    parts["case.json"]["input"]["stable_pods"].reverse()
    parts["kubernetes.json"]["stable"].reverse()
    parts["metrics.json"]["canary"]["result"][0]["values"].reverse()
    again = build(tmp_path / "b", dict(reversed(parts.items())), dict(reversed(logs.items())))
    assert canonical(read_bundle(again)) == first


def test_two_logs_of_one_container_are_refused(tmp_path):
    folder = build(tmp_path / "b")
    (folder / f"logs/canary/{CANARY}/api.log").write_bytes(LOG)
    with pytest.raises(BundleError, match="the log of this container is there twice"):
        read_bundle(folder)


def test_log_files_beyond_the_limit_are_told_not_read(tmp_path):
    folder = build(tmp_path / "b")
    evidence = read_bundle(folder, replace(DEFAULT_LIMITS, log_files=1))
    assert ("logs", "1 of the log files", None) in gaps(evidence)
    assert sum(log.lines for log in (*evidence.logs.pods.stable, *evidence.logs.pods.canary)) == 30


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"logs_bytes": MIB}, "its logs unpack to more than 1 MiB together"),
        ({"logs_s": 0.0}, "its logs take longer than 0 s to read"),
    ],
)
def test_logs_are_bounded_together(tmp_path, limits, said):
    """Each of them may be small: what is too much is refused as a whole, since a part of it tells who knows what."""
    half = LOG * (MIB // len(LOG) * 2 // 3)
    folder = build(tmp_path, logs={("stable", STABLE): half, ("canary", CANARY): half})
    assert read_bundle(folder).logs is not None
    with pytest.raises(BundleError, match=f"^{said}; leave out"):
        read_bundle(folder, replace(DEFAULT_LIMITS, **limits))


def test_a_broken_log_is_partial_and_a_gap(tmp_path):
    folder = build(tmp_path / "b")
    path = folder / f"logs/canary/{CANARY}/api.log.gz"
    path.write_bytes(path.read_bytes()[:-12])
    evidence = read_bundle(folder)
    ((source, what, side),) = gaps(evidence)
    assert (source, side) == ("logs", Side.CANARY)
    assert what == f"rest of the log of canary pod {CANARY}, container api"
    assert "broken after" in evidence.logs.pods.canary[0].partial


def test_a_log_that_is_no_gzip_is_told_without_pythons_words(tmp_path):
    folder = build(tmp_path / "b")
    (folder / f"logs/canary/{CANARY}/api.log.gz").write_bytes(b"garbage")
    (gap,) = read_bundle(folder).gaps
    assert gap.reason == "broken after 0 bytes (not a gzip file)"
    assert gap.hint == "pack this file again, or record it anew"


NASTY = {
    "empty": b"",
    "NULs": b"\0" * 1000,
    "no UTF-8": b"2026-01-31T10:00:01Z \xff\xfe\x80 broken\n" * 3,
    "no newline": b"2026-01-31T10:00:01Z last words",
    "carriage returns": b"2026-01-31T10:00:01Z 10%\r20%\r30%\r\n" * 4,
    "huge line": b"2026-01-31T10:00:01Z " + b"x" * 3_000_000,
    "escapes": b"2026-01-31T10:00:01Z \x1b[31mred\x1b[0m \x1b]0;title\x07\n",
    "bidi": "2026-01-31T10:00:01Z \u202eevil\u2066\u200b\n".encode(),
}


@pytest.mark.parametrize("kind", NASTY)
def test_nasty_logs_are_read_like_any_other(tmp_path, kind):
    logs = {("stable", STABLE): LOG, ("canary", CANARY): NASTY[kind]}
    evidence = read_bundle(build(tmp_path / "b", logs=logs))
    assert evidence.gaps == ()
    assert canonical(evidence)


def test_a_name_that_is_no_text_is_made_readable(tmp_path):
    folder = build(tmp_path / "b")
    place = folder / "logs/canary" / b"pod-\xff".decode("utf-8", "surrogateescape")
    place.mkdir()
    (place / "api.log").write_bytes(LOG)
    evidence = read_bundle(folder)
    assert "pod-\ufffd" in evidence.pods.canary
    assert canonical(evidence)


def test_a_plain_log_reads_as_a_packed_one(tmp_path):
    packed = read_bundle(build(tmp_path / "a"))
    folder = build(tmp_path / "b")
    for path in folder.glob("logs/*/*/*.gz"):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    assert read_bundle(folder) == packed


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("2026-01-31T10:00:00Z"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def places(tree, path=()):
    """Yield the path of every value in a JSON tree."""
    yield path
    steps = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for step, inner in steps:
        yield from places(inner, (*path, step))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([path for path in places(documents()) if path]), json_values)
def test_any_value_anywhere_gives_evidence_or_a_bundle_error(tmp_path, path, value):
    parts = documents()
    change(*path, to=value)(parts)
    try:
        evidence = read_bundle(build(tmp_path / "b", parts))
    except BundleError:
        return
    assert canonical(evidence)
    assert all(gap.source in SourceKind for gap in evidence.gaps)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(documents())), st.binary(max_size=200))
def test_any_bytes_give_evidence_or_a_bundle_error(tmp_path, name, content):
    try:
        read_bundle(build(tmp_path / "b", documents() | {name: content}))
    except BundleError as error:
        assert name in str(error)  # noqa: PT017 -- both outcomes are fine, the error has to name the file


@pytest.mark.parametrize(
    "state",
    [
        {"status": "Waiting", "reason": "CrashLoopBackOff"},
        {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s"}},
    ],
)
def test_a_container_state_may_have_the_shape_of_the_api_server(tmp_path, state):
    """A crash loop copied from ``kubectl get pod -o json`` is the same crash loop."""
    pod = {
        "name": "c-1",
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "False"}],
        "containers": [{"name": "app", "state": state, "lastState": {"terminated": {"exitCode": 1}}}],
    }
    tmp_path.joinpath("kubernetes.json").write_text(json.dumps({"stable": [], "canary": [pod]}))
    (read,) = read_bundle(tmp_path).kubernetes.pods.canary
    assert dict(read.conditions) == {"Ready": "False"}
    assert (read.containers[0].state.status, read.containers[0].state.reason) == ("waiting", "CrashLoopBackOff")
    assert (read.containers[0].last_state.status, read.containers[0].last_state.exit_code) == ("terminated", 1)


def test_a_container_state_that_says_nothing_known_is_refused(tmp_path):
    pod = {"name": "c-1", "containers": [{"name": "app", "state": {"Waiting": "yes"}}]}
    tmp_path.joinpath("kubernetes.json").write_text(json.dumps({"canary": [pod]}))
    with pytest.raises(BundleError, match=r"kubernetes.json: canary\[0\].containers\[0\].state: expected"):
        read_bundle(tmp_path)
