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
class Who:
    """Somebody, by what proves it: the account of a session, page or link, else the token of a program."""

    user_id: int | None = None
    bearer: str = ""
    space_id: int = 0  # that a bearer asks for


class Rights:
    """What one process knows of them. For one event loop."""

    def __init__(self) -> None:
        self._granted: dict[tuple[int, Who], float] = {}
        self._asking: dict[tuple[int, Who], asyncio.Task[bool]] = {}

    async def may_read(self, who: Who, owner_id: int) -> bool:
        """Whether they may see this owner's private Spaces now.

        Raises:
            RightsUnknown
        """
        if who.user_id is None and not who.bearer:
            return False
        key = (owner_id, who)
        age_s = time.monotonic() - self._granted.get(key, float("-inf"))
        if age_s < FRESH_S:
            return True
        try:
            return await self._ask(key)
        except Error as error:
            if age_s < STALE_S:
                return True
            raise RightsUnknown from error

    async def _ask(self, key: tuple[int, Who]) -> bool:
        """One query for all concurrent checks of the same right."""
        if key not in self._asking:
            self._asking[key] = asyncio.create_task(self._answer(key), name="right to read")
            self._asking[key].add_done_callback(lambda _: self._asking.pop(key, None))
        return await asyncio.shield(self._asking[key])

    async def _answer(self, key: tuple[int, Who]) -> bool:
        owner_id, who = key
        asked_at = time.monotonic()
        allowed = bool(await database_sync_to_async(may_read)(who, owner_id))
        if allowed:
            if len(self._granted) > MOST_REMEMBERED:
                self._granted.clear()
            self._granted[key] = asked_at
        else:
            self._granted.pop(key, None)
        return allowed


def may_read(who: Who, owner_id: int) -> bool:
    """The answer of the database."""
    if who.user_id is not None:
        user = User.objects.filter(pk=who.user_id, is_active=True).first()
    else:
        token = tokens.check(who.bearer)
        is_its = token is not None and token.space_id in (None, who.space_id)
        user = token.user if token is not None and is_its else None
    return user is not None and access.can_read(user, owner_id, "private")
