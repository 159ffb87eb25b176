"""Visitors who hang up: while they wait and while their call runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.gated import Gated
from tests.invariants.workers import two_workers
from tests.platform_server import APPS
from tests.sockets import http, until
from tests.waiting import eventually

__all__ = ["http"]

SPACE = "alice/leavers"
GRACE_S = 20  # instead of the minute that a visitor may be away
SOCKETS = 200
FREED_S = 6.0  # the promise where the owner wants calls of who leaves ended
SERVED_S = 10.0  # and where others wait


@dataclass
class Leavers(Gated):
    """The platform and its Space."""

    space: str = SPACE

    def has_begun(self, name: str) -> bool:
        return name in self.starts()

    async def figure(self, name: str) -> int:
        values = await asyncio.to_thread(self.platform.queue, SPACE, self.token)
        return int(values[name])

    async def is_free(self) -> bool:
        return await self.figure("running") == 0

    def settle(self, **change: Any) -> None:
        self.platform.queue(SPACE, self.token, **change)


@pytest.fixture(scope="module")
def served() -> Iterator[Leavers]:
    with two_workers(SPACEPORT_DISCONNECT_GRACE_S=str(GRACE_S)) as platform:
        token = platform.token("alice")
        assert platform.push(SPACE, token, APPS / "gate") == "RUNNING"
        yield Leavers(platform, token)


@pytest.fixture
async def leavers(served: Leavers, tmp_path: Path) -> AsyncIterator[Leavers]:
    served.gate = tmp_path / "gate"
    yield served
    served.gate.touch()
    await eventually(served.is_free, "nothing runs", 60)
    served.settle(cancel_on_disconnect=False)


@dataclass
class Visitor:
    """One socket, and what it knows of its event."""

    socket: aiohttp.ClientWebSocketResponse
    session: str = ""
    event_id: str = ""

    async def until(self, word: str, **fields: Any) -> dict[str, Any]:
        return await until(self.socket, word, **fields)

    def vanish(self) -> None:
        """Hang up without a word."""
        connection = self.socket._response.connection
        assert connection is not None
        assert connection.transport is not None
        connection.transport.abort()

    async def end(self) -> dict[str, Any]:
        """The final message."""
        return await self.until("process_completed", event_id=self.event_id)


async def arrive(http: aiohttp.ClientSession, leavers: Leavers, name: str, function: str) -> Visitor:
    visitor = Visitor(await http.ws_connect(leavers.url))
    await visitor.socket.send_json({"msg": "join", "api_name": function, "data": [str(leavers.gate), name]})
    joined = await visitor.until("joined")
    visitor.session, visitor.event_id = joined["session_hash"], joined["event_id"]
    return visitor


async def come_back(http: aiohttp.ClientSession, leavers: Leavers, before: Visitor) -> Visitor:
    visitor = Visitor(await http.ws_connect(leavers.url), before.session, before.event_id)
    await visitor.socket.send_json({"msg": "follow", "session_hash": before.session})
    return visitor


async def test_of_200_who_vanish_those_who_come_back_keep_their_places_and_the_others_are_cancelled(
    leavers: Leavers, http: aiohttp.ClientSession
) -> None:
    holder = await arrive(http, leavers, "holder", "wait")
    await eventually(partial(leavers.has_begun, "holder"), "it runs")
    everybody = [await arrive(http, leavers, str(n), "wait") for n in range(SOCKETS)]
    for visitor in everybody:
        await visitor.until("place", event_id=visitor.event_id)
    for visitor in everybody:
        visitor.vanish()
    faithful, unfaithful = everybody[::2], everybody[1::2]
    back = await asyncio.gather(*(come_back(http, leavers, visitor) for visitor in faithful))
    for number, visitor in enumerate(back):
        place = await visitor.until("place", event_id=visitor.event_id, state="pending")
        assert number <= place["position"] <= 2 * number, "its place, or nearer by now"
        while (place["position"], place["size"]) != (number, len(faithful)):
            # Told by itself, once the others are taken for gone.
            place = await visitor.until("place", event_id=visitor.event_id, state="pending")
    await eventually(lambda: _pending_is(leavers, len(faithful)), "only who came back waits", GRACE_S + 30)
    late = await asyncio.gather(*(come_back(http, leavers, visitor) for visitor in unfaithful))
    assert [(await visitor.end())["output"] for visitor in late] == [{}] * len(unfaithful)
    leavers.gate.touch()
    names = [(await visitor.end())["output"]["data"][0] for visitor in [holder, *back]]
    assert names == [f"{name} done" for name in ("holder", *range(0, SOCKETS, 2))]
    assert leavers.starts() == ["holder", *map(str, range(0, SOCKETS, 2))], "in their order"


async def _pending_is(leavers: Leavers, count: int) -> bool:
    return await leavers.figure("pending") == count


async def test_who_leaves_a_running_call_finds_its_result(
    leavers: Leavers, http: aiohttp.ClientSession
) -> None:
    visitor = await arrive(http, leavers, "left", "wait")
    await eventually(partial(leavers.has_begun, "left"), "it runs")
    await visitor.socket.close()
    waiting = await arrive(http, leavers, "next", "wait")
    leavers.gate.touch()
    await waiting.end()
    back = await come_back(http, leavers, visitor)
    assert (await back.end())["output"]["data"] == ["left done"]


@pytest.mark.parametrize("function", ["steps", "nap"])
async def test_where_the_owner_wants_it_the_call_of_who_leaves_is_ended_and_its_place_is_free(
    leavers: Leavers, http: aiohttp.ClientSession, function: str
) -> None:
    """With a generator and with an async function."""
    leavers.settle(cancel_on_disconnect=True)
    visitor = await arrive(http, leavers, "left", function)
    await eventually(partial(leavers.has_begun, "left"), "it runs")
    waiting = await arrive(http, leavers, "next", "wait")
    await waiting.until("place", event_id=waiting.event_id, state="pending")
    await visitor.socket.close()
    # Twice the promise: other work on this machine is not the platform's fault.
    await eventually(partial(leavers.has_begun, "next"), "the place is free", 2 * FREED_S)
    back = await come_back(http, leavers, visitor)
    ended = await back.end()
    assert (ended["success"], ended["output"]) == (True, {}), "cancelled"
    leavers.gate.touch()
    assert (await waiting.end())["output"]["data"] == ["next done"]


@pytest.mark.parametrize("function", ["steps", "nap"])
async def test_nobody_waits_behind_the_call_of_somebody_who_has_gone(
    leavers: Leavers, http: aiohttp.ClientSession, function: str
) -> None:
    """A generator and an async function; who comes back before that keeps the call."""
    leavers.settle(concurrency_count=2)
    try:
        faithful = await arrive(http, leavers, "faithful", function)
        gone = await arrive(http, leavers, "gone", function)
        await eventually(lambda: len(leavers.starts()) == 2, "both run")
        await faithful.socket.close()
        back = await come_back(http, leavers, faithful)
        await gone.socket.close()
        waiting = await arrive(http, leavers, "next", "wait")
        await eventually(partial(leavers.has_begun, "next"), "the place is free", 2 * SERVED_S)
        ended = await (await come_back(http, leavers, gone)).end()
        assert (ended["success"], ended["output"]) == (True, {}), "cancelled"
        leavers.gate.touch()
        assert (await waiting.end())["output"]["data"] == ["next done"]
        assert (await back.end())["output"]["data"] == ["faithful done"]
    finally:
        leavers.settle(concurrency_count=1)


async def test_who_is_back_in_a_moment_is_not_taken_for_gone(
    leavers: Leavers, http: aiohttp.ClientSession
) -> None:
    leavers.settle(cancel_on_disconnect=True, concurrency_count=2)
    try:
        faithful = await arrive(http, leavers, "faithful", "steps")
        gone = await arrive(http, leavers, "gone", "steps")
        await eventually(lambda: len(leavers.starts()) == 2, "both run")
        await faithful.socket.close()
        back = await come_back(http, leavers, faithful)
        await gone.socket.close()
        # Left last: when this call is ended, the other one was thought about before.
        await eventually(lambda: _running_is(leavers, 1), "the call of who stayed away is ended")
        leavers.gate.touch()
        assert (await back.end())["success"]
        assert (await (await come_back(http, leavers, gone)).end())["output"] == {}
    finally:
        leavers.settle(concurrency_count=1)


async def _running_is(leavers: Leavers, count: int) -> bool:
    return await leavers.figure("running") == count
