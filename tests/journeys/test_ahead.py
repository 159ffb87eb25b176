"""Short calls are sent to the app ahead of their turn: never more run at once for it, and one that would wait
there for long goes back to its place in line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.chaos.ledger import overlap
from tests.platform_server import APPS, Platform

SPACE = "alice/ahead"
QUICK_S, LONG_S = 0.03, 3.0
QUICK = [f"quick{n}" for n in range(12)]  # enough to be believed to be short


@pytest.fixture(scope="module")
def url(process_platform: Platform) -> str:
    platform = process_platform
    alice = platform.token("alice")
    assert platform.push(SPACE, alice, APPS / "chaos") == "RUNNING"
    platform.queue(SPACE, alice, max_size=None)
    return f"{platform.url.replace('http', 'ws')}/ws/spaces/{SPACE}/queue"


@pytest.fixture
async def socket(process_platform: Platform, url: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """Of a visitor; two calls run at once."""
    process_platform.queue(SPACE, process_platform.token("alice"), concurrency_count=2)
    async with aiohttp.ClientSession() as http, http.ws_connect(url) as opened:
        yield opened


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """Where the app, a plain process here, writes down who begins and who ends."""
    return tmp_path / "ledger"


async def work(
    socket: aiohttp.ClientWebSocketResponse, ledger: Path, keys: list[str], seconds: float
) -> list[dict[str, Any]]:
    """All that is heard until the last of these calls, sent at once, has ended well."""
    for key in keys:
        data = [str(ledger), key, seconds, "ok"]
        await socket.send_json({"msg": "join", "api_name": "work", "data": data})
    heard: list[dict[str, Any]] = []
    ended = 0
    async with asyncio.timeout(90):
        while ended < len(keys):
            heard.append(json.loads((await socket.receive(timeout=60)).data))
            if heard[-1]["msg"] == "process_completed":
                assert heard[-1]["success"], heard[-1]
                ended += 1
    return heard


def check(ledger: Path, keys: list[str], places: int = 2) -> None:
    most, again, _ = overlap(ledger)
    assert (most, again) == (places, 0)
    words = [line.split() for line in ledger.read_text().splitlines()]
    begun = [word[1] for word in words if word[0] == "start"]
    # Those at once may change places, nobody else.
    assert all(abs(at - keys.index(key)) < places for at, key in enumerate(begun)), begun


async def test_however_many_are_sent_ahead_no_more_run_at_once_and_none_twice(
    socket: aiohttp.ClientWebSocketResponse, ledger: Path
) -> None:
    keys = [f"quick{n}" for n in range(60)]
    await work(socket, ledger, keys, QUICK_S)
    check(ledger, keys)


async def test_who_was_sent_ahead_of_a_long_call_has_a_place_in_line_again(
    socket: aiohttp.ClientWebSocketResponse, tmp_path: Path
) -> None:
    await work(socket, tmp_path / "before", QUICK, QUICK_S)
    # Now four go to the app at once.
    ledger, keys = tmp_path / "ledger", [f"long{n}" for n in range(6)]
    heard = await work(socket, ledger, keys, LONG_S)
    check(ledger, keys)
    joined = [message["event_id"] for message in heard if message["msg"] == "joined"]
    waited = [m["event_id"] for m in heard if m["msg"] == "place" and m["state"] == "pending"]
    assert set(joined[2:]) <= set(waited)


async def test_nobody_overtakes_one_that_goes_back_to_its_place_while_the_one_before_ends(
    socket: aiohttp.ClientWebSocketResponse, process_platform: Platform, tmp_path: Path
) -> None:
    process_platform.queue(SPACE, process_platform.token("alice"), concurrency_count=1)
    for number, seconds in enumerate((0.99, 1.0, 1.01)):
        await work(socket, tmp_path / f"before{number}", QUICK, QUICK_S)
        ledger, keys = tmp_path / f"ledger{number}", [f"second{n}" for n in range(4)]
        await work(socket, ledger, keys, seconds)
        check(ledger, keys, places=1)
