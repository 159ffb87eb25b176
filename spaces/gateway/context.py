"""What one web process's gateway needs for every request: connections, and what it remembers."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from accounts.rights import Rights
from hardware.replica_client import ReplicaClient
from infra.redis_clients import async_redis
from queueing.delivery.positions import Positions
from queueing.delivery.streams import MessageStreams
from queueing.delivery.watched_rights import WatchedRights
from queueing.protocols.gradio import GradioDoor
from queueing.routes import Route, Routes
from queueing.store import keys
from queueing.store.keys import SpaceKeys
from queueing.store.scripts import seconds
from spaces.gateway.identity.caller import Callers
from spaces.gateway.wakeup import wake

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from spaces.gateway.request import SpaceRequest

VISITED_EVERY_S = 20.0


class GatewayContext:
    """Made on the process's event loop."""

    def __init__(self) -> None:
        self.redis = async_redis()
        self.routes = Routes(self.redis)
        self.watched = WatchedRights(self.routes, Rights())
        self.streams = MessageStreams(self.redis)
        self.positions = Positions(self.redis)
        self.http = ReplicaClient(keepalive_s=15)
        self.gradio = GradioDoor(self.redis, self.streams, self.positions, wake)
        self.callers = Callers(self.redis)
        self._visited: dict[int, float] = {}
        self._spawned: set[asyncio.Task[None]] = set()

    async def closed_for(self, asked: SpaceRequest) -> bool:
        """Whether a program asks, of a Space whose API is closed."""
        if asked.origin != "api":
            return False
        return bool(await self.redis.hget(SpaceKeys(asked.route.space_id).cfg, "api_open") == b"0")

    async def visited(self, route: Route) -> None:
        """Remember that somebody uses the Space: it must not fall asleep."""
        now = time.monotonic()
        if now - self._visited.get(route.space_id, -VISITED_EVERY_S) >= VISITED_EVERY_S:
            self._visited[route.space_id] = now
            # The server's time: whoever puts Spaces to sleep may have another clock.
            await self.redis.zadd(keys.VISITED, {str(route.space_id): seconds(await self.redis.time())})

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Let work go on that a request has left behind."""
        task = asyncio.create_task(work)
        self._spawned.add(task)
        task.add_done_callback(self._spawned.discard)
