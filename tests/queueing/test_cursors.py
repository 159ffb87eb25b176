"""How far a session's client has been told: what a new stream begins with, and when one may end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from queueing.delivery import cursors
from queueing.delivery.cursors import Cursor, last_received
from queueing.messages import cancelled
from queueing.store.queue import Queue
from tests.waiting import eventually

Joins = Callable[..., Awaitable[Any]]
SESSION = "session"
LONG_AGO_S = 60.0


@pytest.fixture
def cursor(queue: Queue, redis: Redis) -> Cursor:
    return Cursor(redis, queue.keys, SESSION)


async def noted(cursor: Cursor, note: bytes) -> None:
    """Until the note is this one."""

    async def is_so() -> bool:
        return bool(await cursor.redis.get(cursor.keys.cursor(SESSION)) == note)

    await eventually(is_so, f"the note is {note!r}")


async def told(cursor: Cursor, number: int) -> None:
    """Until it is noted that all up to this message is written, and nothing is being written."""

    async def is_so() -> bool:
        note = await cursor.redis.get(cursor.keys.cursor(SESSION)) or b""
        return bool(note.startswith(b"%d 0 " % number))

    await eventually(is_so, f"message {number} is noted")


async def end(queue: Queue, event_id: str) -> None:
    assert await queue.cancel(event_id, SESSION) == "cancelled"


async def long_ago(queue: Queue, event_id: str) -> None:
    """As if it had joined a minute ago."""
    key = queue.keys.event(event_id)
    joined = float(await queue.redis.hget(key, "joined"))
    await queue.redis.hset(key, "joined", joined - LONG_AGO_S)


async def say(queue: Queue, event_id: str) -> None:
    """A message that is no end."""
    key = queue.keys.messages(SESSION)
    await queue.redis.xadd(key, {"d": cancelled(event_id), "e": event_id, "f": "0"}, id="0-*")
    await queue.redis.expire(key, 60)


async def test_nobody_knows_a_session_that_never_joined(cursor: Cursor) -> None:
    assert await cursor.listen() is None


async def test_an_end_that_was_written_is_not_told_again(queue: Queue, join: Joins, cursor: Cursor) -> None:
    event = await join(SESSION)
    await end(queue, event.event_id)
    assert await cursor.begins(1), "nothing else is to be told"
    cursor.written(1, "closed")
    await noted(cursor, b"1 0 0")
    begin = await cursor.listen()
    assert begin is not None
    assert begin.after == 1


async def test_a_stream_opened_while_an_end_is_being_written_waits_for_that(
    queue: Queue, join: Joins, cursor: Cursor
) -> None:
    event = await join(SESSION)
    await end(queue, event.event_id)
    await cursor.begins(1)
    opening = asyncio.create_task(cursor.listen())
    await asyncio.sleep(5 * cursors.CHECK_EVERY_S)
    assert not opening.done()
    cursor.written(1, "closed")
    begin = await opening
    assert begin is not None
    assert begin.after == 1


async def test_an_end_whose_process_died_before_it_was_written_is_told_again(
    queue: Queue, join: Joins, cursor: Cursor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cursors, "WRITTEN_WITHIN_S", 0.05)
    event = await join(SESSION)
    await end(queue, event.event_id)
    await cursor.begins(1)
    begin = await cursor.listen()
    assert begin is not None
    assert begin.after == 0


async def test_a_stream_ends_neither_while_an_event_is_open_nor_before_all_is_told(
    queue: Queue, join: Joins, cursor: Cursor
) -> None:
    first, second = await join(SESSION), await join(SESSION)
    await end(queue, first.event_id)
    assert not await cursor.begins(1), "the other one is open"
    await end(queue, second.event_id)
    assert not await cursor.begins(1), "its end is not told"
    assert await cursor.begins(2)


async def test_who_joins_while_an_end_is_being_told_is_told_so(
    queue: Queue, join: Joins, cursor: Cursor
) -> None:
    event = await join(SESSION)
    await end(queue, event.event_id)
    await cursor.begins(1)
    assert (await join(SESSION)).end_in_flight
    cursor.written(1)
    await cursor.apart()
    assert not (await join(SESSION)).end_in_flight


async def test_of_two_streams_the_slower_takes_nothing_back(cursor: Cursor) -> None:
    cursor.written(7)
    cursor.written(3, "closed")
    await noted(cursor, b"7 0 0")


async def test_who_hung_up_amid_an_event_and_listens_again_is_told_the_rest(
    queue: Queue, join: Joins, cursor: Cursor
) -> None:
    event = await join(SESSION)
    await long_ago(queue, event.event_id)
    await cursor.listen()
    await say(queue, event.event_id)
    cursor.written(1, "hung_up")
    await told(cursor, 1)
    begin = await cursor.listen()
    assert begin is not None
    assert (begin.after, begin.dropped, begin.given_up) == (1, frozenset(), ())


@pytest.mark.parametrize("noticed", [True, False])
async def test_who_hung_up_amid_an_event_and_calls_anew_has_given_it_up(
    queue: Queue, join: Joins, cursor: Cursor, noticed: bool
) -> None:
    event = await join(SESSION)
    await cursor.listen()
    await say(queue, event.event_id)
    cursor.written(1, "hung_up" if noticed else "written")
    await told(cursor, 1)
    new = await join(SESSION)
    begin = await cursor.listen()
    assert begin is not None
    assert begin.given_up == (event.event_id,)
    assert begin.dropped == {event.event_id}
    await end(queue, new.event_id)
    assert await cursor.begins(2), "nothing else is to be told, though the other one may still run"
    cursor.written(2, "closed")
    await told(cursor, 2)
    begin = await cursor.listen()
    assert begin is not None
    assert (begin.dropped, begin.given_up) == (frozenset([event.event_id]), ())


async def test_events_joined_before_the_first_stream_are_all_told(join: Joins, cursor: Cursor) -> None:
    await join(SESSION)
    await join(SESSION)
    begin = await cursor.listen()
    assert begin is not None
    assert (begin.after, begin.dropped) == (0, frozenset())


async def test_a_note_of_an_earlier_version_is_read(queue: Queue, redis: Redis, cursor: Cursor) -> None:
    await redis.set(queue.keys.cursor(SESSION), 12)
    begin = await cursor.listen()
    assert begin is not None
    assert begin.after == 12


@pytest.mark.parametrize(("note", "number"), [(None, 0), (b"12", 12), (b"12 15 1", 12)])
def test_the_last_message_told_stands_first(note: bytes | None, number: int) -> None:
    assert last_received(note) == number
