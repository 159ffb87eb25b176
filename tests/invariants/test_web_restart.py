"""A web process that is told to end says goodbye to its sockets; their visitors keep their places."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from typing import Any

import aiohttp
import pytest

from queueing.messages import GOING_AWAY
from tests.platform_server import APPS, Platform
from tests.sockets import until
from tests.waiting import wait_until

SPACE = "alice/restarts"
SOCKETS = 30


@pytest.fixture(scope="module")
def url(process_platform: Platform) -> str:
    assert process_platform.push(SPACE, process_platform.token("alice"), APPS / "slow") == "RUNNING"
    return f"{process_platform.url.replace('http', 'ws')}/ws/spaces/{SPACE}/queue"


async def result_of(
    http: aiohttp.ClientSession, url: str, joined: dict[str, Any], after_ms: int
) -> dict[str, Any]:
    """As a page does: back when it was told to be, and again whenever the door is shut, until the result."""
    await asyncio.sleep(after_ms / 1000)
    while True:
        with contextlib.suppress(aiohttp.ClientError, OSError, TypeError):  # TypeError: it was closed again
            async with http.ws_connect(url) as socket:
                await socket.send_json({"msg": "follow", "session_hash": joined["session_hash"]})
                return await until(socket, "process_completed")
        await asyncio.sleep(0.3)


async def test_waiting_sockets_are_told_when_to_come_back_and_get_their_results(
    process_platform: Platform, url: str
) -> None:
    async with aiohttp.ClientSession() as http:
        sockets = [await http.ws_connect(url) for _ in range(SOCKETS)]
        joined = []
        for socket in sockets:
            await socket.send_json({"msg": "join", "api_name": "slow", "data": [0.2]})
            joined.append(await until(socket, "joined"))
        before = process_platform.web()
        os.kill(before, signal.SIGTERM)
        moments = []
        for socket in sockets:
            moments.append((await until(socket, "goodbye"))["retry_after_ms"])
            while not socket.closed:
                await socket.receive(timeout=10)
            assert socket.close_code == GOING_AWAY
        assert len(set(moments)) > SOCKETS / 2, "each its own moment"
        results = await asyncio.gather(
            *(result_of(http, url, one, after) for one, after in zip(joined, moments, strict=True))
        )
        assert [done["event_id"] for done in results] == [one["event_id"] for one in joined]
        assert all(done["success"] for done in results)
    wait_until(lambda: process_platform.web() != before, "another process serves")
