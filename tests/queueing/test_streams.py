"""When a session's stream ends, and that it stays for a client that calls again at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from queueing.delivery.positions import Positions
from queueing.delivery.streams import MessageStreams
from queueing.messages import CLOSE_STREAM, HEARTBEAT
from queueing.protocols import gradio_stream
from queueing.protocols.gradio import GradioProtocol
from queueing.protocols.gradio_stream import sse
from queueing.routes import Route
from queueing.store.queue import Queue

Joins = Callable[..., Awaitable[Any]]
SESSION = "session"


@pytest.fixture
async def protocol(redis: Redis) -> AsyncIterator[GradioProtocol]:
    async def wake(_: Route) -> None:
        return

    streams = MessageStreams(redis)
    yield GradioProtocol(redis, streams, Positions(redis), wake)
    await streams.close()


async def call(queue: Queue, join: Joins) -> str:
    """An event that has ended, cancelled as it is."""
    event_id: str = (await join(SESSION)).event_id
    await queue.cancel(event_id, SESSION)
    return event_id


async def until_it_ends(protocol: GradioProtocol, route: Route) -> list[bytes]:
    async with asyncio.timeout(20):
        return [chunk async for chunk in protocol.data(route, SESSION)]


async def test_it_ends_in_one_piece_with_the_last_event(
    protocol: GradioProtocol, route: Route, queue: Queue, join: Joins
) -> None:
    await call(queue, join)
    event_id = await call(queue, join)
    *_, last = await until_it_ends(protocol, route)
    assert event_id.encode() in last
    assert last.endswith(sse(CLOSE_STREAM))


async def test_of_what_is_over_its_client_hears_that_nothing_is_to_come(
    protocol: GradioProtocol, route: Route, queue: Queue, join: Joins, monkeypatch: pytest.MonkeyPatch
) -> None:
    await call(queue, join)
    await until_it_ends(protocol, route)
    monkeypatch.setattr(gradio_stream, "HEARTBEAT_S", 0.1)
    assert await until_it_ends(protocol, route) == [b"", sse(CLOSE_STREAM)], "its headers at once"


async def test_who_waits_gets_heartbeats(
    protocol: GradioProtocol, route: Route, join: Joins, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gradio_stream, "HEARTBEAT_S", 0.1)
    await join(SESSION)
    seen: list[bytes] = []
    async with contextlib.aclosing(protocol.data(route, SESSION)) as chunks, asyncio.timeout(20):  # type: ignore[type-var]
        async for chunk in chunks:
            seen.append(chunk)
            if seen.count(sse(HEARTBEAT)) == 3:
                break
    assert sse(CLOSE_STREAM) not in seen


async def test_it_stays_for_a_client_that_calls_again_at_once(
    protocol: GradioProtocol, route: Route, queue: Queue, join: Joins, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("queueing.delivery.keeping.KEEP_S", 5.0)
    await call(queue, join)
    await until_it_ends(protocol, route)  # the first one does not: nobody knows yet that it is worth it
    calls = [await call(queue, join)]
    seen: list[bytes] = []
    async with contextlib.aclosing(protocol.data(route, SESSION)) as chunks, asyncio.timeout(20):  # type: ignore[type-var]
        async for chunk in chunks:
            seen.append(chunk)
            if len(calls) == 3:
                break
            calls.append(await call(queue, join))
    assert [event_id.encode() in chunk for event_id, chunk in zip(calls, seen, strict=True)] == [True] * 3
    assert not any(sse(CLOSE_STREAM) in chunk for chunk in seen)


async def test_what_joins_while_the_stream_ends_is_told_by_the_next_one(
    protocol: GradioProtocol, route: Route, queue: Queue, join: Joins
) -> None:
    await call(queue, join)
    async with contextlib.aclosing(protocol.data(route, SESSION)) as chunks, asyncio.timeout(20):  # type: ignore[type-var]
        assert (await anext(chunks)).endswith(sse(CLOSE_STREAM))
        joined = await join(SESSION)
        assert joined.end_in_flight, "its answer waits until the client has heard that"
    await queue.cancel(joined.event_id, SESSION)
    assert joined.event_id.encode() in b"".join(await until_it_ends(protocol, route))
