"""What all connections of one web process share, whether they come by HTTP or by websocket."""

from __future__ import annotations

import asyncio
from typing import Protocol
from weakref import WeakSet

from accounts.rights import Rights
from infra.redis_clients import async_redis
from queueing.delivery.positions import Positions
from queueing.delivery.status_broadcast import StatusBroadcaster
from queueing.delivery.streams import MessageStreams
from queueing.delivery.watched_rights import WatchedRights
from queueing.protocols.gradio import GradioProtocol
from queueing.routes import Routes
from queueing.store.options import QueueOptions
from queueing.wakeup import Wakeup


class Socket(Protocol):
    """One open websocket."""

    async def send_away(self) -> None:
        """Send it a moment to come back, and close it."""


class WebContext:
    """One connection pool, one subscription to message streams, one round of positions, one wake-up. Made
    once, on the server's event loop."""

    def __init__(self, options: QueueOptions) -> None:
        self.redis = async_redis()
        self.routes = Routes(self.redis)
        self.watched = WatchedRights(self.routes, Rights())
        self.streams = MessageStreams(self.redis)
        self.positions = Positions(self.redis, options.disconnect_grace_s)
        self.status = StatusBroadcaster(self.routes, self.positions)
        self.wakeup = Wakeup()
        self.gradio = GradioProtocol(
            self.redis, self.streams, self.positions, self.wakeup.wake, options=options
        )
        self.sockets: WeakSet[Socket] = WeakSet()

    async def close_sockets(self) -> None:
        """Send every open socket away: this process ends."""
        leaving = tuple(self.sockets)
        await asyncio.gather(*(socket.send_away() for socket in leaving), return_exceptions=True)
