"""A client that reads slowly is told the newest state and every message, and holds up nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from unittest.mock import Mock

import pytest
from uvicorn.protocols.utils import ClientDisconnected

import queueing.delivery.outbox
from queueing.delivery.outbox import ROOM_BYTES, Outbox, TooSlow
from queueing.delivery.streams import INBOX, MessageStreams
from queueing.events import Accepted
from queueing.protocols.websocket import QueueConsumer
from queueing.store.keys import SpaceKeys
from queueing.store.queue import Queue
from tests.waiting import eventually

Joins = Callable[..., Awaitable[Accepted]]


class Reader:
    """Takes what it is given only while it may."""

    def __init__(self) -> None:
        self.took: list[bytes] = []
        self.may = asyncio.Event()

    async def __call__(self, payload: bytes) -> None:
        await self.may.wait()
        self.took.append(payload)


async def test_of_a_state_only_the_newest_is_told() -> None:
    reader = Reader()
    outbox = Outbox(reader)
    for number in range(1000):
        outbox.state("place", b"place %d" % number)
        outbox.state("line", b"line %d" % number)
    reader.may.set()
    await eventually(lambda: sorted(reader.took) == [b"line 999", b"place 999"], f"newest: {reader.took}")


async def test_no_message_is_missing_and_their_order_stays() -> None:
    reader = Reader()
    outbox = Outbox(reader)
    for number in range(100):
        await outbox.message(b"%d" % number)
    reader.may.set()
    await eventually(lambda: len(reader.took) == 100, "all are there")
    assert reader.took == [b"%d" % number for number in range(100)]


async def test_who_takes_nothing_is_given_up_when_there_is_no_more_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(queueing.delivery.outbox, "PATIENCE_S", 0.05)
    outbox = Outbox(Reader())

    async def flood() -> None:
        for _ in range(10):
            await outbox.message(bytes(ROOM_BYTES // 4))

    with pytest.raises(TooSlow):
        await flood()


async def test_a_slow_follower_reads_what_was_dropped_for_it_from_the_stream(
    queue: Queue, join: Joins
) -> None:
    """More news than its inbox holds; it has to take them up one by one, none missing, none twice."""
    streams = MessageStreams(queue.redis)
    key = SpaceKeys(queue.space_id).messages("s")
    many = 5 * INBOX
    heard: list[int] = []
    go_on = asyncio.Event()

    async def follow() -> None:
        async for message in streams.follow(queue.keys, "s"):
            heard.append(message.number)
            if message.number == 1:
                await go_on.wait()

    await join(channel="s")
    await queue.acquire("d")
    (call,), _ = await queue.claim("d")
    task = asyncio.create_task(follow())
    await queue.emit(call.events[0], call.token, b"{}")
    await eventually(lambda: heard == [1], "it follows")
    for _ in range(many):
        await queue.emit(call.events[0], call.token, b"{}")
    (follower,) = streams._followers[key]
    assert len(follower.inbox) <= INBOX
    go_on.set()
    await eventually(lambda: len(heard) > many, "it has caught up")
    assert heard == list(range(1, many + 2))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await streams.close()


@pytest.mark.parametrize("error", [RuntimeError, ClientDisconnected])
async def test_a_socket_that_closed_as_it_was_written_to_is_no_fault(error: type[Exception]) -> None:
    async def closed(_message: dict[str, Any]) -> None:
        raise error

    consumer = QueueConsumer(Mock())
    consumer.base_send = closed
    await consumer._write(b"{}")
    await consumer.close()
