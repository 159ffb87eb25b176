"""Work that nobody serves is noticed by looking."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from queueing.dispatch import reaper
from queueing.events import Accepted
from queueing.routes import encode
from queueing.store.queue import Queue
from tests.events import a_route

Joins = Callable[..., Awaitable[Accepted]]


async def runs_at(queue: Queue, address: str, stage: str) -> None:
    route = a_route(queue.space_id, stage=stage, address=address)
    await queue.redis.set(queue.keys.route, encode(route))


async def forgotten(queue: Queue) -> list[str]:
    """As `queueing.tasks.reap` finds them, among others that are idle."""
    at_work = await reaper.at_work(queue.redis, [queue.space_id + 1, queue.space_id, queue.space_id + 2])
    return [route.stage for route in await reaper.forgotten(queue.redis, at_work)]


async def test_a_sleeping_space_with_somebody_in_line_is_found(queue: Queue, join: Joins) -> None:
    """He joined while the last dispatcher's lease was still there, so his joining woke nobody."""
    await queue.acquire("last")
    await runs_at(queue, "", "SLEEPING")
    assert not (await join()).wake
    assert await forgotten(queue) == []
    await queue.release("last", force=True)
    assert await forgotten(queue) == ["SLEEPING"]


async def test_a_running_space_is_found_only_while_nobody_serves_it(queue: Queue, join: Joins) -> None:
    await runs_at(queue, "127.0.0.1:1", "RUNNING")
    assert await forgotten(queue) == []
    await join()
    assert await forgotten(queue) == ["RUNNING"]
    await queue.acquire("one")
    assert await forgotten(queue) == []
