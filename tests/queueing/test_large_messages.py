"""Large messages reach who follows, in their order, and Redis does not hang up on anybody for them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from queueing.delivery.streams import MessageStreams
from queueing.events import Accepted, decode
from queueing.messages import completed
from queueing.store.queue import Queue

SIZES = (10, 3_000_000, 10, 10, 10, 10, 2_000_000, 2_000_000, 10)


async def test_large_messages_are_announced_by_a_word_and_read_from_the_stream(
    queue: Queue, join: Callable[..., Awaitable[Accepted]]
) -> None:
    await join()
    await queue.acquire("d")
    ((call,), _) = await queue.claim("d")
    (event,) = call.events
    key = queue.keys.messages(event.channel)
    announced: list[int] = []
    streams = MessageStreams(queue.redis)

    async def listen() -> None:
        async with queue.redis.pubsub(ignore_subscribe_messages=True) as pubsub:
            await pubsub.subscribe(key)
            async for message in pubsub.listen():
                announced.append(len(message["data"]))

    async def follow() -> list[int]:
        sizes = []
        async with contextlib.aclosing(streams.follow(queue.keys, event.channel)) as messages:  # type: ignore[type-var]
            async for message in messages:
                sizes.append(len(decode(message.payload)["output"]["data"][0]))
                if message.final:
                    break
        return sizes

    listening, following = asyncio.create_task(listen()), asyncio.create_task(follow())
    for size in SIZES[:-1]:
        await queue.emit(event, call.token, completed(event.id, {"data": ["x" * size]}))
    end = completed(event.id, {"data": ["x" * SIZES[-1]]})
    await queue.finish(event, call, "completed", end, free=True, took_s=0)
    async with asyncio.timeout(30):
        assert await following == list(SIZES)
    listening.cancel()
    assert max(announced, default=0) < 1024 * 1024
    await streams.close()
