"""The state of a Space's queue for all sockets of one process: read once, encoded once, published on change.
Above 1,000 sockets of one Space the interval grows in proportion; a new stage goes out at once."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from queueing.delivery.waiters import Waiter
from queueing.eta import eta_fields
from queueing.events import encode

if TYPE_CHECKING:
    from queueing.delivery.positions import Positions
    from queueing.delivery.status import Status
    from queueing.delivery.waiters import Place
    from queueing.routes import Route, Routes

EVERY_S = 1.0
MANY_SOCKETS = 1000  # with more of them the interval grows in proportion
SELDOM_S = 5.0  # but never beyond this

Send = Callable[[bytes], None]


class _Watch:
    """One Space's state, and the sockets that get it."""

    def __init__(self, route: Route) -> None:
        self.route = route
        self.status: Status | None = None
        self.sent = b""
        self.sent_stage = ""
        self.sent_at = 0.0
        self.subscribers: set[Send] = set()
        self.task: asyncio.Task[None] | None = None

    def state(self) -> bytes:
        status = self.status
        return encode(
            {
                "msg": "status",
                "stage": self.route.stage,
                "pending": status.pending if status else 0,
                "running": status.running if status else 0,
                **eta_fields(status.eta if status else None),
                "groups": [
                    {
                        "group": one.group,
                        "pending": one.pending,
                        "running": one.running,
                        **eta_fields(one.eta),
                    }
                    for one in (status.groups if status else ())
                ],
            }
        )

    def on_status(self, status: Status) -> None:
        self.status = status

    def publish_if_new(self) -> None:
        now = time.monotonic()
        pause = min(EVERY_S * len(self.subscribers) / MANY_SOCKETS, SELDOM_S)
        if self.route.stage == self.sent_stage and now - self.sent_at < pause:
            return
        if (state := self.state()) != self.sent:
            self.sent, self.sent_stage, self.sent_at = state, self.route.stage, now
            for send in tuple(self.subscribers):
                send(state)


class StatusBroadcaster:
    """All Spaces that sockets of this process show."""

    def __init__(self, routes: Routes, positions: Positions) -> None:
        self._routes, self._positions = routes, positions
        self._watches: dict[int, _Watch] = {}

    def add(self, route: Route, send: Send) -> None:
        """Publish the state now, and whenever it changes."""
        watch = self._watches.get(route.space_id)
        if watch is None:
            watch = self._watches[route.space_id] = _Watch(route)
            watch.task = asyncio.create_task(self._publish_forever(watch), name="watch")
        watch.subscribers.add(send)
        send(watch.state())

    def drop(self, route: Route, send: Send) -> None:
        """Publish nothing more to it."""
        if (watch := self._watches.get(route.space_id)) is not None:
            watch.subscribers.discard(send)
            if not watch.subscribers:
                del self._watches[route.space_id]
                if watch.task is not None:
                    watch.task.cancel()

    def state(self, route: Route) -> bytes:
        """The state as it is now, JSON."""
        return self._watches.get(route.space_id, _Watch(route)).state()

    async def _publish_forever(self, watch: _Watch) -> None:
        waiter = Waiter(watch.route.space_id, "", _nobody, watch.on_status)
        self._positions.add(waiter)
        try:
            while True:
                # While Redis is away the last state stands.
                with contextlib.suppress(RedisError, OSError):
                    watch.route = await self._routes.by_id(watch.route.space_id) or watch.route
                watch.publish_if_new()
                await asyncio.sleep(EVERY_S)
        finally:
            self._positions.drop(waiter)


def _nobody(_: Place) -> None:
    """The watch has no place in line."""
