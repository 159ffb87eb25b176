"""One replica's loop: claim, call, stream, finish; up to `concurrency_count` at once, until nothing waits.

It holds the lease while it works. Everything it writes carries its call's fencing token, so that one
that froze and woke up too late changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from queueing.calls import CallRefused, connect
from queueing.errors import ContainerDied, LeaseLost
from queueing.events import Call, Event
from queueing.messages import ProcessStarts, cancelled, completed, encode, failed
from queueing.queue import MAX_DEATHS, Final, Queue

if TYPE_CHECKING:
    import aiohttp
    from redis.asyncio import Redis

    from queueing.routes import Function, Route, Routes

logger = logging.getLogger(__name__)

LINGER_S = (
    5.0  # an empty queue keeps its dispatcher this long: a lone visitor's next click is answered at once
)
RECLAIM_S = 1.0  # a wake-up may be lost: look again after this long
CRASHED = "This input crashed the demo twice, so it was not tried again."


class Dispatcher:
    """Serves one Space's replica while it holds the lease."""

    def __init__(
        self,
        *,
        redis: Redis,
        http: aiohttp.ClientSession,
        routes: Routes,
        route: Route,
        holder: str,
        event_timeout_s: float,
    ) -> None:
        self.redis = redis
        self.http = http
        self.routes = routes
        self.route = route
        self.holder = holder
        self.event_timeout_s = event_timeout_s
        self.queue = Queue(redis, route.space_id)
        self.app = connect(http, route)
        self.lost = asyncio.Event()  # set by whoever renews the lease, when it is gone
        self.draining = False
        self._woken = asyncio.Event()
        self._calls: set[asyncio.Task[None]] = set()
        self._events: dict[str, tuple[Event, Function | None, asyncio.Task[None]]] = {}

    async def run(self) -> None:
        """Work until the queue is empty, the lease is lost, or the replica is gone."""
        listener = asyncio.create_task(self._listen(), name="wake")
        try:
            await self._serve()
        except LeaseLost:
            logger.warning("space %s: lease lost", self.route.space_id)
        finally:
            listener.cancel()
            for task in self._calls:
                task.cancel()
            await asyncio.gather(listener, *self._calls, return_exceptions=True)

    async def _serve(self) -> None:
        idle_since: float | None = None
        while not self.lost.is_set():
            self._woken.clear()
            pending = await self._claim()
            if self._calls or pending:
                idle_since = None
            elif idle_since is None:
                idle_since = time.monotonic()
            gone = self.draining or await self._moved()
            if not self._calls and (gone or self._idle_long(idle_since)):
                if await self.queue.release(self.holder, force=gone):
                    return
                idle_since = None
                continue
            await self._something()

    async def _claim(self) -> int:
        """Start every call that may start; how many events stay pending."""
        if self.draining or not self.route.address:
            return 0
        calls, pending = await self.queue.claim(self.holder)
        for call in calls:
            task = asyncio.create_task(self._run(call), name=f"call {call.token}")
            self._calls.add(task)
            task.add_done_callback(self._call_done)
        return pending

    def _call_done(self, task: asyncio.Task[None]) -> None:
        self._calls.discard(task)
        self._woken.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("space %s: call failed", self.route.space_id, exc_info=error)

    def _idle_long(self, since: float | None) -> bool:
        return since is not None and time.monotonic() - since >= LINGER_S

    async def _moved(self) -> bool:
        """Whether visitors are sent to another replica (or to none) now."""
        route = await self.routes.by_id(self.route.space_id)
        here = (self.route.replica_id, self.route.address)
        return route is None or (route.replica_id, route.address) != here

    async def _something(self) -> None:
        """Until a call ends, a wake-up comes, or it is time to look again."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RECLAIM_S):
                await self._woken.wait()

    async def _listen(self) -> None:
        """Wake-ups and cancel requests."""
        while True:
            with contextlib.suppress(RedisError, OSError):
                async with self.redis.pubsub(ignore_subscribe_messages=True) as pubsub:
                    await pubsub.subscribe(self.queue.keys.wake)
                    while True:
                        message = await pubsub.get_message(timeout=30)
                        if message is None:
                            continue
                        word, _, event_id = message["data"].decode().partition(" ")
                        if word in ("cancel", "leave"):
                            await self._cancel(event_id, left=word == "leave")
                        self._woken.set()
            await asyncio.sleep(0.2)

    # --- one call ---------------------------------------------------------------------------------

    async def _run(self, call: Call) -> None:
        """One call from its claim to the moment its place is free again."""
        function = self.route.app.function(int(call.events[0].fn))
        freed = False
        try:
            if function is not None and function.batch:
                await self._run_batch(call)
            else:
                freed = await self._run_one(call, call.events[0], function)
        finally:
            if not freed:
                await asyncio.shield(self.queue.free(call))

    async def _run_one(self, call: Call, event: Event, function: Function | None) -> bool:
        """Stream one event; True when its place was freed together with its end."""
        task = asyncio.current_task()
        assert task is not None
        self._events[event.id] = (event, function, task)
        started = time.monotonic()
        try:
            async with asyncio.timeout(self.event_timeout_s):
                return await self._stream(call, event, function, started)
        except TimeoutError:
            await self.app.cancel(event)
            text = f"Timed out after {self.event_timeout_s:g} s, the longest one run may take here."
            await self._fail(call, event, text)
        except CallRefused as refused:
            await self._finish(call, event, "failed", self._refused(event, refused))
        except ContainerDied:
            await self._died(call, [event])
        finally:
            self._events.pop(event.id, None)
        return False

    async def _stream(self, call: Call, event: Event, function: Function | None, started: float) -> bool:
        answered = False  # the visitor has had the final message already (a cancelled plain function)
        async for message in self.app.call(event):
            if answered:
                continue
            if message.get("msg") == "process_starts" and function is not None and function.streams:
                await self._publish_app_id(event)
            final = message.get("msg") == "process_completed"
            message["event_id"] = event.id
            payload = encode(message)
            if not final:
                if not await self.queue.emit(event, call.token, payload):
                    answered = True  # ended by a cancel, or no longer ours: read on, the place stays taken
                continue
            status: Final = "completed" if message.get("success") else "failed"
            if message.get("success") and not message.get("output"):
                status = "cancelled"
            await self.queue.finish(
                event, call, status, payload, free=True, duration_s=time.monotonic() - started
            )
            return True
        return False

    async def _publish_app_id(self, event: Event) -> None:
        """Input chunks come by the gateway: it must know the app's own id of the event."""
        await self.redis.hset(self.queue.keys.event(event.id), "app_id", self.app.app_ids.get(event.id, ""))

    async def _run_batch(self, call: Call) -> None:
        """One call for all; a failed batch is tried again one by one, so one bad input fails alone."""
        started = time.monotonic()
        for event in call.events:
            await self.queue.emit(event, call.token, encode(ProcessStarts(event_id=event.id)))
        try:
            async with asyncio.timeout(self.event_timeout_s):
                outputs = await self.app.batch(call.events)
        except CallRefused as refused:
            if len(call.events) > 1:
                for event in reversed(call.events):
                    await self.queue.requeue(event, call, "splits", len(call.events))
                return
            await self._finish(call, call.events[0], "failed", self._refused(call.events[0], refused))
        except TimeoutError:
            text = f"Timed out after {self.event_timeout_s:g} s, the longest one run may take here."
            for event in call.events:
                await self._fail(call, event, text)
        except ContainerDied:
            await self._died(call, call.events)
        else:
            duration = time.monotonic() - started
            for event, output in zip(call.events, outputs, strict=True):
                await self.queue.finish(
                    event, call, "completed", completed(event.id, output), free=False, duration_s=duration
                )

    async def _died(self, call: Call, events: tuple[Event, ...] | list[Event]) -> None:
        """The container went away: each event is tried again, but not one that did this twice."""
        for event in reversed(events):
            if not await self.queue.requeue(event, call, "deaths", MAX_DEATHS - 1):
                await self._fail(call, event, CRASHED)
        # The agent restarts it; until then every claim would only burn attempts of innocent events.
        await asyncio.sleep(0.5)
        self.draining = not await self._answers()

    async def _answers(self) -> bool:
        """Whether the replica still accepts connections."""
        host, _, port = self.route.address.rpartition(":")
        try:
            async with asyncio.timeout(3):
                _, writer = await asyncio.open_connection(host, int(port))
        except (OSError, TimeoutError, ValueError):
            return False
        writer.close()
        return True

    async def _fail(self, call: Call, event: Event, text: str) -> None:
        await self._finish(call, event, "failed", failed(event.id, text))

    async def _finish(self, call: Call, event: Event, status: Final, payload: bytes) -> None:
        await self.queue.finish(event, call, status, payload, free=False, duration_s=None)

    @staticmethod
    def _refused(event: Event, refused: CallRefused) -> bytes:
        return encode(
            {
                "msg": "process_completed",
                "event_id": event.id,
                "output": refused.output,
                "success": False,
                "title": "Error",
            }
        )

    async def _cancel(self, event_id: str, *, left: bool) -> None:
        """End a running event for its visitor. A generator is stopped; a plain function cannot be, so its
        place stays taken until it ends by itself, and a visitor who only `left` may still get its result."""
        found = self._events.get(event_id)
        if found is None:
            return
        event, function, _ = found
        if function is not None and (function.generator or function.streams):
            await self.app.cancel(event)
            return
        if left:
            return
        fields = await self.queue.state(event_id, "token", "state")
        if fields.get("state") == "running" and fields.get("token"):
            call = Call(lane="main", token=int(fields["token"]), events=(event,))
            await self.queue.finish(
                event, call, "cancelled", cancelled(event_id), free=False, duration_s=None
            )
