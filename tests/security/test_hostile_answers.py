"""Whatever a container answers to a call: its visitor has an answer, its neighbours are served, and nobody is
sent elsewhere. A new request of the platform's is one line of `ASKED`."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from redis.asyncio import Redis

import queueing.dispatch.backends.gradio_sse
import queueing.dispatch.backends.launcher
import queueing.dispatch.deaths
import queueing.dispatch.worker
from hardware import app_report, redis_keys
from hardware.replica_client import Limits
from queueing.dispatch.worker import DispatcherPool
from queueing.events import new_event_id
from queueing.protocols.gradio_config import app_from_config
from queueing.routes import App, Function, Route, encode
from queueing.store.queue import Queue
from tests.events import a_join, a_route
from tests.queueing.conftest import redis
from tests.security.hostile_app import (
    CONFIG,
    DIRECT,
    MEGABYTE,
    SOCKETS,
    Answer,
    HostileApp,
    canary,
    direct,
    head,
    raw,
    said,
    serving,
    ways,
    whole,
)
from tests.waiting import eventually

__all__ = ["canary", "redis"]

#: What the platform asks an app for by itself while it serves an event, and the function that makes it ask.
ASKED = {
    "/gradio_api/queue/join": "0",
    "/gradio_api/queue/data": "0",
    "/gradio_api/run/predict": "1",
    DIRECT: "0",
}
LIMITS = Limits(message_bytes=MEGABYTE, event_bytes=4 * MEGABYTE)
_ids = itertools.count(50_000)


@pytest.fixture(scope="module")
def drains() -> Iterator[DispatcherPool]:
    """A worker's dispatchers; a call may take some seconds."""
    patch = pytest.MonkeyPatch()
    patch.setattr(queueing.dispatch.backends.gradio_sse, "ANSWER_S", 2.0)
    patch.setattr(queueing.dispatch.worker, "RETRY_DELAY_S", 0.05)
    patch.setattr(queueing.dispatch.worker, "MOST_UNANSWERED", 1)
    patch.setattr(queueing.dispatch.backends.launcher, "CONNECT_S", 2.0)
    patch.setattr(queueing.dispatch.deaths, "NOTED_WITHIN_S", 0.0)  # no node watches these
    patch.setattr(queueing.dispatch.worker, "restart", _no_restart)
    made = DispatcherPool(os.environ["REDIS_URL"], 4, LIMITS)
    yield made
    made.stop()
    patch.undo()


async def _no_restart(_: Route) -> None:
    """There is no container."""


def offered() -> App:
    found = app_report.config(json.dumps(CONFIG).encode())
    assert found is not None
    return app_from_config(found)


OF_GRADIO_3 = App(protocol="ws", version="3.50.2", functions=(Function(id=0, api_name="say"),))


class Space:
    """A hostile app's Space, and one visitor's event in it."""

    def __init__(
        self, redis: Redis, app: HostileApp, fn: str, name: str = "", offers: App | None = None
    ) -> None:
        self.queue, self.app, self.fn = Queue(redis, next(_ids)), app, fn
        self.offers = offers or offered()
        self.event_id, self.name = new_event_id("c", fn), name

    async def join(self) -> None:
        at = self.queue.space_id
        route = a_route(at, replica_id=1, address=self.app.address, app=self.offers)
        await self.queue.redis.set(self.queue.keys.route, encode(route), ex=60)
        await self.queue.redis.hset(self.queue.keys.cfg, mapping={"replicas": "1", "serving": 1})
        body = {"data": ["x"], "fn_index": int(self.fn), "session_hash": "c"}
        batch = 4 if self.fn == "1" else 0
        join = a_join("c", event_id=self.event_id, fn=self.fn, body=body, batch=batch, origin="api")
        await self.queue.join(join)

    async def told(self) -> list[dict[str, Any]]:
        """Everything that its visitor hears of the event, once that has ended."""
        await eventually(self._has_ended, f"the event ends ({self.name})", 60)
        entries = await self.queue.redis.xrange(self.queue.keys.messages("c"))
        return [json.loads(fields[b"d"]) for _, fields in entries]

    async def _has_ended(self) -> bool:
        return (await self.queue.state(self.event_id, "state")).get("state") not in ("pending", "running")

    async def owner_reads(self) -> list[str]:
        """The Space's log: its first lines may come a moment after the visitor's answer."""
        log = redis_keys.log("run", self.queue.space_id)
        entries: list[Any] = []

        async def written() -> bool:
            entries[:] = await self.queue.redis.xrange(log)
            return bool(entries)

        await eventually(written, "the owner is told", 10)
        await self.queue.redis.delete(redis_keys.log("run", self.queue.space_id))
        return [fields[b"text"].decode() for _, fields in entries]


async def served(drains: DispatcherPool, *spaces: Space) -> list[list[dict[str, Any]]]:
    """What the visitors of all of them hear, who come at the same time."""
    for space in spaces:
        await space.join()
    works = [
        asyncio.wrap_future(
            asyncio.run_coroutine_threadsafe(drains._drain(space.queue.space_id), drains._loop)
        )
        for space in spaces
    ]
    told = await asyncio.gather(*(space.told() for space in spaces))
    for space in spaces:
        await space.queue.redis.delete(space.queue.keys.route)
    for work in works:
        work.cancel()
    return told


@pytest.mark.parametrize("path", ASKED)
async def test_every_call_of_a_hostile_app_ends_and_its_neighbours_are_served(
    redis: Redis, drains: DispatcherPool, canary: HostileApp, path: str
) -> None:
    bad = ways(canary.address)
    apps = [HostileApp({path: answer}) for answer in bad.values()]
    neighbour = HostileApp()
    async with serving(neighbour, *apps):
        spaces = [Space(redis, app, ASKED[path], name) for name, app in zip(bad, apps, strict=True)]
        told, *others = await served(drains, Space(redis, neighbour, "0"), *spaces)
        assert told[-1]["success"], told
        for name, app, heard in zip(bad, apps, others, strict=True):
            ends = [message for message in heard if message["msg"] == "process_completed"]
            assert len(ends) == 1, (name, heard)
            assert heard[-1] is ends[0], name
            assert ends[0]["success"] or ends[0]["output"]["error"], name
            assert any(path in asked for asked in app.asked), name


LAUNCHER_SAYS: dict[str, Answer] = {
    "another event's id": direct(said(about="0" * 32)),
    "an id nobody knows": direct(b"%s 1 c5 {}\n" % (b"1" * 32), said("c", about="1" * 32), ends=True),
    "an end that is none": direct(said("c", "log")),
    "a step that is an end": direct(said("m")),
    "no number": direct(b"{id} x c5 {}\n"),
    "a huge number": direct(b"{id} %s c5 {}\n" % (b"9" * 5000)),
    "a negative time": direct(b"{id} 1 c-5 {}\n"),
    "no message": direct(b"{id} 1 c5\n"),
    "no JSON": direct(b"{id} 1 c5 hello\n"),
    "NaN": direct(b'{id} 1 c5 {"msg":"process_completed","event_id":"{id}","x":NaN}\n'),
    "nested deeply": direct(b'{id} 1 c5 {"msg":"process_completed","output":' + b"[" * 200_000 + b"\n"),
    "invalid UTF-8": direct(b'{id} 1 c5 {"msg":"process_completed","event_id":"{id}","x":"\xff"}\n'),
    "a line end inside": direct(b'{id} 1 c5 {"msg":"process_completed",\r"event_id":"{id}"}\n'),
    "it goes back, again and again": direct(b"{id} 1 b \n"),
    "a large message": direct(b"{id} 1 c5 ", *[b"x" * MEGABYTE] * 40, b"\n"),
    "a line without end": direct(b"{id} 1 c5 ", *[b"x" * MEGABYTE] * 64),
    "messages without end": direct(*[said("m", "log")] * 200, *[said("m", "log" + " " * 100_000)] * 200),
    "it hangs up": direct(said("m", "log"), ends=True),
    "noise": direct(b"\n" * 100_000, b"hello " + b"f" * 32 + b"\n", b"hello \xff\n", b" \n"),
}


async def test_whatever_the_launchers_way_is_made_to_say_is_an_answer_for_the_visitor_alone(
    redis: Redis, drains: DispatcherPool
) -> None:
    apps = [HostileApp({DIRECT: answer}) for answer in LAUNCHER_SAYS.values()]
    honest = HostileApp({DIRECT: direct(said("m", "process_starts"), said("c12"))})
    async with serving(honest, *apps):
        spaces = [Space(redis, app, "0", name) for name, app in zip(LAUNCHER_SAYS, apps, strict=True)]
        told, *others = await served(drains, Space(redis, honest, "0"), *spaces)
        assert [message["msg"] for message in told] == ["process_starts", "process_completed"]
        for name, space, heard in zip(LAUNCHER_SAYS, spaces, others, strict=True):
            ends = [message for message in heard if message["msg"] == "process_completed"]
            assert [end["success"] for end in ends] == [False], (name, heard)
            assert heard[-1]["event_id"] == space.event_id, name
            assert heard[-1]["output"]["error"], name


async def test_what_was_said_behind_an_end_is_told_to_nobody(redis: Redis, drains: DispatcherPool) -> None:
    app = HostileApp({DIRECT: direct(said("c5") + said("c5", number=2) + said("m", "log", 3))})
    async with serving(app):
        ((end,),) = await served(drains, Space(redis, app, "0"))
    assert end["success"]


@pytest.mark.parametrize(
    ("path", "answer", "sentence"),
    [
        ("/gradio_api/queue/join", whole(b"no"), "no message of Gradio's"),
        ("/gradio_api/queue/join", whole(b"", status="307 X"), "follows no redirect"),
        ("/gradio_api/queue/data", raw(head() + b"data: " + b"x" * 3 * MEGABYTE), "larger than 1 MiB"),
        (DIRECT, direct(b"{id} 1 c5 " + b"x" * 3 * MEGABYTE + b"\n"), "larger than 1 MiB"),
        (DIRECT, direct(*[said("m", "log" + " " * 500_000)] * 20), "more than 4 MiB"),
    ],
)
async def test_visitor_and_owner_are_told_what_was_wrong(
    redis: Redis, drains: DispatcherPool, path: str, answer: Answer, sentence: str
) -> None:
    app = HostileApp({path: answer})
    async with serving(app):
        space = Space(redis, app, "0")
        (heard,) = await served(drains, space)
        assert sentence in heard[-1]["output"]["error"]
        (line,) = await space.owner_reads()
    assert line.startswith("Spaceport: a call of say failed: ")
    assert sentence in line


async def test_every_call_by_a_hostile_websocket_ends(
    redis: Redis, drains: DispatcherPool, canary: HostileApp
) -> None:
    bad = {**ways(canary.address), **SOCKETS}
    apps = [HostileApp({"/queue/join": answer}) for answer in bad.values()]
    neighbour = HostileApp()
    async with serving(neighbour, *apps):
        spaces = [Space(redis, app, "0", name, OF_GRADIO_3) for name, app in zip(bad, apps, strict=True)]
        told, *others = await served(drains, Space(redis, neighbour, "0"), *spaces)
    assert told[-1]["success"], told
    for name, heard in zip(bad, others, strict=True):
        ends = [message for message in heard if message["msg"] == "process_completed"]
        assert [end["success"] for end in ends] == [False], (name, heard)
