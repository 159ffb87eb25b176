"""One queue, two replicas, each with a dispatcher in a process of its own. These are killed."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import pytest
from aiohttp import web

from queueing.dispatch import reaper
from queueing.events import Accepted
from queueing.routes import App, Place, encode
from queueing.store.queue import Queue
from tests.events import a_route
from tests.waiting import eventually

Joins = Callable[..., Awaitable[Accepted]]

#: Its lease lasts a second and a half, so that a test need not wait long for its end.
DISPATCHER = """
import os, sys
import queueing.dispatch.worker as worker, queueing.store.queue as queue
queue.LEASE_MS = worker.LEASE_MS = 1500
worker.RENEW_S = 0.3
worker.DispatcherPool(os.environ["REDIS_URL"], 60).drain(int(sys.argv[1]), int(sys.argv[2]))
"""
SESSIONS = tuple(f"s{number}" for number in range(6))


class Replica:
    """A container that takes a moment for each request."""

    def __init__(self, number: int) -> None:
        self.number, self.sessions = number, set[str]()
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_post("/slow", self._slow)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.place = Place(self.number, "{}:{}".format(*runner.addresses[0]), "")
        return runner

    async def _slow(self, request: web.Request) -> web.Response:
        if session := request.headers.get("x-session"):
            self.sessions.add(session)
        await asyncio.sleep(0.05)
        return web.Response(text="done")

    async def serve(self, queue: Queue) -> asyncio.subprocess.Process:
        """A dispatcher for it begins."""
        made = await asyncio.create_subprocess_exec(
            sys.executable, "-c", DISPATCHER, str(queue.space_id), str(self.number)
        )
        self.process = made
        return made

    async def kill(self) -> None:
        """Its dispatcher ends in the middle of everything."""
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(signal.SIGKILL)
            await self.process.wait()


@pytest.fixture
async def replicas(queue: Queue) -> AsyncIterator[tuple[Replica, Replica]]:
    both = (Replica(1), Replica(2))
    runners = [await one.start() for one in both]
    await visitors_go_to(queue, *both)
    yield both
    for one in both:
        await one.kill()
    for runner in runners:
        await runner.cleanup()


async def visitors_go_to(queue: Queue, *serving: Replica) -> None:
    first, *others = (one.place for one in serving)
    route = a_route(
        queue.space_id, replica_id=first.replica_id, address=first.address, others=tuple(others),
        app=App(paths=("/slow",)),
    )  # fmt: skip
    named = " ".join(str(one.number) for one in serving)
    await queue.redis.set(queue.keys.route, encode(route), ex=120)
    await queue.redis.hset(queue.keys.cfg, mapping={"replicas": named, "serving": 1, "concurrency_count": 2})


async def arrive(join: Joins, times: int) -> list[str]:
    """So many times a visitor of each session, and as many without one."""
    found = []
    for number in range(times):
        for session in (*SESSIONS, *[""] * len(SESSIONS)):
            channel = session or f"visitor-{number}"
            joined = await join(
                channel, fn="-1", session=session, body={"data": ["POST", "/slow", ""]},
                request={"headers": {"x-session": session}, "query": ""},
            )  # fmt: skip
            found.append(joined.event_id)
    return found


async def ends(queue: Queue) -> dict[str, int]:
    """Final messages of each event."""
    found: dict[str, int] = defaultdict(int)
    async for key in queue.redis.scan_iter(f"{queue.keys.messages('')}*"):
        for _, fields in await queue.redis.xrange(key):
            found[fields[b"e"].decode()] += fields[b"f"] == b"1"
    return found


async def all_ended(queue: Queue, accepted: list[str]) -> bool:
    done = await ends(queue)
    return all(done.get(event_id) for event_id in accepted)


async def works(queue: Queue, replica: Replica) -> bool:
    return bool(await queue.redis.exists(queue.keys.lease(replica.number)))


async def has_calls(queue: Queue, *replicas: Replica) -> bool:
    slots = [slot.decode() for slot in await queue.redis.zrange(queue.keys.calls("main"), 0, -1)]
    return {slot.partition(":")[0] for slot in slots} >= {str(one.number) for one in replicas}


async def begin(queue: Queue, *replicas: Replica) -> None:
    """Their dispatchers begin, as soon as the leases of those before them are over."""
    for one in replicas:
        await eventually(partial(_is_over, queue, one), "the lease of the one before is over")
        await one.serve(queue)
    await eventually(lambda: has_calls(queue, *replicas), "each has calls", 20)


async def _is_over(queue: Queue, replica: Replica) -> bool:
    return not await works(queue, replica)


@pytest.mark.timeout(180)
async def test_whichever_dies_everybody_is_served_once_and_where_his_session_is(
    queue: Queue, join: Joins, replicas: tuple[Replica, Replica]
) -> None:
    one, two = replicas
    accepted = await arrive(join, 20)
    await begin(queue, one, two)
    doubled = await Replica(1).serve(queue)
    await doubled.wait()  # the lease is another's: there is nothing for it to do
    await one.kill()
    await begin(queue, one)
    await asyncio.gather(one.kill(), two.kill())
    await begin(queue, one, two)
    await eventually(lambda: all_ended(queue, accepted), "everybody has an answer", 60)
    assert one.sessions.isdisjoint(two.sessions)
    assert one.sessions | two.sessions == set(SESSIONS)

    accepted += await arrive(join, 20)
    await eventually(lambda: has_calls(queue, one, two), "both have calls", 20)
    await visitors_go_to(queue, one)
    await two.kill()
    await eventually(lambda: _is_over(queue, two), "its lease is over")
    await reaper.forgotten(queue.redis, [queue.space_id])
    await eventually(lambda: all_ended(queue, accepted), "everybody has an answer from the other", 60)
    assert one.sessions == set(SESSIONS)
    assert set((await ends(queue)).values()) == {1}, "none twice"
    assert not await queue.redis.exists(queue.keys.running, queue.keys.lines)
