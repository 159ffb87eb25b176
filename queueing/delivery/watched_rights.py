"""Connections that outlive the right to have them: streams and websockets of a Space that has turned private,
of a member who was removed, of an account that was deactivated. They are ended within a few seconds."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from accounts.rights import Rights, RightsUnknown, Viewer

if TYPE_CHECKING:
    from queueing.routes import Route, Routes

CHECK_EVERY_S = 1.0

logger = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class WatchedConnection:
    """One open connection; `lose` is called once, when its visitor loses the right to it."""

    space_id: int
    viewer: Viewer
    lose: Callable[[], None]


class WatchedRights:
    """All of one process. Rights are checked once per Space, not per connection, and only while there are
    connections."""

    def __init__(self, routes: Routes, rights: Rights) -> None:
        self.routes, self.rights = routes, rights
        self._connections: dict[int, set[WatchedConnection]] = defaultdict(set)
        self._checker: asyncio.Task[None] | None = None

    async def may_see(self, viewer: Viewer, route: Route) -> bool:
        """Whether they may see this Space now.

        Raises:
            RightsUnknown
        """
        return not route.private or await self.rights.may_read(viewer, route.owner_id)

    def watch(self, space_id: int, viewer: Viewer, lose: Callable[[], None]) -> WatchedConnection:
        """Watch one connection until it is dropped."""
        connection = WatchedConnection(space_id, viewer, lose)
        self._connections[space_id].add(connection)
        if self._checker is None or self._checker.done():
            self._checker = asyncio.create_task(self._check_forever(), name="rights of open connections")
        return connection

    async def while_allowed(self, space_id: int, viewer: Viewer, work: Coroutine[Any, Any, None]) -> bool:
        """Await `work`; False where it was cancelled because its visitor lost the right."""
        task, lost = asyncio.current_task(), False
        assert task is not None

        def lose() -> None:
            nonlocal lost
            lost = True
            task.cancel()

        connection = self.watch(space_id, viewer, lose)
        try:
            await work
        except asyncio.CancelledError:
            if not lost:
                raise
            task.uncancel()
        finally:
            self.drop(connection)
        return not lost

    def drop(self, connection: WatchedConnection) -> None:
        """It has ended."""
        mine = self._connections[connection.space_id]
        mine.discard(connection)
        if not mine:
            del self._connections[connection.space_id]

    async def _check_forever(self) -> None:
        while self._connections:
            await asyncio.sleep(CHECK_EVERY_S)
            for space_id in tuple(self._connections):
                try:
                    await self._check(space_id)
                except (RedisError, OSError, RightsUnknown) as error:
                    logger.info("rights of open connections to space %s: %r", space_id, error)

    async def _check(self, space_id: int) -> None:
        route = await self.routes.by_id(space_id)
        if route is None:  # Redis may have lost it for a moment; of a deleted Space nothing runs
            return
        allowed: dict[Viewer, bool] = {}
        for connection in tuple(self._connections.get(space_id, ())):
            if connection.viewer not in allowed:
                allowed[connection.viewer] = await self.may_see(connection.viewer, route)
            if not allowed[connection.viewer]:
                self.drop(connection)
                connection.lose()
