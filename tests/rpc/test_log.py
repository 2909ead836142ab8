"""Log lines as go-plugin's host reads them."""

import json
import os
import re

import pytest

from rollout_verdict.rpc.log import Log


@pytest.fixture
def pipe():
    reading, writing = os.pipe()
    yield reading, writing
    os.close(reading)
    os.close(writing)


def test_a_record_is_one_line_of_hclog_json(pipe):
    reading, writing = pipe
    Log(writing).info('a "quoted"\nmessage', id="x", n=5)
    line = os.read(reading, 4096)
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    record = json.loads(line)
    assert (record["@level"], record["@message"], record["id"], record["n"]) == ("info", 'a "quoted"\nmessage', "x", 5)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", record["@timestamp"])


@pytest.mark.parametrize(
    ("level", "written"),
    [
        ("trace", ["debug", "info", "warn", "error"]),
        ("warn", ["warn", "error"]),
        ("error", ["error"]),
        ("panic", ["info", "warn", "error"]),
    ],
)
def test_levels(pipe, level, written):
    reading, writing = pipe
    log = Log(writing, level)
    for write in (log.debug, log.info, log.warning, log.error):
        write("x")
    lines = os.read(reading, 4096).splitlines()
    assert [json.loads(line)["@level"] for line in lines] == written


def test_long_and_odd_values_are_cut_and_escaped(pipe):
    reading, writing = pipe
    Log(writing).info("x", text="\udcff" + "y" * 100_000)
    assert len(os.read(reading, 65536)) < 4096


def test_a_log_nobody_reads_is_no_error():
    reading, writing = os.pipe()
    os.close(reading)
    Log(writing).info("x")
    os.close(writing)
