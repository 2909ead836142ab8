"""Marks on the command line, of a real service."""

import re

import pytest

from tests.cli.commands import run
from tests.service.conftest import TOKENS, make_client, make_services, served

__all__ = ["run"]


@pytest.fixture
def service(tmp_path):
    """A service with an analysis of new errors, and the options that lead to it."""
    services = make_services(tmp_path)
    with make_client(services) as client:
        made = client.post("/v1/analyses", json={"namespace": "shop", "name": "new-errors"}).json()["id"]
    (tmp_path / "token").write_text(TOKENS["run"])
    with served(services) as address:
        yield made, ("--service", address, "--token-file", tmp_path / "token")


def test_a_mark_is_made_listed_and_taken_back(run, service):
    analysis, there = service
    made = run("mark", analysis, "l1", "--why", "SHOP-12: the cache retries", *there)
    assert (made.code, made.err) == (0, "")
    assert re.match(r"[0-9a-f]{16}  shop/new-errors  log '.*', argo .*: SHOP-12: the cache retries\n$", made.out)
    assert run("marks", "-n", "shop", "--name", "new-errors", *there).out == made.out
    assert run("marks", "-n", "elsewhere", *there).out == ""
    gone = run("unmark", made.out.split()[0], *there)
    assert (gone.code, gone.out) == (0, "")
    assert run("marks", *there).out == ""


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("mark", "ANALYSIS", "l999", "--why", "known"), "status 422: item: "),
        (("mark", "ANALYSIS", "l1", "--why", "known", "--expires", "2020-01-01T00:00:00Z"), "still to come"),
        (("unmark", "0f1e"), "status 404: there is no mark with this id"),
        (("unmark", "../analyses"), "is no id of a mark"),
        (("marks", "--service", "http://127.0.0.1:1"), "cannot be reached (ConnectError)"),
    ],
)
def test_what_cannot_be_done_is_told_without_the_token(run, service, command, words):
    analysis, there = service
    given = (analysis if word == "ANALYSIS" else word for word in command)
    ran = run(command[0], *there, *list(given)[1:])
    assert (ran.code, words in ran.err) == (2, True), ran.err
    assert TOKENS["run"] not in ran.err
