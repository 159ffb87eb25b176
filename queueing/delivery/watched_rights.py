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

from accounts.rights import Rights, RightsUnknown, Who

if TYPE_CHECKING:
    from queueing.routes import Route, Routes

LOOK_EVERY_S = 1.0

logger = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class Held:
    """One open connection; `lose` is called once, when its visitor may have it no longer."""

    space_id: int
    who: Who
    lose: Callable[[], None]


class WatchedRights:
    """All of one process. It looks at each Space, not at each connection, and only while there are some."""

    def __init__(self, routes: Routes, rights: Rights) -> None:
        self.routes, self.rights = routes, rights
        self._held: dict[int, set[Held]] = defaultdict(set)
        self._looking: asyncio.Task[None] | None = None

    async def may_see(self, who: Who, route: Route) -> bool:
        """Whether they may see this Space now.

        Raises:
            RightsUnknown
        """
        return not route.private or await self.rights.may_read(who, route.owner_id)

    def hold(self, space_id: int, who: Who, lose: Callable[[], None]) -> Held:
        """Watch one connection until it is dropped."""
        held = Held(space_id, who, lose)
        self._held[space_id].add(held)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._check_forever(), name="rights of open connections")
        return held

    async def while_allowed(self, space_id: int, who: Who, work: Coroutine[Any, Any, None]) -> bool:
        """Await `work`; False where it was broken off, because its visitor may have it no longer."""
        task, lost = asyncio.current_task(), False
        assert task is not None

        def lose() -> None:
            nonlocal lost
            lost = True
            task.cancel()

        held = self.hold(space_id, who, lose)
        try:
            await work
        except asyncio.CancelledError:
            if not lost:
                raise
            task.uncancel()
        finally:
            self.drop(held)
        return not lost

    def drop(self, held: Held) -> None:
        """It has ended."""
        mine = self._held[held.space_id]
        mine.discard(held)
        if not mine:
            del self._held[held.space_id]

    async def _check_forever(self) -> None:
        while self._held:
            await asyncio.sleep(LOOK_EVERY_S)
            for space_id in tuple(self._held):
                try:
                    await self._check(space_id)
                except (RedisError, OSError, RightsUnknown) as error:
                    logger.info("rights of open connections to space %s: %r", space_id, error)

    async def _check(self, space_id: int) -> None:
        route = await self.routes.by_id(space_id)
        if route is None:  # Redis may have lost it for a moment; of a deleted Space nothing runs
            return
        allowed: dict[Who, bool] = {}
        for held in tuple(self._held.get(space_id, ())):
            if held.who not in allowed:
                allowed[held.who] = await self.may_see(held.who, route)
            if not allowed[held.who]:
                self.drop(held)
                held.lose()
