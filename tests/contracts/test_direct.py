"""The direct way into an app, and Gradio's own protocol: a call means the same by both, and by the direct way
it outlives whoever asked for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import msgspec
import pytest
import requests
from msgspec import structs

from hardware.replica_client import ReplicaClient
from queueing.dispatch.backends.gradio_sse import GradioSseClient
from queueing.dispatch.backends.launcher import LauncherClient, LauncherMessage
from queueing.errors import ContainerDied
from queueing.events import Event, decode
from queueing.protocols.gradio_config import app_from_config
from queueing.routes import App, Route
from tests.contracts.launched import call, event_of, launched, route_to, told, words
from tests.sockets import client

__all__ = ["client"]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with launched("everything") as there:
        yield there


@pytest.fixture(scope="module")
def app(address: str) -> App:
    config = requests.get(f"http://{address}/config", timeout=10).json()
    return structs.replace(app_from_config(config), gate=True)


@pytest.fixture
def route(address: str, app: App) -> Route:
    return route_to(address, app)


@pytest.fixture
async def direct(client: ReplicaClient, route: Route) -> AsyncIterator[LauncherClient]:
    made = LauncherClient(client, route)
    assert await made.open() is not None
    yield made
    await made.close()


def event(app: App, api_name: str, *data: Any, session: str = "") -> Event:
    function = app.named(api_name)
    assert function is not None
    return event_of(function.id, *data, session=session)


@pytest.mark.parametrize(
    ("api_name", "data"),
    [("echo", ["Ada"]), ("count_up", [3]), ("fail", ["x"]), ("bug", ["x"]), ("step", ["s"]), ("slow", ["z"])],
)
async def test_both_ways_tell_the_same(
    client: ReplicaClient, route: Route, direct: LauncherClient, api_name: str, data: list[Any]
) -> None:
    asked = event(route.app, api_name, *data)
    by_gradio = [
        words(decode(message.about(""))) async for message in GradioSseClient(client, route).call(asked)
    ]
    directly = [words(decode(said.payload)) for said in await told(direct, event(route.app, api_name, *data))]
    # How often progress is told is a matter of time.
    assert [m for m in directly if m["msg"] != "progress"] == [m for m in by_gradio if m["msg"] != "progress"]
    assert {m["msg"] for m in directly} == {m["msg"] for m in by_gradio}


async def test_state_is_the_sessions_by_both_ways(
    client: ReplicaClient, route: Route, direct: LauncherClient
) -> None:
    seen = []
    for _ in range(2):
        said = await told(direct, event(route.app, "remember", None, session="one"))
        seen.append(decode(said[-1].payload)["output"]["data"][1])
        async for message in GradioSseClient(client, route).call(
            event(route.app, "remember", None, session="one")
        ):
            last = decode(message.about(""))
        seen.append(last["output"]["data"][1])
    assert seen == [1, 2, 3, 4]


async def test_a_hundred_calls_at_once_are_told_apart(route: Route, direct: LauncherClient) -> None:
    calls = [event(route.app, "echo", str(n)) for n in range(100)]
    answers = await asyncio.gather(*(told(direct, asked) for asked in calls))
    assert [decode(said[-1].payload)["output"]["data"] for said in answers] == [
        [f"hello {n}"] for n in range(100)
    ]


async def test_a_running_generator_is_ended(route: Route, direct: LauncherClient) -> None:
    forever = event(route.app, "forever")
    said: list[LauncherMessage] = []
    direct.begin(call(forever))
    async for taken in direct.messages(forever.id):
        said += taken
        if len(said) >= 3:
            direct.cancel(forever.id)
    assert said[-1].kind == "cancelled"


async def test_a_call_outlives_its_connection_and_is_not_run_twice(
    client: ReplicaClient, route: Route
) -> None:
    first = LauncherClient(client, route)
    await first.open()
    asked = event(route.app, "count_up", 40)
    before: list[LauncherMessage] = []
    first.begin(call(asked))
    async for taken in first.messages(asked.id):
        before += taken
        if len(before) >= 4:
            break
    await first.close()
    second = LauncherClient(client, route)
    running = await second.open()
    assert running == [asked.id]
    goes_on = replace(asked, published=before[-1].number, retry=False, losses=1)
    after = await told(second, goes_on)
    numbers = [said.number for said in (*before, *after)]
    assert numbers == list(range(1, len(numbers) + 1)), "nothing is missed, nothing comes twice"
    assert decode(after[-1].payload)["output"]["data"] == ["x" * 40]
    second.forget(asked.id)
    assert (await told(second, goes_on))[-1].kind == "unknown"
    await second.close()


async def test_a_dispatcher_that_slept_behind_its_claim_runs_nothing_again(
    client: ReplicaClient, route: Route
) -> None:
    """It wakes with a claim that another one has run to its end meanwhile; its connection still stands."""
    asleep, other = LauncherClient(client, route), LauncherClient(client, route)
    await asleep.open()
    await told(asleep, event(route.app, "echo", "before"))
    await other.open()
    asked = event(route.app, "remember", None, session="twice")
    (*_, end) = await told(other, asked)
    assert decode(end.payload)["output"]["data"][1] == 1
    other.forget(asked.id)
    assert [said.kind for said in await told(asleep, asked)] == ["unknown"]
    (*_, end) = await told(other, event(route.app, "remember", None, session="twice"))
    assert decode(end.payload)["output"]["data"][1] == 2
    await asleep.close()
    await other.close()


async def test_who_comes_next_hears_when_a_stray_call_ends(client: ReplicaClient, route: Route) -> None:
    first = LauncherClient(client, route)
    await first.open()
    slow = event(route.app, "slow", "s")
    first.begin(call(slow))
    async for _ in first.messages(slow.id):
        break
    await first.close()
    second = LauncherClient(client, route)
    assert slow.id in (await second.open() or ())
    async with asyncio.timeout(10):
        await second.stray_ended(slow.id)
    await second.close()


async def test_a_container_that_goes_away_is_told_to_all_who_wait(
    client: ReplicaClient, route: Route
) -> None:
    server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    gone = LauncherClient(client, msgspec.structs.replace(route, address=f"127.0.0.1:{port}"))
    with pytest.raises(ContainerDied):
        await gone.open()
    await gone.close()
    server.close()


async def test_a_call_ahead_of_its_turn_starts_when_the_one_before_ends(
    route: Route, direct: LauncherClient
) -> None:
    calls = [event(route.app, "slow", name) for name in ("first", "second")]
    heard: list[tuple[str, str]] = []

    async def listen(asked: Event) -> None:
        direct.begin(call(asked, places=1))
        async for taken in direct.messages(asked.id):
            heard.extend((asked.body["data"][0], decode(said.payload)["msg"]) for said in taken)

    async with asyncio.timeout(30):
        await asyncio.gather(*(listen(asked) for asked in calls))
    starts, ends = (
        [name for name, what in heard if what == word] for word in ("process_starts", "process_completed")
    )
    assert starts == ends == ["first", "second"]
    assert heard[0] == ("first", "process_starts")
    # The second one's start, and the first one's end: the function is free before its result has been told.
    assert {what for _, what in heard[1:3]} == {"process_starts", "process_completed"}


async def test_a_call_that_waits_there_is_taken_back_and_one_that_runs_is_not(
    route: Route, direct: LauncherClient
) -> None:
    running, waiting = (event(route.app, "slow", name) for name in "ab")
    for asked in (running, waiting):
        direct.begin(call(asked, places=1))
    first = direct.messages(running.id)
    assert (await anext(first))[0].kind == "more"
    for asked in (running, waiting):
        direct.back(asked.id)
    async with asyncio.timeout(30):
        assert [said.kind for taken in [t async for t in direct.messages(waiting.id)] for said in taken] == [
            "back"
        ]
        last = [said async for taken in first for said in taken][-1]
    assert last.kind == "completed"
    assert last.took_s >= 1
    # It may come again, under the same name.
    assert (await told(direct, waiting, places=1))[-1].kind == "completed"


async def test_a_call_that_waits_there_is_ended_for_its_visitor_at_once(
    route: Route, direct: LauncherClient
) -> None:
    running, waiting = event(route.app, "step", "a"), event(route.app, "slow", "b")
    for asked in (running, waiting):
        direct.begin(call(asked, places=1))
    first = direct.messages(running.id)
    while b'"msg":"progress"' not in (await anext(first))[-1].payload:
        pass  # it is not in its function yet
    direct.cancel(waiting.id)
    direct.cancel(running.id)  # a plain function cannot be ended
    async with asyncio.timeout(30):
        assert [said.kind async for taken in direct.messages(waiting.id) for said in taken] == ["cancelled"]
        assert [said async for taken in first for said in taken][-1].kind == "completed"


@pytest.mark.parametrize(("order", "end"), [("cancel", "cancelled"), ("back", "back")])
async def test_a_call_that_is_ended_before_it_could_begin_has_an_end(
    route: Route, direct: LauncherClient, order: str, end: str
) -> None:
    running, waiting, after = (event(route.app, "slow", name) for name in "abc")
    direct.begin(call(running, places=1))
    first = direct.messages(running.id)
    await anext(first)
    # The app reads both in one piece.
    direct.begin(call(waiting, places=1))
    getattr(direct, order)(waiting.id)
    async with asyncio.timeout(30):
        assert [said.kind async for taken in direct.messages(waiting.id) for said in taken] == [end]
        assert [said async for taken in first for said in taken][-1].kind == "completed"
        assert (await told(direct, after, places=1))[-1].kind == "completed"


async def test_calls_of_one_session_sent_at_once_count_one_after_the_other(
    route: Route, direct: LauncherClient
) -> None:
    calls = [event(route.app, "remember", None, session="ahead") for _ in range(10)]
    answers = await asyncio.gather(*(told(direct, asked, places=1) for asked in calls))
    assert [decode(said[-1].payload)["output"]["data"][1] for said in answers] == list(range(1, 11))


async def test_a_batch_is_one_call_and_its_answers_go_to_whom_they_belong(
    route: Route, direct: LauncherClient
) -> None:
    async def answers(*texts: str) -> list[LauncherMessage]:
        events = [event(route.app, "shout", text) for text in texts]
        direct.begin(call(*events, places=1))
        return [[said async for taken in direct.messages(e.id) for said in taken][-1] for e in events]

    async with asyncio.timeout(30):
        data = [decode(said.payload)["output"]["data"] for said in await answers("a", "b", "c")]
        assert data == [["A of 3"], ["B of 3"], ["C of 3"]]
        assert [said.kind for said in await answers("a", "poison")] == ["failed", "failed"]
