"""What all calls of a Space keep in Redis is counted to the byte, whatever dies, and bounded: who comes
beyond it is told so, once what nobody waits for has made room."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from queueing.delivery.positions import Positions
from queueing.delivery.streams import MessageStreams
from queueing.errors import StorageLimit
from queueing.events import Accepted, Call
from queueing.messages import completed, failed
from queueing.protocols.gradio import FORGOTTEN, GradioProtocol
from queueing.protocols.reading_ahead import BYTES, MESSAGES, ReadingAhead
from queueing.routes import Route
from queueing.store import queue as queue_module
from queueing.store.admin_ops import clear
from queueing.store.http_results import Answer, ResponseStore
from queueing.store.options import QueueOptions
from queueing.store.queue import MAX_LOSSES, Queue
from tests.waiting import eventually

Joins = Callable[..., Awaitable[Accepted]]

MOST = 1_000_000
HALF = {"data": ["x" * (MOST // 2)]}
BOUNDED = QueueOptions(space_bytes=MOST)
NO_GRACE = QueueOptions(space_bytes=MOST, disconnect_grace_s=0)


async def kept(queue: Queue) -> int:
    """What is really there."""
    found = 0
    async for key in queue.redis.scan_iter(f"{queue.keys.prefix}*"):
        kind = key.decode().split(":")[2]
        if kind == "ev":
            found += sum([await queue.redis.hstrlen(key, field) for field in ("body", "request")])
        elif kind == "msgs":
            found += sum(len(fields[b"d"]) for _, fields in await queue.redis.xrange(key))
        elif kind == "answer":
            found += await queue.redis.strlen(key)
    return found


async def counted(queue: Queue) -> int:
    """What the scripts say is there."""
    everything = {k: int(v) for k, v in (await queue.redis.hgetall(queue.keys.kept_bytes)).items()}
    total = everything.pop(b"all", 0)
    assert total == sum(everything.values())
    assert everything.keys() == set(await queue.redis.zrange(queue.keys.kept_until, 0, -1))
    return total


async def claimed(queue: Queue, holder: str = "d") -> Call:
    assert await queue.acquire(holder)
    ((call, *_), _) = await queue.claim(holder)
    return call


async def end(queue: Queue, call: Call, size: int = 10, free: bool = True) -> None:
    (event,) = call.events
    payload = completed(event.id, {"data": ["x" * size]})
    assert await queue.finish(event, call, "completed", payload, free=free, took_s=0)


@pytest.fixture
def bounded(join: Joins) -> Joins:
    """Join where not much is kept."""
    return partial(join, options=BOUNDED)


async def test_every_step_of_an_event_is_counted(queue: Queue, join: Joins) -> None:
    accepted = await join(body={"data": ["x" * 5000]})
    assert await counted(queue) == await kept(queue) > 5000
    call = await claimed(queue)
    (event,) = call.events
    for size in (10, 100_000, 3_000_000):
        assert await queue.emit(event, call.token, b"m" * size)
        assert await counted(queue) == await kept(queue)
    await end(queue, call, size=50)
    assert 3_000_000 < await counted(queue) == await kept(queue)
    await queue.publish_refusal("e", "session", failed("e", "no"))
    cancelled = await join("other")
    assert await queue.cancel(cancelled.event_id, "other") == "cancelled"
    await join("third")
    await asyncio.to_thread(clear, queue.space_id)
    assert await counted(queue) == await kept(queue)
    assert accepted.event_id


async def test_of_a_long_stream_the_latest_are_kept_and_counted(queue: Queue, join: Joins) -> None:
    await join()
    call = await claimed(queue)
    for n in range(0, 2600, 100):
        await queue.emit(call.events[0], call.token, *[b"m" * (n + i) for i in range(100)])
    assert await queue.redis.xlen(queue.keys.messages("session")) in range(2000, 2020)
    assert await counted(queue) == await kept(queue)


async def test_it_is_exact_whatever_dies(queue: Queue, join: Joins) -> None:
    await join(body={"data": ["x" * 5000]})
    for n in range(MAX_LOSSES):
        call = await claimed(queue, f"d{n}")
        await queue.emit(call.events[0], call.token, b"half of it")
        assert await counted(queue) == await kept(queue)
        await queue.redis.delete(queue.keys.lease(""))
    await queue.acquire("heir")  # it has failed by now
    assert not await queue.emit(call.events[0], call.token, b"too late")
    assert await counted(queue) == await kept(queue) < 5000


async def test_it_returns_to_zero_when_the_time_of_all_is_over(
    queue: Queue, join: Joins, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_module, "FINAL_TTL_S", 1)
    monkeypatch.setattr(queue_module, "PENDING_TTL_S", 1)
    await join("ended", body=HALF)
    await end(queue, await claimed(queue))
    await join("never claimed")
    assert await counted(queue) == await kept(queue) > 0

    async def gone() -> bool:
        return not await kept(queue)

    await eventually(gone, "Redis has dropped all of it")

    async def none_counted() -> bool:
        with pytest.raises(StorageLimit):
            await join("too much", options=QueueOptions(space_bytes=0))
        return not await counted(queue)

    await eventually(none_counted, "the next one who comes finds none counted")


async def test_a_session_that_comes_back_when_all_of_it_was_dropped_is_counted_anew(
    queue: Queue, join: Joins
) -> None:
    await join()
    await end(queue, await claimed(queue), size=5000)
    await queue.redis.delete(queue.keys.messages("session"))  # as if its time were over
    await queue.publish_refusal("e", "session", failed("e", "no"))
    assert await counted(queue) == await kept(queue) < 5000


async def test_answers_count_until_they_are_taken(queue: Queue) -> None:
    answers = ResponseStore(queue.redis, queue.space_id)
    await answers.keep("one", Answer(200, (), b"x" * 1000))
    await answers.keep("one", Answer(200, (), b"x" * 2000))
    assert await counted(queue) == await kept(queue) > 2000
    assert (await answers.take("one") or Answer(0, (), b"")).body == b"x" * 2000
    assert await counted(queue) == await kept(queue) == 0


async def test_who_comes_beyond_the_bound_is_told_so_until_others_have_ended(
    queue: Queue, bounded: Joins
) -> None:
    first = await bounded(body=HALF)
    with pytest.raises(StorageLimit, match=r"keep 500,\d+ of at most 1,000,000 bytes") as refused:
        await bounded("other", body=HALF)
    assert refused.value.status == 429
    await bounded("small")
    assert await queue.cancel(first.event_id, "session") == "cancelled"
    await bounded("other", body=HALF)
    assert await counted(queue) == await kept(queue) < MOST


async def test_old_results_make_room_but_none_that_somebody_waits_for(
    queue: Queue, bounded: Joins, route: Route, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = await bounded("old")
    await end(queue, await claimed(queue), size=MOST // 2)
    await bounded("new")
    call = await claimed(queue)
    await queue.emit(call.events[0], call.token, b"m" * (MOST // 4))
    with pytest.raises(StorageLimit):
        await bounded("other", body=HALF)  # its visitor may just have lost the connection
    await bounded("other", body=HALF, options=NO_GRACE)
    assert await counted(queue) == await kept(queue) < MOST
    assert await queue.redis.xlen(queue.keys.messages("new")) == 1
    # What its session is told next has the next number, and who asks for the old result is told of it.
    key = queue.keys.messages("old")
    assert (await queue.redis.xinfo_stream(key))["last-generated-id"] == b"0-1"
    monkeypatch.setattr("queueing.protocols.gradio.HEARTBEAT_S", 0.1)
    streams = MessageStreams(queue.redis)
    protocol = GradioProtocol(queue.redis, streams, Positions(queue.redis), lambda _: asyncio.sleep(0))
    async with contextlib.aclosing(protocol.event_messages(route, old.event_id)) as messages:  # type: ignore[type-var]
        said = [message async for message in messages]
    await streams.close()
    assert [(one["msg"], one["output"]["error"]) for one in said] == [("process_completed", FORGOTTEN)]


async def test_what_a_client_is_just_being_told_stays(queue: Queue, bounded: Joins) -> None:
    await bounded("slow")
    await end(queue, await claimed(queue), size=MOST * 2 // 3)
    await queue.redis.set(queue.keys.cursor("slow"), "0 0 1", ex=60)  # a stream is open, nothing written
    with pytest.raises(StorageLimit):
        await bounded("other", body=HALF, options=NO_GRACE)
    await queue.redis.set(queue.keys.cursor("slow"), "1 0 1", ex=60)
    await bounded("other", body=HALF, options=NO_GRACE)


@pytest.mark.parametrize(
    ("sizes", "read"), [([10] * 100, MESSAGES), ([BYTES // 2 + 1] * 3, 1), ([BYTES * 3] * 2, 1)]
)
async def test_for_a_client_that_takes_nothing_no_more_is_read_than_there_is_room_for(
    sizes: list[int], read: int
) -> None:
    ahead = ReadingAhead()

    async def read_all() -> None:
        for size in sizes:
            await ahead.read(size)
            done.append(size)

    done: list[int] = []
    reading = asyncio.create_task(read_all())
    for step in range(len(sizes)):
        for _ in range(3 * len(sizes)):
            await asyncio.sleep(0)
        assert len(done) == min(read + step, len(sizes))
        ahead.written(done[step])
    await reading
