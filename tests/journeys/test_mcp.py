"""A language model's tools: calls by the Model Context Protocol wait in the Space's queue like all others."""

from __future__ import annotations

import asyncio
from functools import partial

import aiohttp
import pytest
from gradio_client import Client
from mcp.shared.exceptions import McpError
from mcp.types import CallToolResult, TextContent

from tests.platform_server import Platform
from tests.security.conftest import Marks, marks, mcp_session, owner, traces
from tests.waiting import eventually

__all__ = ["marks", "owner", "traces"]


@pytest.fixture
def url(process_platform: Platform, traces: str) -> str:
    return f"{process_platform.run_url(traces)}gradio_api/mcp/"


def text_of(result: CallToolResult) -> str:
    return "".join(part.text for part in result.content if isinstance(part, TextContent))


async def call(url: str, tool: str, text: str) -> CallToolResult:
    async with mcp_session(url) as session:
        return await session.call_tool(tool, {"text": text})


async def test_tools_are_listed_and_answer(url: str) -> None:
    async with mcp_session(url) as session:
        tools = {tool.name for tool in (await session.list_tools()).tools}
        assert {"mark", "quick", "slow", "fail"} <= tools
        for tool in ("mark", "quick"):
            result = await session.call_tool(tool, {"text": f"by {tool}"})
            assert (text_of(result), result.isError) == (f"marked by {tool}", False)


async def test_calls_take_turns_with_all_others(
    process_platform: Platform, traces: str, owner: str, url: str, marks: Marks
) -> None:
    figures = partial(process_platform.queue, traces, owner)
    assert figures()["concurrency_count"] == 1
    had = len(marks.read())
    client = Client(process_platform.run_url(traces), verbose=False)
    other = client.submit("other", api_name="/slow")
    models = [asyncio.create_task(call(url, "slow", f"model {n}")) for n in range(3)]
    await eventually(lambda: figures()["pending"] >= 2, "they wait in line")
    assert {text_of(await model) for model in models} == {f"done model {n}" for n in range(3)}
    assert await asyncio.to_thread(other.result, 60) == "done other"
    ran = [m.split()[0] for m in marks.read()[had:] if m.startswith(("start", "end"))]
    assert ran == ["start", "end"] * 4, "one at a time, whoever asks"


async def test_a_failure_is_told_with_its_reason(url: str) -> None:
    result = await call(url, "fail", "unicorns")
    assert result.isError
    assert "no such thing as unicorns" in text_of(result)


async def test_a_full_queue_is_told(process_platform: Platform, traces: str, owner: str, url: str) -> None:
    process_platform.queue(traces, owner, max_size=1)
    try:
        models = [asyncio.create_task(call(url, "slow", f"full {n}")) for n in range(4)]
        ends = await asyncio.gather(*models, return_exceptions=True)
        refused = [end for end in ends if isinstance(end, McpError)]
        assert refused
        assert all("Queue is full" in str(end) for end in refused)
        assert [end for end in ends if isinstance(end, CallToolResult)]
    finally:
        process_platform.queue(traces, owner, max_size=None)


async def test_who_hangs_up_gives_the_place_back(
    process_platform: Platform, traces: str, owner: str, url: str, marks: Marks
) -> None:
    figures = partial(process_platform.queue, traces, owner)
    busy = asyncio.create_task(call(url, "slow", "busy"))
    await eventually(lambda: figures()["running"] == 1, "one runs")
    asked = {"method": "tools/call", "params": {"name": "slow", "arguments": {"text": "left"}}}
    body = {"jsonrpc": "2.0", "id": 1, **asked}
    async with aiohttp.ClientSession() as session, session.post(url, json=body) as answer:
        assert (await answer.content.readline()).startswith(b":")
        assert figures()["pending"] == 1
    await eventually(lambda: figures()["pending"] == 0, "it has left")
    assert text_of(await busy) == "done busy"
    assert text_of(await call(url, "mark", "after")) == "marked after"
    assert "start left" not in marks.read()


async def test_a_tool_does_not_wait_behind_another_functions_calls(
    process_platform: Platform, traces: str, owner: str, url: str
) -> None:
    figures = partial(process_platform.queue, traces, owner)
    busy = [asyncio.create_task(call(url, "slow", f"busy {n}")) for n in range(3)]
    await eventually(lambda: figures()["pending"] == 2, "one runs, two wait")
    assert text_of(await call(url, "mark", "beside")) == "marked beside"
    assert figures()["pending"]
    for one in busy:
        await one


@pytest.mark.parametrize(
    "body",
    [
        b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"x": NaN}}',
        '{"jsonrpc": "2.0", "id": 1, "method": "tools/call"}'.encode("utf-16"),
        b"{",
        b"",
    ],
)
async def test_what_two_readers_may_take_for_different_things_reaches_nobody(url: str, body: bytes) -> None:
    async with aiohttp.ClientSession() as session, session.post(url, data=body) as answer:
        assert (await answer.json())["error"]["message"] == "The body is no JSON."


@pytest.mark.parametrize("path", ["sse", "sse/", "messages/?session_id=0", "SSE", "messages//"])
async def test_the_old_transport_is_pointed_to_the_new_one(url: str, path: str) -> None:
    async with aiohttp.ClientSession() as session:
        for method in ("GET", "POST"):
            async with session.request(method, f"{url}{path}", json={"method": "tools/call"}) as answer:
                assert answer.status == 404
                assert "streamable HTTP" in (await answer.json())["detail"] or "path" in await answer.text()
