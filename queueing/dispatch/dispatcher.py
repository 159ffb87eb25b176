"""One replica's loop: claim, call, stream, finish; as many at once as the limits allow, until nothing waits.

It holds the lease while it works. Everything it writes carries its call's fencing token, so that one
that froze and woke up too late changes nothing. One call is the matter of `queueing.dispatch.runner`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from queueing.dispatch.backends.launcher import LauncherClient
from queueing.dispatch.backends.select import connect
from queueing.dispatch.runner import CallRunner
from queueing.errors import ContainerDied, LeaseLost, Moved
from queueing.store.http_results import ResponseStore
from queueing.store.queue import CLAIMS_AT_ONCE, Queue
from queueing.store.retry import retry_until_stored

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from hardware.replica_client import ReplicaClient
    from queueing.events import Call
    from queueing.routes import Route, Routes

logger = logging.getLogger(__name__)

#: An empty queue keeps its dispatcher this long: a lone visitor's next click is answered at once.
LINGER_S = 5.0
RECLAIM_S = 1.0  # a wake-up may be lost: claim again after this long


class Dispatcher:
    """Serves one of a Space's replicas while it holds that one's lease. `route` is by way of this replica."""

    def __init__(
        self,
        *,
        redis: Redis,
        http: ReplicaClient,
        routes: Routes,
        route: Route,
        holder: str,
        event_timeout_s: float,
        restart: Callable[[Route], Awaitable[None]],
        by_direct: bool = True,
    ) -> None:
        self.redis = redis
        self.http = http
        self.routes = routes
        self.route = route
        self.holder = holder
        self.event_timeout_s = event_timeout_s
        self.restart = restart
        self.queue = Queue(redis, route.space_id)
        self.by_direct = by_direct  # whether to try the direct way
        self.never_answered = False  # the direct way was tried, and did not answer
        self.again = False  # whether another dispatcher should go on at once
        self.lost = False
        self.draining = False
        self.leaving = False  # its worker ends: another one continues the calls that can be continued
        self._woken = asyncio.Event()
        self._pending: dict[str, int] = {}  # events that the last claim left, in each line that is not empty
        self._calls: set[asyncio.Task[None]] = set()
        self._has_company = bool(route.others)  # other replicas that serve

    def lose(self) -> None:
        """The lease is gone: every call here is stale now, or will be."""
        self.lost = self.again = True
        self._woken.set()

    async def run(self) -> None:
        """Work until the queue is empty, the lease is lost, or the replica is gone."""
        direct = LauncherClient(self.http, self.route)
        try:
            strays = await self._opened(direct)
            self._running = CallRunner(
                self.queue,
                self.route,
                connect(self.http, self.route, ResponseStore(self.redis, self.route.space_id)),
                None if strays is None else direct,
                event_timeout_s=self.event_timeout_s,
                limits=self.http.limits,
                restart=self.restart,
                freed=self._woken.set,
            )
            await self._work(strays or [])
        except LeaseLost:
            # Frozen for longer than it lasts. Perhaps nobody else took it: then no hint comes for us either.
            self.lose()
        except ContainerDied:
            await self._give_up()
        except (RedisError, OSError) as error:
            # Whether a claim was made is not known: under another holder all that runs is taken up anew.
            logger.warning("space %s: lost Redis (%s)", self.route.space_id, error)
            await self._give_up()
        finally:
            if self.lost:
                logger.warning("space %s: lease lost", self.route.space_id)
            await direct.close()

    async def _opened(self, direct: LauncherClient) -> list[str] | None:
        if not self.route.app.protocol or not self.by_direct:
            return None
        try:
            return await direct.open()
        except ContainerDied:
            self.never_answered = True
            raise

    async def _work(self, strays: list[str]) -> None:
        listener = asyncio.create_task(self._listen(), name="wake")
        try:
            for call_id in strays:
                self._begin(self._running.occupy_stray_slot(call_id), f"stray {call_id}")
            await self._serve()
        except RedisError:
            # The next dispatcher continues calls of the launcher; other calls are awaited.
            if self._running.direct is None and self._calls:
                await asyncio.wait(self._calls)
            raise
        finally:
            listener.cancel()
            for task in self._calls:
                task.cancel()
            await asyncio.gather(listener, *self._calls, return_exceptions=True)

    async def _give_up(self) -> None:
        self.again = True
        await retry_until_stored(lambda: self.queue.release(self.holder, force=True))

    async def _serve(self) -> None:
        idle_since: float | None = None
        while not self.lost:
            self._woken.clear()
            if self._running.died.is_set():
                self.again = self.draining = True
            await self._claim()
            if self._calls or self._pending:
                idle_since = None
            elif idle_since is None:
                idle_since = time.monotonic()
            if self.leaving and self._running.can_be_left():
                await self.queue.release(self.holder, leave=True)
                return
            gone = self.draining or await self._moved()
            if not self._calls and (gone or self._idle_long(idle_since)):
                if await self.queue.release(self.holder, force=gone):
                    return
                idle_since = None
                continue
            await self._wait_for_work()

    async def _claim(self) -> None:
        """Start every call that may start."""
        if self.draining or not self.route.address or await self._stopped():
            self._pending = {}
            return
        ahead = self._running.ahead
        try:
            calls, self._pending = await self.queue.claim(
                self.holder, ahead.limit, ahead.short_functions, ahead.long_lines
            )
        except Moved:
            self.draining = True
            self._pending = {}
            return
        for call in calls:
            self._begin(self._running.run(call), f"call {call.token}")
        if len(calls) == CLAIMS_AT_ONCE:
            self._woken.set()

    def _begin(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._calls.add(task)
        task.add_done_callback(self._call_done)

    def _call_done(self, task: asyncio.Task[None]) -> None:
        self._calls.discard(task)
        if self.draining:
            self._woken.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("space %s: call failed", self.route.space_id, exc_info=error)

    def _idle_long(self, since: float | None) -> bool:
        return since is not None and time.monotonic() - since >= LINGER_S

    async def _stopped(self) -> bool:
        """Whether the replica is being stopped on purpose: calls claimed now would only be interrupted."""
        route = await self.routes.by_id(self.route.space_id)
        self._has_company = route is not None and bool(route.others)
        return route is None or route.stopped

    async def _moved(self) -> bool:
        """Whether no visitors are sent to this replica any more."""
        route = await self.routes.by_id(self.route.space_id)
        here = route.at(self.route.replica_id) if route is not None else None
        return here is None or here.place != self.route.place

    async def _wait_for_work(self) -> None:
        """Wait until a call ends, a wake-up comes, or it is time to claim again."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RECLAIM_S):
                await self._woken.wait()

    async def _cancel(self, event_id: str, why: str) -> None:
        """End a running event; for an "away" visitor only while others wait for its slot."""
        call = self._running.call_of(event_id)
        if call is not None and (why != "away" or somebody_waits_for(call, self._pending)):
            await self._running.cancel(event_id, why)

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
                        word, _, what = message["data"].decode().partition(" ")
                        if word in ("cancel", "leave", "gone", "away"):
                            await self._cancel(what, word)
                        # Behind others that had to stay in line, a new one has to as well; unless those wait
                        # for another replica.
                        if word != "join" or self._has_company or not self._pending.get(what):
                            self._woken.set()
            await asyncio.sleep(0.2)


def somebody_waits_for(call: Call, pending: Mapping[str, int]) -> bool:
    """Whether the end of this call lets another one begin: of its line, or of any line under a total limit.
    `pending`: how many wait in each line that is not empty."""
    return bool(pending.get(call.line) or (call.total and any(pending.values())))
