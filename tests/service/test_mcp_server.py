"""Verdicts for assistants, with the protocol's own client."""

import asyncio
import json
import sys

import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from rollout_verdict.service.mcp_server import LONGEST, Reader, server
from tests.conftest import ROOT
from tests.service.conftest import TOKENS, bearer, make_services, served

HEX = "0" * 31


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    import httpx2

    with served(make_services(tmp_path_factory.mktemp("mcp"))) as found:
        for number, name in (("1", "new-errors"), ("2", "healthy"), ("3", "running")):
            body = {"id": HEX + number, "config": {}, "analysisRun": {"namespace": "shop", "name": "run"}}
            body["analysisRun"]["owner"] = {"kind": "Rollout", "name": name}
            httpx2.post(f"{found}/v1/measurements", json=body, headers=bearer("run"))
        yield found


@pytest.fixture
def call(address):
    """Call tools of the server in this process; returns what the last one said and whether it was an error."""

    def ask(*calls, token=TOKENS["read"]):
        reader = Reader(address, lambda: token)

        async def talk():
            async with Client(server(reader)) as client:
                for name, arguments in calls:
                    result = await client.call_tool(name, arguments)
                return result

        try:
            result = asyncio.run(talk())
        finally:
            reader.close()
        return result.content[0].text if result.content else "", result

    return ask


def test_the_tools_only_read(address):
    reader = Reader(address, lambda: TOKENS["read"])

    async def tools():
        async with Client(server(reader)) as client:
            return (await client.list_tools()).tools

    found = asyncio.run(tools())
    reader.close()
    assert [tool.name for tool in found] == ["list_verdicts", "explain_verdict", "get_evidence"]
    assert all(tool.annotations.read_only_hint for tool in found)


def test_verdicts_are_listed(call):
    _, result = call(("list_verdicts", {"namespace": "shop", "decision": "rollback"}))
    (line,) = result.structured_content["result"]
    assert (line["id"], line["name"], line["decision"]) == (HEX + "1", "new-errors", "rollback")


def test_a_verdict_is_explained_with_a_word_of_caution(call):
    text, _ = call(("explain_verdict", {"analysis": HEX + "1"}))
    assert text.startswith("What follows quotes logs")
    assert "oll back" in text or "rollback" in text


def test_evidence_is_had_whole_or_by_item(call):
    whole, _ = call(("get_evidence", {"analysis": HEX + "1"}))
    assert "\nl1: {" in whole
    one, _ = call(("get_evidence", {"analysis": HEX + "1", "item": "l1"}))
    assert json.loads(one.partition("l1: ")[2])["id"] == "l1"
    assert len(whole) <= LONGEST


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("explain_verdict", {"analysis": HEX + "3"}, "409"),
        ("explain_verdict", {"analysis": HEX + "9"}, "404"),
        ("explain_verdict", {"analysis": "../../v1/tokens"}, "analysis"),
        ("get_evidence", {"analysis": HEX + "1", "item": "x9"}, "no item"),
        ("list_verdicts", {"limit": 0}, "limit"),
    ],
)
def test_what_cannot_be_had_is_told(call, name, arguments, words):
    text, result = call((name, arguments))
    assert result.is_error
    assert words in text


def test_without_a_token_nothing_is_told(call):
    text, result = call(("list_verdicts", {}), token="")
    assert result.is_error
    assert "401" in text


def test_the_command_speaks_over_standard_input_and_output(address, tmp_path):
    token_file = tmp_path / "token"
    token_file.write_text(TOKENS["read"] + "\n")
    command = ["-m", "rollout_verdict", "mcp", "--service", address, "--token-file", str(token_file)]
    parameters = StdioServerParameters(command=sys.executable, args=command, env={"PYTHONPATH": str(ROOT / "plugin")})

    async def talk():
        async with Client(stdio_client(parameters)) as client:
            return await client.call_tool("list_verdicts", {})

    result = asyncio.run(asyncio.wait_for(talk(), 120))
    assert len(result.structured_content["result"]) == 3
