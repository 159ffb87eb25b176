"""The right to see an owner's private Spaces, checked in the database at every request: a token or a link
proves an identity, never a right. A yes counts for a second, so that a page's files are one query."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from channels.db import database_sync_to_async
from django.db import Error

from accounts import access, tokens
from accounts.models import User

FRESH_S = 1.0
#: While PostgreSQL is away nobody's right can change either, so the last answer goes on for so long.
STALE_S = 60.0
MOST_REMEMBERED = 10_000


class RightsUnknown(Exception):
    """PostgreSQL is away, and this process did not know the answer."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """A viewer by proof of identity: the account of a session, page or link, else the token of a program."""

    user_id: int | None = None
    bearer: str = ""
    space_id: int = 0  # the one that a bearer token is sent to


class Rights:
    """One process's cache of rights. For one event loop."""

    def __init__(self) -> None:
        self._granted: dict[tuple[int, Viewer], float] = {}
        self._checking: dict[tuple[int, Viewer], asyncio.Task[bool]] = {}

    async def may_read(self, viewer: Viewer, owner_id: int) -> bool:
        """Whether they may see this owner's private Spaces now.

        Raises:
            RightsUnknown
        """
        if viewer.user_id is None and not viewer.bearer:
            return False
        key = (owner_id, viewer)
        age_s = time.monotonic() - self._granted.get(key, float("-inf"))
        if age_s < FRESH_S:
            return True
        try:
            return await self._check(key)
        except Error as error:
            if age_s < STALE_S:
                return True
            raise RightsUnknown from error

    async def _check(self, key: tuple[int, Viewer]) -> bool:
        """One query for all concurrent checks of the same right."""
        if key not in self._checking:
            self._checking[key] = asyncio.create_task(self._answer(key), name="right to read")
            self._checking[key].add_done_callback(lambda _: self._checking.pop(key, None))
        return await asyncio.shield(self._checking[key])

    async def _answer(self, key: tuple[int, Viewer]) -> bool:
        owner_id, viewer = key
        checked_at = time.monotonic()
        allowed = bool(await database_sync_to_async(may_read)(viewer, owner_id))
        if allowed:
            if len(self._granted) > MOST_REMEMBERED:
                self._granted.clear()
            self._granted[key] = checked_at
        else:
            self._granted.pop(key, None)
        return allowed


def may_read(viewer: Viewer, owner_id: int) -> bool:
    """The answer of the database."""
    if viewer.user_id is not None:
        user = User.objects.filter(pk=viewer.user_id, is_active=True).first()
    else:
        token = tokens.check(viewer.bearer)
        is_its = token is not None and token.space_id in (None, viewer.space_id)
        user = token.user if token is not None and is_its else None
    return user is not None and access.can_read(user, owner_id, "private")
