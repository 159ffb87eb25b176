"""An owner pauses a Space that is busy: whoever runs or waits is told so, keeps the place, and is served when
it starts again. Whoever comes meanwhile is refused with the reason."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from tests.gated import Gated
from tests.platform_server import APPS, Platform
from tests.sockets import http, until
from tests.waiting import eventually

__all__ = ["http"]

SPACE = "alice/paused"
WORDS = "Your place is kept"


@dataclass
class Paused(Gated):
    """The Space."""

    space: str = SPACE

    @property
    def call(self) -> str:
        return f"{self.platform.run_url(SPACE)}gradio_api/call/wait"

    def started(self, names: list[str]) -> bool:
        return self.starts() == names

    def in_line(self) -> dict[str, Any]:
        return self.platform.queue(SPACE, self.token)

    def pause(self) -> None:
        self.platform.api(self.token).pause_space(SPACE)

    async def restart(self) -> None:
        self.platform.api(self.token).restart_space(SPACE)
        await eventually(lambda: self.platform.stage(SPACE, self.token) == "RUNNING", "it runs again", 90)


@pytest.fixture(scope="module")
def token(process_platform: Platform) -> str:
    token = process_platform.token("alice")
    assert process_platform.push(SPACE, token, APPS / "gate") == "RUNNING"
    return token


@pytest.fixture
async def gated(process_platform: Platform, token: str, tmp_path: Path) -> AsyncIterator[Paused]:
    gated = Paused(process_platform, token, tmp_path / "gate")
    if process_platform.stage(SPACE, token) != "RUNNING":
        await gated.restart()
    yield gated
    gated.gate.touch()


@pytest.fixture
def client(gated: Paused) -> Client:
    return Client(gated.platform.run_url(SPACE), verbose=False)


async def join(socket: aiohttp.ClientWebSocketResponse, gated: Paused, name: str) -> str:
    await socket.send_json({"msg": "join", "api_name": "wait", "data": [str(gated.gate), name]})
    return str((await until(socket, "joined"))["event_id"])


async def test_who_runs_and_who_waits_keep_their_places_and_are_served_when_it_starts_again(
    gated: Paused, http: aiohttp.ClientSession, client: Client
) -> None:
    """Paused twice: the second time would be the second death of the running event's container."""
    async with http.ws_connect(gated.url) as runs, http.ws_connect(gated.url) as waits:
        first = await join(runs, gated, "first")
        await eventually(lambda: gated.starts() == ["first"], "it runs")
        second = await join(waits, gated, "second")
        program = client.submit(str(gated.gate), "third", api_name="/wait")
        await eventually(lambda: gated.in_line()["pending"] == 2, "the program waits")
        async with http.post(gated.call, json={"data": [str(gated.gate), "fourth"]}) as answer:
            posted = await answer.json()
        await eventually(lambda: gated.in_line()["pending"] == 3, "they wait")
        for again in (["first"] * 2, ["first"] * 3):
            # A change that is undone within a second is not published.
            await until(waits, "status", stage="RUNNING")
            gated.pause()
            for socket, event_id in ((runs, first), (waits, second)):
                told = await until(socket, "log", event_id=event_id)
                assert WORDS in told["log"]
                assert told["code"] == "space.paused"
            await until(waits, "status", stage="PAUSED")
            place = await until(runs, "place", event_id=first, state="pending")
            assert place["position"] == 0
            await gated.restart()
            await eventually(partial(gated.started, again), "it runs again, and nobody before it")
        gated.gate.touch()
        for socket, event_id, name in ((runs, first, "first"), (waits, second, "second")):
            ended = await until(socket, "process_completed", event_id=event_id)
            assert ended["output"]["data"] == [f"{name} done"]
        assert program.result(timeout=60) == "third done"
        async with http.get(f"{gated.call}/{posted['event_id']}") as answer:
            text = await answer.text()
        assert text.count(f": The owner paused this Space. {WORDS}") == 2
        assert 'event: complete\ndata: ["fourth done"]' in text
    assert gated.starts() == ["first"] * 3 + ["second", "third", "fourth"]


async def test_who_comes_while_it_is_paused_is_refused_with_the_reason(
    gated: Paused, http: aiohttp.ClientSession, client: Client
) -> None:
    gated.pause()
    async with http.post(gated.call, json={"data": ["x", "y"]}) as answer:
        assert answer.status == 503
        said = (await answer.json())["detail"]
    assert said == "This Space is paused by its owner."
    with pytest.raises(AppError, match="paused by its owner"):
        client.predict("x", "y", api_name="/wait")
    async with http.ws_connect(gated.url) as socket:
        await socket.send_json({"msg": "join", "api_name": "wait", "data": ["x", "y"]})
        ended = await until(socket, "process_completed")
        assert (ended["success"], ended["output"]["error"]) == (False, said)
    assert gated.in_line()["pending"] == 0


async def test_a_request_that_is_held_is_told_to_come_again(
    gated: Paused, http: aiohttp.ClientSession
) -> None:
    """It cannot be told to wait, and who sent it may not be able to."""
    url = f"{gated.platform.run_url(SPACE)}gradio_api/run/wait"
    sent = asyncio.create_task(http.post(url, json={"data": [str(gated.gate), "held"]}))
    await eventually(lambda: gated.starts() == ["held"], "it runs")
    gated.pause()
    async with await sent as answer:
        assert answer.status == 503
        assert "The owner paused this Space" in (await answer.json())["detail"]
    await gated.restart()
    await eventually(lambda: gated.in_line()["running"] == gated.in_line()["pending"] == 0, "it was given up")
    assert gated.starts() == ["held"]
