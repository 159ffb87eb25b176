"""Shared by all requests of one web process's gateway: the process's context, connections to replicas, and
caches."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from hardware.replica_client import ReplicaClient
from queueing.store import keys
from queueing.store.keys import SpaceKeys
from queueing.store.scripts import seconds
from spaces.gateway.identity.caller import Callers
from spaces.gateway.places import Places
from spaces.models import Stage

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from queueing.protocols.caller import Caller
    from queueing.protocols.context import WebContext
    from queueing.routes import Route
    from spaces.gateway.proxy.http import Scope
    from spaces.gateway.request import SpaceRequest

VISITED_EVERY_S = 20.0
START_WAIT_S = 30.0  # how long a program's request waits for a Space that is starting
EVENT_BYTES = 32 * 1024 * 1024  # of one event's body, which refers to uploads
CHECK_EVERY_S = 0.5
STARTING = {Stage.SLEEPING, Stage.APP_STARTING, Stage.RUNNING, Stage.STOPPED}


class GatewayContext:
    """Made on the process's event loop."""

    def __init__(self, web: WebContext, event_bytes: int = EVENT_BYTES) -> None:
        self.web, self.event_bytes = web, event_bytes
        self.redis, self.routes, self.watched, self.gradio = web.redis, web.routes, web.watched, web.gradio
        self.http = ReplicaClient(keepalive_s=15)
        self.callers = Callers(self.redis)
        self.places = Places(self.redis, self.http)
        self._visited: dict[int, float] = {}
        self._spawned: set[asyncio.Task[None]] = set()

    async def caller_of(self, request: SpaceRequest, scope: Scope, body: dict[str, Any]) -> Caller:
        """The caller of an event with this body, which gets there what its files are called."""
        return await self.places.settled(request, scope, body, await self.callers.of(request, scope, body))

    async def closed_for(self, request: SpaceRequest) -> bool:
        """Whether this is a program's request to a Space whose API is closed."""
        if request.origin != "api":
            return False
        return bool(await self.redis.hget(SpaceKeys(request.route.space_id).cfg, "api_open") == b"0")

    async def running(self, route: Route) -> Route:
        """The route once it has an address: a sleeping Space is woken, one that starts is waited for (but not
        one that awaits a node)."""
        if route.stage == Stage.SLEEPING:
            await self.web.wakeup.wake(route)
        deadline = time.monotonic() + START_WAIT_S
        while not (route.address or route.awaits) and route.stage in STARTING:
            if time.monotonic() >= deadline:
                break
            await asyncio.sleep(CHECK_EVERY_S)
            route = await self.routes.by_id(route.space_id, fresh=True) or route
        return route

    async def visited(self, route: Route) -> None:
        """Remember that somebody uses the Space: it must not fall asleep."""
        now = time.monotonic()
        if now - self._visited.get(route.space_id, -VISITED_EVERY_S) >= VISITED_EVERY_S:
            self._visited[route.space_id] = now
            # The server's time: the task that stops idle Spaces may have another clock.
            await self.redis.zadd(keys.VISITED, {str(route.space_id): seconds(await self.redis.time())})

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run work that outlives its request."""
        task = asyncio.create_task(work)
        self._spawned.add(task)
        task.add_done_callback(self._spawned.discard)
