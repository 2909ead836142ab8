"""The contract of log reduction: whatever does the hot pass must keep these, with the same keys, counts and samples."""

import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollout_verdict.core.evidence import Level, LogEvidence, LogKind
from rollout_verdict.core.reduction import lines
from rollout_verdict.core.reduction.reduce import LogReducer, ReducePolicy, reduce_logs
from rollout_verdict.core.values import Pair, Side, Window
from tests.core.reduction.scanners import scanner

File = tuple[Side, str, str, Iterable[bytes]]
Factory = Callable[..., LogReducer]


@pytest.fixture(params=["python", "compiled"])
def factory(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Factory:
    """Every implementation of the hot pass: each must pass every test here."""
    monkeypatch.setattr(lines, "_scanner", scanner(request.param))
    return LogReducer


def reduced(factory: Factory, *files: File, policy=None, window=None, timestamps=None) -> LogEvidence:
    reducer = factory(policy, window, timestamps=timestamps)
    for side, pod, container, chunks in files:
        stream = reducer.stream(side, pod, container)
        for chunk in chunks:
            stream.feed(chunk)
    return reducer.finish()


def canary(factory: Factory, *chunks: bytes, **options) -> LogEvidence:
    return reduced(factory, (Side.CANARY, "c1", "app", chunks), **options)


def told(evidence: LogEvidence) -> list[tuple]:
    return [(p.template, p.level.name, p.status, sum(p.counts.stable + p.counts.canary)) for p in evidence.patterns]


def cut(data: bytes, rng: random.Random) -> list[bytes]:
    chunks, start = [], 0
    while start < len(data):
        step = rng.choice((1, 2, 7, 60, 1000))
        chunks.append(data[start : start + step])
        start += step
    return chunks


MIXED = (
    b"2026-11-23 10:00:01,123 INFO [main] shop.Cart: order 12 shipped\n"
    b"2026-11-23 10:00:02,456 ERROR [main] shop.Cart: order 13 failed\n"
    b"java.lang.IllegalStateException: no stock for 77\n"
    b"\tat shop.Stock.take(Stock.java:41)\n"
    b"\tat org.springframework.web.Dispatcher.go(Dispatcher.java:9)\n"
    b"Caused by: java.io.IOException: broken pipe\n"
    b"\t... 12 more\n"
    b"\n"
    b'{"level":50,"time":1700000000000,"msg":"payment refused","code":402,"id":"4be1a9a2-1c1c-4d1e-9b1e-0123456789ab"}\n'
    b'10.0.0.9 - - [23/Nov/2026:10:00:03 +0000] "GET /api/items/42?page=3 HTTP/1.1" 503 17 "-" "curl/8.1"\n'
    b"Traceback (most recent call last):\n"
    b'  File "/app/worker.py", line 54, in run\n'
    b"ValueError: bad 7\n"
    b"panic: runtime error: index out of range [5]\n"
    b"\n"
    b"goroutine 17 [running]:\n"
    b"main.take(0xc0000)\n"
    b"\t/app/main.go:12 +0x1d\n"
    b"2026-11-23 10:00:04,000 WARN [main] shop.Cart: retry trace=deadbeefcafe0123 of \xff\xfe\x00 \r\n"
    b"\x1b[31mERROR\x1b[0m exit code 137"
)


class TestCounts:
    def test_by_wording_pod_and_side(self, factory):
        """Lines that differ in their digits alone are one pattern, counted for each pod."""
        evidence = reduced(
            factory,
            (Side.CANARY, "c1", "app", [b"INFO order 12 shipped\nERROR order 13 failed\n"]),
            (Side.STABLE, "s2", "app", [b"INFO order 1 shipped\n"]),
            (Side.STABLE, "s1", "app", [b"INFO order 1 shipped\nINFO order 2 shipped\n"]),
        )
        assert [(p.template, p.level, p.counts) for p in evidence.patterns] == [
            ("order <*> failed", Level.ERROR, Pair(stable=(0, 0), canary=(1,))),
            ("order <*> shipped", Level.INFO, Pair(stable=(2, 1), canary=(1,))),
        ]
        assert [pod.pod for pod in evidence.pods.stable] == ["s1", "s2"]

    def test_containers_and_files_of_a_pod_add_up(self, factory):
        """A pod's containers, and the log before a restart, are counted together."""
        evidence = reduced(
            factory,
            (Side.CANARY, "c1", "app", [b"INFO up 1\n"]),
            (Side.CANARY, "c1", "proxy", [b"INFO up 2\n"]),
            (Side.CANARY, "c1", "app", [b"INFO up 3\n"]),
        )
        assert told(evidence) == [("up <*>", "INFO", "", 3)]
        assert evidence.pods.canary[0].containers == ("app", "proxy")
        assert evidence.pods.canary[0].lines == 3

    def test_the_mixed_log(self, factory):
        """Formats, folded traces, kept codes and levels, all in one log."""
        evidence = canary(factory, MIXED)
        assert told(evidence) == [
            ("GET /api/items/<*>?<*>", "UNKNOWN", "5xx", 1),
            ("ValueError at worker.py:run", "ERROR", "", 1),
            ("exit code <*>", "ERROR", "exit:137", 1),
            (
                "order <*> failed: java.lang.IllegalStateException at shop.Stock.take; caused by java.io.IOException",
                "ERROR", "", 1,
            ),
            ("order <*> shipped", "INFO", "", 1),
            ("panic: runtime error: index out of range [<*>] at main.take", "FATAL", "", 1),
            ("payment refused code=<*> id=<*>", "ERROR", "4xx", 1),
            ("retry trace=<*> of ��", "WARN", "", 1),
        ]  # fmt: skip
        pod = evidence.pods.canary[0]
        assert (pod.lines, pod.events, pod.size_bytes) == (MIXED.count(b"\n") + 1, 8, len(MIXED))

    def test_samples_are_raw_events(self, factory):
        """A sample is the event as it was printed, all lines of it."""
        [pattern] = [p for p in canary(factory, MIXED).patterns if p.template.startswith("ValueError")]
        [sample] = pattern.samples.canary
        assert (
            sample.text
            == 'Traceback (most recent call last):\n  File "/app/worker.py", line 54, in run\nValueError: bad 7'
        )
        assert (sample.pod, sample.container, sample.time) == ("c1", "app", None)
        assert pattern.kind is LogKind.TRACE

    def test_three_samples_where_it_matters(self, factory):
        """Up to three samples at WARN or above, one below; always the first ones, at most of the size allowed."""
        lines = b"".join(b"WARN slow %d\nINFO fine %d\n" % (n, n) for n in range(12))
        evidence = canary(factory, lines, policy=ReducePolicy(max_sample=7))
        texts = {p.template: [s.text for s in p.samples.canary] for p in evidence.patterns}
        assert texts == {"slow <*>": ["WARN sl"] * 3, "fine <*>": ["INFO fi"]}
        evidence = canary(factory, lines)
        assert [s.text for p in evidence.patterns for s in p.samples.canary] == [
            "INFO fine 0", "WARN slow 0", "WARN slow 1", "WARN slow 2",
        ]  # fmt: skip

    def test_blank_lines_are_no_events(self, factory):
        """Wherever they stand: first, after records, or between lines that are events of their own."""
        records = canary(factory, b'\n{"level":"info","msg":"stored %d"}\n\n' % 1 * 20)
        assert told(records) == [("stored <*>", "INFO", "", 20)]
        lines = canary(factory, b"\nINFO a one\n\nINFO b two\n\n\nINFO c three\n")
        assert [name for name, *_ in told(lines)] == ["a one", "b two", "c three"]
        assert (records.pods.canary[0].events, lines.pods.canary[0].events) == (20, 3)


class TestOrderAndChunks:
    @pytest.mark.parametrize("policy", [None, ReducePolicy(block=64), ReducePolicy(cache=0), ReducePolicy(cache=3000)])
    def test_any_chunks_any_order(self, factory, policy):
        """Neither chunks nor the order of files nor what is remembered changes a byte of the result."""
        files = [
            (side, pod, container, MIXED * 3 + b"\nINFO only in %s\n" % pod.encode())
            for side, pod in ((Side.STABLE, "s1"), (Side.STABLE, "s2"), (Side.CANARY, "c1"))
            for container in ("app", "proxy")
        ]
        wanted = reduced(factory, *((side, pod, name, [data]) for side, pod, name, data in files))
        for seed in range(3):
            rng = random.Random(seed)
            mixed = [(side, pod, name, cut(data, rng)) for side, pod, name, data in files]
            rng.shuffle(mixed)
            assert reduced(factory, *mixed, policy=policy) == wanted

    def test_many_blocks(self, factory):
        """The first lines decide on the form of the stream, wherever the cuts are; events go on over blocks."""
        policy = ReducePolicy(block=64, probe_lines=3)
        data = (
            MIXED * 2 + b"\n" + b"".join(b"WARN disk %d of 12345678 full status=%d\n" % (n, 200 + n) for n in range(60))
        )
        wanted = canary(factory, data, policy=policy)
        for seed in range(3):
            assert canary(factory, *cut(data, random.Random(seed)), policy=policy) == wanted
        wide = canary(factory, b"INFO a\n" * 9 + b"b\n" * 9, policy=ReducePolicy(probe=20, block=16))
        assert told(wide) == [("a", "INFO", "", 9)]

    @given(data=st.binary(max_size=400), sizes=st.lists(st.integers(1, 50), min_size=1, max_size=20))
    @settings(max_examples=150, deadline=None)
    def test_any_bytes_any_split(self, data, sizes):
        """No bytes raise, and no split of them makes a difference."""
        chunks, start, turn = [], 0, 0
        while start < len(data):
            chunks.append(data[start : start + sizes[turn % len(sizes)]])
            start += sizes[turn % len(sizes)]
            turn += 1
        assert canary(LogReducer, *chunks, policy=ReducePolicy(block=32)) == canary(LogReducer, data)

    @given(
        st.lists(
            st.sampled_from(
                (
                    *(b"INFO a 1", b"\tat a.B.c(D.java:1)", b"Caused by: x.Y", b"Traceback (most recent call last):"),
                    *(b'  File "/a.py", line 1, in f', b"KeyError: 7", b"", b"plain text 12", b'{"msg":"m","n":1}'),
                    *(b"panic: x", b"goroutine 1 [running]:", b"main.f(0x1)", b"2026-01-01 00:00:00 WARN x 1"),
                    *(b"an error 5", b"exit code 3", b"java.lang.Error: x", b"id 0123456789abcdef", b"status=200 x"),
                    *(b"ERROR order 1 failed", b"During handling of the above exception, another exception occurred:"),
                )
            ),
            min_size=1,
            max_size=40,
        ),
        st.integers(0, 9),
    )
    @settings(max_examples=150, deadline=None)
    def test_any_sequence_of_lines(self, lines, seed):
        """Whatever follows whatever, chunks and digits of identifiers make no difference, and no event is lost."""
        data = b"\n".join(lines) + b"\n"
        whole = canary(LogReducer, data)
        assert canary(LogReducer, *cut(data, random.Random(seed)), policy=ReducePolicy(block=16)) == whole
        assert sum(sum(p.counts.canary) for p in whole.patterns) == whole.pods.canary[0].events
        assert whole.pods.canary[0].lines == len(lines)


class TestHostileInput:
    @pytest.mark.parametrize(
        "data",
        [b"", b"\n", b"\n\n \n", b"\x00", b"\xff\xfe\n", b"\r\n\r\n", b"a\rb\rc", b"{", b"\x1b", b"[" * 9000, b'{"a":' * 9000,
         b'{"msg":' + b"[" * 5000 + b"]" * 5000 + b"}"],
    )  # fmt: skip
    def test_odd_bytes_pass(self, factory, data):
        """NULs, broken UTF-8, lone CRs, deep nesting and empty logs are read like anything else."""
        assert canary(factory, data).pods.canary[0].size_bytes == len(data)

    def test_carriage_returns_are_blanks(self, factory):
        """A CRLF line has the wording of an LF line."""
        assert told(canary(factory, b"INFO a\r\nINFO a\n")) == [("a", "INFO", "", 2)]

    def test_a_huge_line_is_cut_and_counted(self, factory):
        """The head of a long line is kept, the rest is dropped while it streams by."""
        evidence = canary(factory, b"INFO start ", *([b"x" * 1_000_000] * 5), b"\nINFO next\n")
        pod = evidence.pods.canary[0]
        assert (pod.lines, pod.cut_lines, pod.size_bytes) == (2, 1, 5_000_022)
        assert sum(len(p.template) for p in evidence.patterns) < 3_000

    def test_a_line_just_as_long_as_allowed_is_whole(self, factory):
        """The bound itself is no cut."""
        evidence = canary(factory, b"INFO ab", policy=ReducePolicy(max_line=7))
        assert evidence.pods.canary[0].cut_lines == 0
        assert canary(factory, b"INFO abc", policy=ReducePolicy(max_line=7)).pods.canary[0].cut_lines == 1
        assert canary(factory, b"INFO ab\n" * 9, policy=ReducePolicy(max_line=7)).pods.canary[0].cut_lines == 0

    def test_an_endless_event_ends(self, factory):
        """An event of too many lines or bytes is closed, the next line begins another."""
        lines = b"ERROR x failed\n" + b"\tat a.B.c(D.java:1)\n" * 9
        assert canary(factory, lines, policy=ReducePolicy(max_event_lines=4)).pods.canary[0].events == 3
        assert canary(factory, lines, policy=ReducePolicy(max_event=60)).pods.canary[0].events == 4
        assert canary(factory, lines).pods.canary[0].events == 1

    def test_too_many_keys_fall_into_coarse_ones(self, factory):
        """A full table counts what is new under its first three words, and says how much."""
        lines = b"".join(b"INFO user %s logged on\n" % bytes([97 + n]) * 2 for n in range(20))
        evidence = canary(factory, lines, policy=ReducePolicy(max_keys=5))
        assert evidence.coarse_events == 30
        assert told(evidence) == [("user <*> logged on", "INFO", "", 10), ("…", "INFO", "", 30)]
        evidence = canary(factory, lines, policy=ReducePolicy(max_keys=10))
        assert evidence.coarse_events == 20
        assert ("user k logged … (4 words)", "INFO", "", 2) in told(evidence)

    def test_escapes_of_json_are_letters(self, factory):
        """Letters written as escapes are read as such, in any block; half a surrogate pair is no letter at all."""
        lines = rb'{"level":"info","msg":"caf\u00e9 %d \u4f60 \ud83d\ude00 \ud812"}'
        data = b"plain\n" + b"\n".join(lines.replace(b"%d", b"%d" % n) for n in (1, 2)) + b"\n"
        for size in (16, 1000):
            assert told(canary(factory, data, policy=ReducePolicy(block=size))) == [
                ("café <*> 你 😀 ?", "INFO", "", 2),
                ("plain", "UNKNOWN", "", 1),
            ]


class TestPods:
    def test_pods_without_lines_are_there(self, factory):
        """A pod that logged nothing is not a pod that does not exist."""
        reducer = factory()
        reducer.declare(Side.STABLE, "s1")
        reducer.stream(Side.CANARY, "c1", "app").feed(b"INFO a\n")
        evidence = reducer.finish()
        assert [(p.pod, p.lines, p.first) for p in evidence.pods.stable] == [("s1", 0, None)]
        assert evidence.patterns[0].counts == Pair(stable=(0,), canary=(1,))

    def test_why_a_log_is_partial(self, factory):
        """What stopped the reading is said once for each reason, and what it cut off is left out; closing twice is harmless."""
        reducer = factory()
        for name in ("app", "proxy"):
            stream = reducer.stream(Side.CANARY, "c1", name)
            stream.feed(b"INFO a\nERR")
            stream.close("byte limit")
            stream.close()
        [pod] = reducer.finish().pods.canary
        assert (pod.partial, pod.lines, pod.size_bytes) == ("byte limit", 2, 14)


def stamped(second: int, text: bytes, nanos: bytes = b"000000000") -> bytes:
    return (datetime(2026, 11, 23, 10, tzinfo=UTC) + timedelta(seconds=second)).strftime(
        "%Y-%m-%dT%H:%M:%S."
    ).encode() + (nanos + b"Z " + text + b"\n")


def test_hash_seeds_make_no_difference():
    """The same logs give the same bytes in every process."""
    program = (
        "from tests.core.reduction.test_reduce import MIXED, Side, reduce_logs\n"
        "lines = b''.join(b'INFO user %s of region %s\\n' % (bytes([97 + a]), bytes([97 + b])) for a in range(9) for b in range(9))\n"
        "print(repr(reduce_logs([(Side.CANARY, 'c1', 'app', [MIXED, b'\\n', lines])])))"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", program], check=True, capture_output=True, cwd=Path(__file__).parents[3],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": f"plugin{os.pathsep}."},
        ).stdout
        for seed in ("1", "2", "3")
    }  # fmt: skip
    assert len(told) == 1
    assert b"region <*>" in told.pop()


def test_reduce_logs():
    """The short way: files in, evidence out, with the pods that should have logs."""
    evidence = reduce_logs(
        [(Side.CANARY, "c1", "app", [b"INFO a 1\n", b"INFO a 2\n"])],
        pods=Pair(stable=("s1", "s2"), canary=("c1",)),
    )
    assert [pod.pod for pod in (*evidence.pods.stable, *evidence.pods.canary)] == ["s1", "s2", "c1"]
    assert evidence.patterns[0].counts == Pair(stable=(0, 0), canary=(2,))


class TestTime:
    def test_stamps_are_stripped_and_noted(self, factory):
        """The kubelet's time is no part of the wording; it dates samples and the log."""
        evidence = canary(factory, stamped(5, b"INFO a 1", b"250000000") + stamped(9, b"INFO a 2"))
        assert told(evidence) == [("a <*>", "INFO", "", 2)]
        pod = evidence.pods.canary[0]
        assert (pod.first, pod.last) == (
            datetime(2026, 11, 23, 10, 0, 5, 250000, tzinfo=UTC),
            datetime(2026, 11, 23, 10, 0, 9, tzinfo=UTC),
        )
        assert evidence.patterns[0].samples.canary[0].time == pod.first
        assert evidence.patterns[0].samples.canary[0].text == "INFO a 1"

    def test_lines_outside_the_window_are_left_out_and_counted(self, factory):
        """The window is half-open, to the fraction of a second."""
        start = datetime(2026, 11, 23, 10, 0, 10, 500000, tzinfo=UTC)
        window = Window(start=start, end=start + timedelta(seconds=10))
        lines = [
            (9, b"0"),
            (10, b"499999999"),
            (10, b"500000000"),
            (15, b"0"),
            (20, b"499999999"),
            (20, b"500000000"),
            (21, b"0"),
        ]
        data = b"".join(stamped(second, b"INFO a", nanos.ljust(9, b"0")) for second, nanos in lines)
        evidence = canary(factory, data, window=window)
        assert (evidence.pods.canary[0].lines, evidence.pods.canary[0].outside_lines) == (3, 4)
        assert evidence.bucket_edges[0] == window.start
        assert evidence.bucket_edges[-1] == window.end
        assert len(evidence.bucket_edges) == 11
        assert evidence.patterns[0].buckets.canary == ((1, 0, 0, 0, 1, 0, 0, 0, 0, 1),)

    def test_a_window_that_holds_nothing(self, factory):
        """All lines outside leave a pod without lines, not an error."""
        window = Window(start=datetime(2020, 1, 1, tzinfo=UTC), end=datetime(2020, 1, 2, tzinfo=UTC))
        evidence = canary(factory, stamped(1, b"INFO a"), window=window)
        assert (evidence.patterns, evidence.pods.canary[0].outside_lines, evidence.bucket_edges) == ((), 1, ())

    def test_without_a_window_slots_fit_the_span(self, factory):
        """Buckets are powers of two seconds, shared by all pods, at most twice the number wished for."""
        long = b"".join(stamped(second, b"INFO a") for second in range(0, 3600, 10))
        evidence = reduced(
            factory, (Side.STABLE, "s1", "app", [long]), (Side.CANARY, "c1", "app", [stamped(0, b"INFO a")])
        )
        edges = evidence.bucket_edges
        assert {(after - before).total_seconds() for before, after in pairwise(edges)} == {256.0}
        [pattern] = evidence.patterns
        assert sum(pattern.buckets.stable[0]) == 360
        assert sum(pattern.buckets.canary[0]) == 1
        assert len(pattern.buckets.stable[0]) == len(edges) - 1 <= 20

    @pytest.mark.parametrize("window", [None, Window(start=datetime(2026, 11, 23, 10, tzinfo=UTC), end=datetime(2026, 11, 23, 11, tzinfo=UTC))])  # fmt: skip
    def test_blocks_make_no_difference_to_times(self, factory, window):
        """Buckets, samples and the first and last time are the same however small the blocks, in any order of time."""
        seconds = [*range(0, 3600, 7), *range(0, 3600, 11), *[5] * 40]
        data = b"".join(stamped(second, b"WARN a %d" % (index % 5)) for index, second in enumerate(seconds))
        wanted = canary(factory, data, window=window)
        for size in (16, 64, 500, 5000):
            policy = ReducePolicy(block=size, probe_lines=3)
            assert canary(factory, *cut(data, random.Random(size)), window=window, policy=policy) == wanted

    def test_no_stamps_no_buckets(self, factory):
        """Times that the application prints are part of its message."""
        evidence = canary(factory, b"10:00:01 INFO a\n")
        assert (evidence.bucket_edges, evidence.patterns[0].buckets.canary) == ((), ((),))

    def test_told_not_to_look_for_stamps(self, factory):
        """A time in front is the application's when the caller says so."""
        evidence = canary(factory, stamped(1, b"INFO a"), timestamps=False)
        assert (evidence.bucket_edges, told(evidence)) == ((), [("a", "INFO", "", 1)])

    def test_stamps_of_any_shape(self, factory):
        """Fractions of any length, other zones, lines without a stamp and impossible times are taken as they come."""
        data = (
            b"no stamp yet\n"
            b"2026-11-23T10:00:00Z INFO a\n"
            b"2026-11-23T12:00:01.5+02:00 INFO a\n"
            b"2026-13-45T10:00:00Z INFO a\n"
            b"2026-13-45T10:00:00+01:00 INFO a\n"
            b"INFO a\n"
        )
        evidence = canary(factory, data, timestamps=True, window=Window(
            start=datetime(2026, 11, 23, 9, tzinfo=UTC), end=datetime(2026, 11, 23, 11, tzinfo=UTC)))  # fmt: skip
        pod = evidence.pods.canary[0]
        assert told(evidence) == [("a", "INFO", "", 5), ("no stamp yet", "UNKNOWN", "", 1)]
        assert pod.first == datetime(2026, 11, 23, 10, tzinfo=UTC)
        assert sum(evidence.patterns[0].buckets.canary[0]) == 2
        whole = canary(factory, *cut(data, random.Random(1)), timestamps=True, policy=ReducePolicy(block=16))
        assert whole.patterns == canary(factory, data, timestamps=True).patterns
