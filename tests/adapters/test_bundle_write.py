"""Writing bundles: what is written reads back exactly, and the same record makes the same bytes."""

import gzip
import hashlib
import json
import os
import stat
import tarfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rollout_verdict.adapters.bundle import BundleError, read_bundle, read_verdict, write_bundle
from rollout_verdict.core.canonical import canonical, digest
from rollout_verdict.core.comparison import Comparison
from rollout_verdict.core.evidence import (
    ContainerState,
    ContainerStatus,
    Direction,
    Evidence,
    KubernetesEvidence,
    Level,
    LogEvidence,
    LogKind,
    LogPattern,
    LogSample,
    MetricEvidence,
    MetricMeta,
    MetricSeries,
    PodEvent,
    PodLog,
    PodState,
    TemplateChange,
    TemplateDiff,
)
from rollout_verdict.core.metrics.series import LARGEST, LATEST
from rollout_verdict.core.result import Result
from rollout_verdict.core.values import (
    DecidedBy,
    Decision,
    Digests,
    Explanation,
    Gap,
    Pair,
    RolloutRef,
    Side,
    SourceKind,
    Usage,
    Verdict,
    Window,
)
from tests.adapters.bundles import build

text = st.text(st.characters(codec="utf-8"), max_size=12)
small = st.integers(0, 2**40)
times = st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
floats = st.floats(-LARGEST, LARGEST)
moments = st.floats(-LATEST, LATEST)


def optional(strategy):
    return st.none() | strategy


def tuples(strategy, size=3):
    return st.lists(strategy, max_size=size).map(tuple)


def pairs(strategy):
    return st.builds(Pair, stable=strategy, canary=strategy)


windows = st.builds(
    lambda start, length: Window(start=start, end=start + length), times, st.timedeltas(timedelta(1), timedelta(9))
)
statuses = st.builds(
    ContainerStatus,
    status=text, reason=text, message=text,
    exit_code=optional(st.integers(-256, 256)), started=optional(times), finished=optional(times),
)  # fmt: skip
containers = st.builds(
    ContainerState,
    name=text, image=text, ready=optional(st.booleans()), restart_count=optional(small),
    state=statuses, last_state=statuses, limits=tuples(st.tuples(text, text)), requests=tuples(st.tuples(text, text)),
    init=st.booleans(),
)  # fmt: skip
pod_states = st.builds(
    PodState,
    name=text, phase=text, start_time=optional(times), containers=tuples(containers, 2),
    conditions=tuples(st.tuples(text, text)), node=text,
    events=tuples(st.builds(PodEvent, type=text, reason=text, message=text, count=small, source=text, age=text), 2),
)  # fmt: skip
series = st.builds(
    MetricSeries,
    name=text, labels=tuples(st.tuples(text, text)), pod=text, dropped=small,
    samples=st.dictionaries(moments, floats, max_size=5).map(lambda samples: tuple(sorted(samples.items()))),
)  # fmt: skip


@st.composite
def metric_evidence(draw):
    sides = draw(pairs(tuples(series)))
    names = sorted({one.name for one in (*sides.stable, *sides.canary)} | draw(st.sets(text, max_size=1)))
    meta = tuple(
        MetricMeta(
            name=name,
            unit=draw(text),
            direction=draw(st.sampled_from(Direction)),
            help=draw(text),
            acquits=draw(st.booleans()),
        )
        for name in names
    )
    return MetricEvidence(series=sides, meta=meta, window=draw(optional(windows)))


pod_logs = st.builds(
    PodLog,
    pod=text, containers=tuples(text), size_bytes=small, lines=small, events=small, cut_lines=small,
    first=optional(times), last=optional(times), partial=text,
)  # fmt: skip


@st.composite
def log_evidence(draw):
    pods = draw(pairs(st.lists(pod_logs, max_size=3, unique_by=lambda pod: pod.pod).map(tuple)))
    edges = tuple(sorted(draw(st.sets(times, max_size=4))))
    width = max(len(edges) - 1, 0)

    def row(side):
        return tuple(draw(st.lists(small, min_size=len(pods.of(side)), max_size=len(pods.of(side)))))

    def rows(side):
        return tuple(tuple(draw(st.lists(small, min_size=width, max_size=width))) for _ in pods.of(side))

    patterns = tuple(
        LogPattern(
            template=draw(text),
            level=draw(st.sampled_from(Level)),
            kind=draw(st.sampled_from(LogKind)),
            status=draw(text),
            logger=draw(text),
            counts=Pair(stable=row(Side.STABLE), canary=row(Side.CANARY)),
            buckets=Pair(stable=rows(Side.STABLE), canary=rows(Side.CANARY)),
            samples=draw(
                pairs(tuples(st.builds(LogSample, pod=text, container=text, time=optional(times), text=text), 1))
            ),
        )
        for _ in range(draw(st.integers(0, 2)))
    )
    counted = Pair(
        **{
            side.value: tuple(
                replace(pod, events=sum(pattern.counts.of(side)[index] for pattern in patterns))
                for index, pod in enumerate(pods.of(side))
            )
            for side in Side
        }
    )
    return LogEvidence(pods=counted, patterns=patterns, bucket_edges=edges, coarse_events=draw(small))


gap_values = st.builds(
    Gap, source=st.sampled_from(SourceKind), what=text, reason=text, hint=text, side=optional(st.sampled_from(Side))
)
evidences = st.builds(
    Evidence,
    rollout=st.builds(RolloutRef, namespace=text, name=text, stable_hash=text, canary_hash=text),
    window=optional(windows),
    pods=pairs(tuples(text)).filter(lambda pods: not set(pods.stable) & set(pods.canary)),
    logs=optional(log_evidence()),
    metrics=optional(metric_evidence()),
    kubernetes=optional(st.builds(KubernetesEvidence, pods=pairs(tuples(pod_states, 2)))),
    diff=optional(
        st.builds(TemplateDiff, changes=tuples(st.builds(TemplateChange, path=text, stable=text, canary=text)))
    ),
    gaps=tuples(gap_values),
)
fixture = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@fixture
@given(evidences, st.sampled_from(["folder", "bundle.tar.gz", "bundle.tgz"]))
def test_what_is_written_reads_back_exactly(tmp_path, evidence, name):
    path = tmp_path / name
    write_bundle(path, evidence)
    again = read_bundle(path)
    assert again == evidence
    assert canonical(again) == canonical(evidence)


def result(evidence, **changes):
    verdict = Verdict(
        decision=Decision.ROLLBACK,
        score=12,
        confidence=90,
        decided_by=DecidedBy.RULES,
        row=1,
        reason="crash loop",
        opinions=(),
        gaps=evidence.gaps,
        digests=Digests(evidence=digest(evidence), policy="p"),
    )
    values = {
        "evidence": evidence,
        "comparison": Comparison(logs=None, metrics=None, pods=None),
        "verdict": verdict,
        "explanation": Explanation(headline="h", body="b", root_cause="r", next_steps=(), citations=()),
        "usage": Usage(),
        "redactions": (),
        "prompt": "the prompt",
        "reply": '{"decision": "rollback"}',
    }
    return Result(**(values | changes))


@pytest.mark.parametrize("name", ["folder", "bundle.tar.gz"])
def test_a_result_leaves_its_evidence_verdict_and_exchange(tmp_path, name):
    evidence = read_bundle(build(tmp_path / "raw"))
    record = result(evidence)
    write_bundle(tmp_path / name, record)
    assert read_bundle(tmp_path / name) == evidence
    assert read_verdict(tmp_path / name) == record.verdict
    assert read_verdict(tmp_path / "raw") is None


def test_the_files_of_a_written_bundle(tmp_path):
    evidence = read_bundle(build(tmp_path / "raw"))
    write_bundle(tmp_path / "b", result(evidence))
    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == [
        "evidence.json", "prompt.txt", "reply.json", "result.json",
    ]  # fmt: skip
    assert (tmp_path / "b/prompt.txt").read_text() == "the prompt"
    assert hashlib.sha256((tmp_path / "b/evidence.json").read_bytes()).hexdigest() == digest(evidence)
    assert sorted(json.loads((tmp_path / "b/result.json").read_bytes())) == [
        "comparison", "explanation", "redactions", "usage", "verdict", "warnings",
    ]  # fmt: skip


def test_the_same_record_makes_the_same_bytes(tmp_path):
    record = result(read_bundle(build(tmp_path / "raw")))
    write_bundle(tmp_path / "a.tar.gz", record)
    write_bundle(tmp_path / "b.tar.gz", record)
    first = (tmp_path / "a.tar.gz").read_bytes()
    assert first == (tmp_path / "b.tar.gz").read_bytes()
    assert first[4:8] == bytes(4)
    with tarfile.open(tmp_path / "a.tar.gz") as tar:
        members = tar.getmembers()
    assert [member.name for member in members] == sorted(member.name for member in members)
    assert {(member.mtime, member.uid, member.uname) for member in members} == {(0, 0, "")}


def test_judging_again_leaves_nothing_of_the_judgement_before(tmp_path):
    folder = build(tmp_path / "b")
    evidence = read_bundle(folder)
    write_bundle(folder, result(evidence))
    write_bundle(folder, result(evidence, prompt="", reply=""))
    assert not (folder / "prompt.txt").exists()
    assert not (folder / "reply.json").exists()
    assert (folder / "case.json").exists()
    assert read_bundle(folder) == evidence


def test_a_place_that_cannot_be_written_is_a_bundle_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BundleError, match=r"cannot be written .*; choose another place"):
        write_bundle(tmp_path / "file/bundle", read_bundle(build(tmp_path / "raw")))


def test_nothing_half_written_is_left(tmp_path):
    if os.geteuid() == 0:
        (tmp_path / "b/evidence.json").mkdir(parents=True)  # root may write anywhere, but not over a folder
        (tmp_path / "b/evidence.json/x").touch()
    else:
        (tmp_path / "b").mkdir()
        (tmp_path / "b").chmod(stat.S_IRUSR | stat.S_IXUSR)
    before = sorted((tmp_path / "b").iterdir())
    with pytest.raises(BundleError):
        write_bundle(tmp_path / "b", read_bundle(build(tmp_path / "raw")))
    assert sorted((tmp_path / "b").iterdir()) == before


def test_raw_logs_count_more_than_recorded_evidence(tmp_path):
    folder = build(tmp_path / "b")
    evidence = read_bundle(folder)
    write_bundle(folder, evidence)
    (folder / "diff.json").unlink()
    assert read_bundle(folder).diff is None
    for path in folder.glob("logs/*/*/*"):
        path.unlink()
    assert read_bundle(folder) == evidence


def edited(folder, change):
    """Write evidence, change its JSON and return what reading it says."""
    write_bundle(folder, read_bundle(build(folder.with_name("raw"))))
    tree = json.loads((folder / "evidence.json").read_bytes())
    change(tree)
    (folder / "evidence.json").write_text(json.dumps(tree))
    with pytest.raises(BundleError) as error:
        read_bundle(folder)
    return str(error.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda tree: tree["rollout"].update(name=1), "evidence.json: rollout.name: expected text, got a number"),
        (lambda tree: tree.pop("pods"), "evidence.json: pods: expected this key, it is missing"),
        (lambda tree: tree["window"].update(end="2020-01-01T00:00:00Z"), "must come after its start"),
        (lambda tree: tree["logs"]["patterns"][0]["counts"].update(canary=[1, 2]), "logs.patterns[0]: expected one count"),
        (lambda tree: tree["logs"]["patterns"][0]["buckets"].update(canary=[[1]]), "logs.patterns[0].buckets: expected"),
        (lambda tree: tree["logs"]["patterns"][0]["counts"].update(canary=[-1]), "logs.patterns[0]: expected one count"),
        (lambda tree: tree["logs"]["patterns"][0]["counts"].update(canary=[2**60]), "logs.patterns[0]: expected one count"),
        (lambda tree: tree["logs"]["bucket_edges"].reverse(), "logs.bucket_edges: expected times in rising order"),
        (
            lambda tree: tree["metrics"]["series"]["canary"][0]["samples"].reverse(),
            "metrics.series.canary[0].samples: expected times in rising order",
        ),
        (
            lambda tree: tree["metrics"]["series"]["canary"][0]["samples"].append(
                tree["metrics"]["series"]["canary"][0]["samples"][-1]
            ),
            "metrics.series.canary[0].samples: expected times in rising order",
        ),
        (
            lambda tree: tree["metrics"]["series"]["stable"][0]["samples"].append([1e11, 1e308]),
            "metrics.series.stable[0].samples: expected times up to 1e+12 and values up to 1e+100",
        ),
        (
            lambda tree: tree["metrics"]["series"]["stable"][0]["samples"].append([1e13, 1.0]),
            "metrics.series.stable[0].samples: expected times up to 1e+12",
        ),
        (
            lambda tree: tree["metrics"]["meta"].clear(),
            "metrics.series.stable[0].name: expected a name that metrics.meta describes",
        ),
        (lambda tree: tree["pods"].update(stable=tree["pods"]["canary"]), "'shop-bbbb-1' stands on both"),
        (lambda tree: tree["logs"]["pods"]["stable"][0].update(events=29), "logs.pods.stable[0].events: expected 30"),
        (lambda tree: tree["logs"]["patterns"].clear(), "logs.pods.stable[0].events: expected 0"),
        (
            lambda tree: tree["logs"]["pods"]["stable"].append(tree["logs"]["pods"]["stable"][0]),
            "logs.pods.stable: expected each pod once",
        ),
        (
            lambda tree: tree["logs"]["patterns"].append(
                {**tree["logs"]["patterns"][0], "template": "z", "buckets": {"stable": [], "canary": []}}
            ),
            "row for each of the 1 stable pods in all patterns or in none",
        ),
        (
            lambda tree: tree["metrics"]["series"]["canary"][0]["samples"].append([1.0, float("nan")]),
            "evidence.json: metrics.series.canary[0].samples[5][1] must be a finite number, got nan",
        ),
    ],
)  # fmt: skip
def test_recorded_evidence_is_checked_like_any_foreign_input(tmp_path, change, said):
    assert said in edited(tmp_path / "b", change)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"verdict": {}}', b'{"verdict": 7}', gzip.compress(b"{}")])
def test_a_result_that_is_none_is_a_bundle_error(tmp_path, content):
    folder = build(tmp_path / "b")
    (folder / "result.json").write_bytes(content)
    with pytest.raises(BundleError, match=r"^result\.json: "):
        read_verdict(folder)
