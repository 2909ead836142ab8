"""``rollout-verdict serve`` on a bare machine: a process of its own, SQLite, no key, no cluster."""

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
from contextlib import contextmanager

import httpx2
import pytest

from rollout_verdict.cli import serve
from rollout_verdict.service.tokens import TokenFile
from tests.cli.commands import run
from tests.conftest import ROOT
from tests.service.conftest import make_client, make_services
from tests.service.memory import BUNDLES, packed

__all__ = ["run"]

READY_S = 120  # the machine may have other things to do


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


@contextmanager
def running(state, **environment):
    """The service as a process; gives its address and what it has written so far."""
    port = free_port()
    log = state.parent / "serve.log"
    bare = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
    environment = {**bare, "PYTHONPATH": str(ROOT / "plugin"), "ROLLOUT_VERDICT_STATE_DIR": str(state), **environment}
    with log.open("wb") as stream:
        command = [sys.executable, "-m", "rollout_verdict", "serve", "--port", str(port)]
        process = subprocess.Popen(command, env=environment, stdout=stream, stderr=stream)
        try:
            address = f"http://127.0.0.1:{port}"
            transport = httpx2.HTTPTransport(retries=0)
            with httpx2.Client(transport=transport, timeout=READY_S) as client:
                wait_for(lambda: client.get(f"{address}/readyz").status_code == 200, process, log)
            yield address, log
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) in (0, -signal.SIGTERM), log.read_text()
        finally:
            process.kill()
            process.wait(10)


def wait_for(done, process, log):
    """Ask until it is so, or the process has ended, or time is up."""
    for _ in range(READY_S * 5):
        try:
            if done():
                return
        except httpx2.TransportError:
            pass
        try:
            process.wait(0.2)
        except subprocess.TimeoutExpired:
            continue
        break
    pytest.fail(log.read_text())


def test_from_a_bare_machine_to_a_verdict_and_over_a_restart(tmp_path):
    state = tmp_path / "state"
    with running(state) as (address, log):
        words = log.read_text()
        assert str(state / "tokens.toml") in words
        for name in ("tokens.toml", "session.key"):
            assert stat.S_IMODE((state / name).stat().st_mode) == 0o600
        token = re.search(r'token = "([^"]+)"', (state / "tokens.toml").read_text())[1]
        assert token not in words
        with httpx2.Client(base_url=address, timeout=60) as browser:
            link = re.search(r"http://\S+/login\?code=\S+", words)[0]
            assert browser.get(link).status_code == 303
            assert browser.get("/analyses", headers={"accept": "text/html"}).status_code == 200
            assert httpx2.get(link).status_code == 401, "it works once"
        with httpx2.Client(base_url=address, headers={"authorization": f"Bearer {token}"}, timeout=60) as client:
            content, headers = packed(BUNDLES / "new_errors"), {"content-type": "application/gzip"}
            started = client.post("/v1/analyses", content=content, headers=headers, params={"name": "cart"})
            assert started.status_code == 201
            made = started.json()["id"]
            streamed = client.get(f"/v1/analyses/{made}/events").text
            kind, _, data = streamed.strip().split("\n\n")[-1].partition("\ndata: ")
            assert kind == "event: verdict"
            assert json.loads(data)["verdict"]["decision"] == "rollback"
            target = client.post("/v1/analyses", json={"namespace": "shop", "name": "cart"}).json()["id"]
            streamed = client.get(f"/v1/analyses/{target}/events").text
            assert "there is no way to a cluster" in streamed
            counted = client.get("/metrics").text
            assert 'rollout_verdict_verdicts_total{decided_by="rules",decision="rollback"} 1.0' in counted
            assert "rollout_verdict_queue_depth 0.0" in counted
        lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
        assert [line["caller"] for line in lines if line.get("audit")] == ["owner"] * 3  # the link, two starts
        assert any(line.get("analysis") == made and line.get("decision") == "rollback" for line in lines)
    with running(state) as (address, log):
        words = log.read_text()
        assert "login?code=" not in words, "a log is read by others than who may read the token file"
        assert f"listening on {address}; log in at /login with a token of {state / 'tokens.toml'}\n" in words
        found = httpx2.get(f"{address}/v1/analyses/{made}", headers={"authorization": f"Bearer {token}"}, timeout=60)
        assert found.json()["verdict"]["decision"] == "rollback"


OWNER = '[[token]]\nname = "owner"\ntoken = "of-the-owner-0123"\nscope = "admin"\n'
READER = '[[token]]\nname = "reader"\ntoken = "of-the-reader-012"\n'
TEAM = '[[token]]\nname = "team"\ntoken = "of-the-team-01234"\nscope = "admin"\nnamespaces = ["shop"]\n'
FORMER = '[[token]]\nname = "former"\ntoken = "of-the-former-012"\nscope = "admin"\nexpires = 2020-01-01T00:00:00Z\n'


@pytest.mark.parametrize(
    ("made", "asked", "content", "linked"),
    [
        (True, False, OWNER, True),
        (False, True, READER + TEAM + FORMER + OWNER, True),
        (False, True, READER + TEAM + FORMER, False),
        (False, False, OWNER, False),
    ],
    ids=["the first", "by hand", "nobody may do everything", "in the background"],
)
def test_a_start_links_whoever_can_read_the_tokens_anyway(tmp_path, made, asked, content, linked):
    path = tmp_path / "tokens.toml"
    path.write_text(content)
    tokens = TokenFile(path)
    tokens.load()
    services = make_services(tmp_path)
    words = serve._words(services.auth, tokens, made=made, asked=asked)(serve.Door(host="0.0.0.0", port=8080))
    link = re.search(r"http://127\.0\.0\.1:8080(/login\?code=\S+)", words)
    assert (link is not None) is linked
    assert ("the first start" in words) is made
    if link:
        with make_client(services, "") as browser:
            assert browser.get(link[1]).status_code == 303


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("ROLLOUT_VERDICT_TOKENS", "{tmp}/none.toml", "ROLLOUT_VERDICT_TOKENS: {tmp}/none.toml: cannot be read"),
        ("ROLLOUT_VERDICT_STATE_DIR", "{tmp}/short.key", "{tmp}/short.key is no folder: name"),
        ("ROLLOUT_VERDICT_STATE_DIR", "/proc/x", "/proc/x cannot be made (No such file or directory): name"),
        ("ROLLOUT_VERDICT_REDACT", "foo=(", "ROLLOUT_VERDICT_REDACT: "),
        ("LOG_LEVEL", "FOO", "LOG_LEVEL: expected one of DEBUG, INFO, WARNING, ERROR, CRITICAL, got 'FOO'"),
        ("ROLLOUT_VERDICT_SESSION_KEY_FILE", "{tmp}/none.key", "none.key: cannot be read"),
        ("ROLLOUT_VERDICT_SESSION_KEY_FILE", "{tmp}/short.key", "at least 32 bytes"),
        ("ROLLOUT_VERDICT_URL", "nonsense", "ROLLOUT_VERDICT_URL"),
        ("ROLLOUT_VERDICT_DATABASE", "postgresql://user:hunter2@127.0.0.1:1/x", "database"),
    ],
)
def test_what_keeps_it_from_starting_is_told_in_a_line(run, monkeypatch, tmp_path, name, value, words):
    (tmp_path / "short.key").write_text("short")
    monkeypatch.setenv("ROLLOUT_VERDICT_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv(name, value.format(tmp=tmp_path))
    found = run("serve", "--port", free_port())
    assert found.code == 2
    assert words.format(tmp=tmp_path) in found.err
    assert "login?code=" not in found.err
    assert "hunter2" not in found.err
    assert "Traceback" not in found.err


def test_a_busy_port_costs_a_line_and_not_the_link_of_the_first_start(run, monkeypatch, tmp_path):
    monkeypatch.setenv("ROLLOUT_VERDICT_STATE_DIR", str(tmp_path / "state"))
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        found = run("serve", "--port", port)
    assert found.code == 2
    assert (
        f"cannot listen on http://127.0.0.1:{port} (Address already in use): choose another port by --port" in found.err
    )
    assert "login?code=" not in found.err
    assert "Traceback" not in found.err
    assert not (tmp_path / "state").exists(), "the next start is the first"


def test_a_host_that_is_no_address_is_told_in_a_line(run, monkeypatch, tmp_path):
    monkeypatch.setenv("ROLLOUT_VERDICT_STATE_DIR", str(tmp_path / "state"))
    found = run("serve", "--host", "999.1.1.1")
    assert (found.code, "cannot listen on http://999.1.1.1:8080 (" in found.err) == (2, True)


def test_without_its_extra_it_says_what_to_install(run, monkeypatch):
    monkeypatch.setattr(serve, "NEEDED", ("uvicorn", "no_such_module"))
    found = run("serve")
    assert (found.code, "pip install '.[service]' in a checkout" in found.err) == (2, True)


@pytest.mark.parametrize(
    ("service", "content", "words"),
    [
        ("ftp://verdict", "of-the-reader-012", "--service: expected http://HOST"),
        ("verdict:8080", "of-the-reader-012", "--service: expected http://HOST"),
        ("http://[::1", "of-the-reader-012", "--service: expected http://HOST"),
        ("http://verdict", "\n", "is empty; name a file with one by --token-file"),
        ("http://verdict", None, "there is no token; name a file with one by --token-file"),
    ],
)
def test_what_can_never_work_is_told_before_an_assistant_waits(run, tmp_path, service, content, words):
    given = []
    if content is not None:
        (tmp_path / "token").write_text(content)
        given = ["--token-file", tmp_path / "token"]
    found = run("mcp", "--service", service, *given)
    assert (found.code, words in found.err, "Traceback" in found.err) == (2, True, False)


def test_a_token_file_that_cannot_be_read_is_told_before_an_assistant_waits(run, tmp_path):
    found = run("mcp", "--token-file", tmp_path / "none")
    assert (found.code, "cannot be read" in found.err) == (2, True)
