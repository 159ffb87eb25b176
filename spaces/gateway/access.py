"""Who may use a Space through the gateway; the same for http and websockets."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from channels.db import database_sync_to_async
from django.db import Error

from accounts import access, tokens
from accounts.models import User
from queueing.errors import AccountUnknown
from spaces import visits
from spaces.gateway import headers as head

if TYPE_CHECKING:
    from queueing.routes import Route
    from spaces.gateway.http import Scope
    from spaces.gateway.tokens import PageToken

REMEMBERED = 10_000
REMEMBERED_S = 60.0

_accounts: dict[str, tuple[float, int | None]] = {}


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks, as far as is known."""

    user_id: int | None
    visit: str


async def visitor_of(route: Route, scope: Scope, token: PageToken | None) -> Visitor | None:
    """The visitor, or None when this Space is not for them (told as: there is no such Space)."""
    visitor = _known(route, scope, token)
    if not route.private:
        return visitor
    if token is not None and token.user_id:
        return visitor
    allowed = await database_sync_to_async(_may_read)(route, visitor.user_id, _bearer(scope))
    return visitor if allowed else None


def _known(route: Route, scope: Scope, token: PageToken | None) -> Visitor:
    if token is not None:
        return Visitor(token.user_id or None, token.visit)
    query = parse_qs(scope["query_string"].decode("latin-1"))
    signed = query.get("__visit", [""])[-1]
    found = visits.read(signed, route.space_id) if signed else None
    return Visitor(found[1], found[0]) if found else Visitor(None, "")


async def account_of(scope: Scope, *, surely: bool = False) -> int | None:
    """The account whose token a program sends, for its place in line (not for what it may do): up to a minute
    old, older while PostgreSQL is away.

    Raises:
        AccountUnknown: it has to be known `surely`, and this process never saw PostgreSQL since it began.
    """
    bearer = _bearer(scope)
    if not bearer.startswith(tokens.PREFIX):
        return None
    now = time.monotonic()
    until, user_id = _accounts.get(bearer, (0.0, None))
    if until < now:
        try:
            user_id = await database_sync_to_async(_user_of)(bearer)
        except Error as error:  # PostgreSQL is away: as it was known before, and calls go on
            if surely and bearer not in _accounts:
                raise AccountUnknown from error
            return user_id
        if len(_accounts) > REMEMBERED:
            _accounts.clear()
        _accounts[bearer] = (now + REMEMBERED_S, user_id)
    return user_id


def _user_of(bearer: str) -> int | None:
    token = tokens.check(bearer)
    return token.user_id if token is not None else None


def _bearer(scope: Scope) -> str:
    for name in ("authorization", "x-hf-authorization"):
        scheme, _, value = head.first(scope["headers"], name).partition(" ")
        if scheme.lower() == "bearer" and value:
            return value.strip()
    return ""


def _may_read(route: Route, user_id: int | None, bearer: str) -> bool:
    user = User.objects.filter(pk=user_id, is_active=True).first() if user_id else None
    if user is None and bearer:
        token = tokens.check(bearer)
        user = token.user if token is not None else None
    return user is not None and access.can_read(user, route.owner_id, "private")
