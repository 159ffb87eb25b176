"""All dispatchers of one worker process: one event loop in a thread of its own, and another thread that
renews their leases, so that a loop busy with work does not lose them."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import threading
import time
from collections import Counter
from concurrent.futures import Future
from functools import cache

import redis
import uvloop
from celery import current_app
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from hardware.replica_client import Limits, ReplicaClient
from infra import gc_tuning
from infra.cancellable import cancellable
from queueing.dispatch.dispatcher import Dispatcher
from queueing.routes import Route, Routes
from queueing.store.keys import SpaceKeys, holder_of, replica_of
from queueing.store.queue import LEASE_MS, Queue
from queueing.store.scripts import Script
from queueing.wakeup import wake_dispatcher

logger = logging.getLogger(__name__)

RENEW_S = LEASE_MS / 3000
RETRY_DELAY_S = 0.5
MOST_CONNECTIONS = 10_000
#: An app that leaves the direct way unanswered so often in a row, for 10 s each time, is called by Gradio's
#: own protocol: there each request times out, so each event ends.
MOST_UNANSWERED = 6

_renew = Script("renew")

Served = tuple[int, int]  # a Space, and a replica of it


class DispatcherPool:
    """The dispatchers that run in this process."""

    def __init__(self, redis_url: str, event_timeout_s: float, limits: Limits | None = None) -> None:
        self.redis_url = redis_url
        self.event_timeout_s = event_timeout_s
        self.limits = limits
        self.holder = f"{os.getpid()}-{secrets.token_hex(6)}"
        self.stopping = False
        self._served: set[Served] = set()  # that this process serves
        self._active: dict[Served, Dispatcher] = {}
        self._unanswered: Counter[Served] = Counter()  # times in a row
        self._loop = uvloop.new_event_loop()
        self._ready = threading.Event()
        threading.Thread(target=self._run_loop, name="dispatchers", daemon=True).start()
        threading.Thread(target=self._renew_forever, name="leases", daemon=True).start()
        self._ready.wait()

    def drain(self, space_id: int, replica_id: int = 0) -> None:
        """Serve this Space's queue by this replica until it is empty; returns at once if this process already
        does so."""
        if self.stopping or (space_id, replica_id) in self._served:
            return
        work = self._drain(space_id, replica_id)
        future: Future[None] = asyncio.run_coroutine_threadsafe(work, self._loop)
        future.result()

    def stop(self) -> None:
        """Claim nothing more; running calls are left to the next worker or end here, and leases are
        released."""
        self.stopping = True
        for dispatcher in tuple(self._active.values()):
            dispatcher.draining = dispatcher.leaving = True

    def _run_loop(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._connect())
        self._ready.set()
        self._loop.run_forever()

    async def _connect(self) -> None:
        # Nothing is sent twice behind our back: a claim whose answer was lost has taken events that nobody
        # knows of. `queueing.store.retry` repeats the steps that are safe to repeat. Each dispatcher listens
        # by a connection of its own.
        self._redis = cancellable(
            Redis.from_url(self.redis_url, retry=Retry(NoBackoff(), 0), max_connections=MOST_CONNECTIONS)
        )
        self._http = ReplicaClient(keepalive_s=30, limits=self.limits)
        self._routes = Routes(self._redis)

    async def _drain(self, space_id: int, replica_id: int = 0) -> None:
        if not replica_id:
            route = await self._routes.by_id(space_id, fresh=True)
            replica_id = route.replica_id if route is not None else 0
        served = (space_id, replica_id)
        if not replica_id or served in self._served:
            return
        # From here on, not from where its dispatcher begins: of two hints that come together the second would
        # end the renewal of the first one's lease.
        self._served.add(served)
        try:
            while (pause_s := await self._drain_once(*served)) is not None:  # noqa: ASYNC110
                await asyncio.sleep(pause_s)
        finally:
            self._served.discard(served)

    async def _drain_once(self, space_id: int, replica_id: int) -> float | None:
        """Serve until nothing is left (None); else the seconds after which there may be more work here."""
        everywhere = await self._routes.by_id(space_id, fresh=True)
        route = everywhere.at(replica_id) if everywhere is not None else None
        if route is None or self.stopping:
            return None
        served = (space_id, replica_id)
        dispatcher = Dispatcher(
            redis=self._redis,
            http=self._http,
            routes=self._routes,
            route=route,
            # `spaces.lifecycle` reads from it which replica is still served.
            holder=holder_of(route.replica_id, f"{self.holder}-{secrets.token_hex(3)}"),
            event_timeout_s=self.event_timeout_s,
            restart=restart,
            by_direct=self._unanswered[served] < MOST_UNANSWERED,
        )
        if await Queue(self._redis, space_id).acquire(dispatcher.holder):
            await self._run(served, dispatcher)
        now = await self._routes.by_id(space_id, fresh=True)
        here = now.at(replica_id) if now is not None else None
        has_moved = here is None or here.place != route.place
        if has_moved and here is not None and here.celery_queue == route.celery_queue:
            return 0.0
        # Without an address nobody can be served yet, and a Space that sleeps is let sleep.
        if has_moved and now is not None and now.address:
            await asyncio.to_thread(wake_dispatcher, now)
            return None
        # The container is gone, or Redis was away: recovery needs a moment.
        return RETRY_DELAY_S if dispatcher.again else None

    async def _run(self, served: Served, dispatcher: Dispatcher) -> None:
        # Not before it holds the lease: a renewal in between would find another's and call this one lost.
        self._active[served] = dispatcher
        if self.stopping:
            dispatcher.draining = dispatcher.leaving = True
        try:
            await dispatcher.run()
        finally:
            del self._active[served]
            if dispatcher.never_answered:
                self._unanswered[served] += 1
            else:
                self._unanswered.pop(served, None)

    def _renew_forever(self) -> None:
        client = redis.Redis.from_url(self.redis_url, socket_timeout=5)
        script = client.register_script(_renew.source)
        while True:
            time.sleep(RENEW_S)
            active = tuple(self._active.items())
            # Together: one by one, many Spaces would lose their leases to a Redis that is far away.
            pipe = client.pipeline(transaction=False)
            for (space_id, _), dispatcher in active:
                k = SpaceKeys(space_id)
                lease = k.lease(replica_of(dispatcher.holder))
                keys = _renew.in_order(lease=lease, storage=k.storage, fence=k.fence)
                script(keys=keys, args=[dispatcher.holder, LEASE_MS], client=pipe)
            try:
                answers = pipe.execute(raise_on_error=False)
            except redis.RedisError as error:
                logger.warning("leases of %d dispatchers not renewed: %s", len(active), error)
                continue
            for ((space_id, _), dispatcher), answer in zip(active, answers, strict=True):
                if isinstance(answer, redis.RedisError):
                    logger.warning("lease of space %s not renewed: %s", space_id, answer)
                elif answer[0] == b"lost":
                    self._loop.call_soon_threadsafe(dispatcher.lose)


async def restart(route: Route) -> None:
    """Have the replica's container stopped and started again."""
    await asyncio.to_thread(
        current_app.send_task,
        "hardware.tasks.restart",
        kwargs={"replica_id": route.replica_id},
        queue=route.celery_queue,
        expires=60,
    )


@cache
def dispatcher_pool(redis_url: str, event_timeout_s: float, limits: Limits) -> DispatcherPool:
    """This process's dispatchers, made on first use (never before a fork)."""
    gc_tuning.keep_what_is_there()
    return DispatcherPool(redis_url, event_timeout_s, limits)
