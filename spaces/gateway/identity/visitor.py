"""Whether a visitor may use a Space through the gateway; the same for http and websockets."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qs, urlsplit

from channels.db import database_sync_to_async
from django.db import Error

from accounts import throttle
from accounts import tokens as account_tokens
from accounts.rights import Viewer
from queueing.errors import AccountUnknown, TooManyTokens
from spaces import visits
from spaces.gateway import page_tokens
from spaces.gateway.proxy import cookies
from spaces.gateway.proxy import headers as head
from spaces.gateway.request import Visitor

if TYPE_CHECKING:
    from queueing.delivery.watched_rights import WatchedRights
    from queueing.routes import Route
    from spaces.gateway.page_tokens import PageToken
    from spaces.gateway.proxy.http import Scope
    from spaces.gateway.request import By

REMEMBERED = 10_000
REMEMBERED_S = 60.0

_accounts: dict[str, tuple[float, int | None]] = {}


async def visitor_of(
    watched: WatchedRights, route: Route, scope: Scope, token: PageToken | None, key: str, *, program: bool
) -> Visitor | None:
    """The visitor, or None if this Space is not for them (answered like a Space that does not exist). `key`
    signs page tokens.

    Raises:
        RightsUnknown
    """
    if token is not None and not route.private:
        return _of_token(token)
    proofs = [] if program else _by_its_page(route, scope, token, key)
    proofs.append(Visitor(Viewer(bearer=_bearer(scope), space_id=route.space_id)))
    visit = next((one.visit for one in proofs if one.visit), "")
    for one in proofs:
        if await watched.may_see(one.viewer, route):
            has_pass = any(other.by == "pass" and other.viewer == one.viewer for other in proofs)
            return replace(one, visit=visit, has_pass=has_pass)
    return None


def _by_its_page(route: Route, scope: Scope, token: PageToken | None, key: str) -> list[Visitor]:
    """The proofs that a browser sends, the surest first. Each belongs to one page, except the cookie, which
    all of a browser's pages of the Space share."""
    proofs = [] if token is None else [_of_token(token)]
    proofs += _of_visit(_visit_in(scope["query_string"].decode("latin-1")), route, "query")
    host = head.first(scope["headers"], "host")
    referer = _parts(head.first(scope["headers"], "referer"))
    if referer.netloc == host:
        proofs += _of_visit(_visit_in(referer.query), route, "referring page")
        raw, _ = page_tokens.split(referer.path)
        if raw and (found := page_tokens.verify(key, route.space_id, raw)) is not None:
            proofs.append(replace(_of_token(found), by="referring page", referrer_token=raw))
    if _of_its_own_pages(scope, host):
        sent = [value for name, value in head.decoded(scope["headers"]) if name == "cookie"]
        proofs += _of_visit(cookies.pass_of(sent), route, "pass")
    return proofs


def _of_token(token: PageToken) -> Visitor:
    return Visitor(Viewer(token.user_id or None), token.visit, "token")


def _of_visit(signed: str, route: Route, by: By) -> list[Visitor]:
    found = visits.verify(signed, route.space_id) if signed else None
    return [] if found is None else [Visitor(Viewer(found[1]), found[0], by)]


def _visit_in(query: str) -> str:
    return parse_qs(query).get(page_tokens.VISIT, [""])[-1]


def _of_its_own_pages(scope: Scope, host: str) -> bool:
    """Whether a page of this host sends the request, or a browser opens one. A page of another host could
    read an answer that a cookie opens: apps allow every origin."""
    raw = scope["headers"]
    origin = head.first(raw, "origin")
    if origin and _parts(origin).netloc != host:
        return False
    opens = head.first(raw, "sec-fetch-mode") == "navigate"
    return opens or head.first(raw, "sec-fetch-site") in {"", "none", "same-origin"}


def _parts(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


async def account_of(scope: Scope, *, address: str, surely: bool = False) -> int | None:
    """The account whose token a program sends from this address, for its place in line (not for what it may
    do): up to a minute old, older while PostgreSQL is away.

    Raises:
        AccountUnknown: it has to be known `surely`, and this process never saw PostgreSQL since it began.
        TooManyTokens: it is nobody's, as many others of this address before.
    """
    bearer = _bearer(scope)
    if not bearer.startswith(account_tokens.PREFIX):
        return None
    now = time.monotonic()
    until, user_id = _accounts.get(bearer, (0.0, None))
    if until < now:
        try:
            user_id = await database_sync_to_async(_user_of)(bearer, address)
        except Error as error:  # PostgreSQL is away: as it was known before, and calls go on
            if surely and bearer not in _accounts:
                raise AccountUnknown from error
            return user_id
        if len(_accounts) > REMEMBERED:
            _accounts.clear()
        _accounts[bearer] = (now + REMEMBERED_S, user_id)
    return user_id


def _user_of(bearer: str, address: str) -> int | None:
    token = account_tokens.check(bearer)
    if token is None and throttle.too_many_guesses(address, bearer):
        raise TooManyTokens
    return token.user_id if token is not None else None


def _bearer(scope: Scope) -> str:
    for name in ("authorization", "x-hf-authorization"):
        scheme, _, value = head.first(scope["headers"], name).partition(" ")
        if scheme.lower() == "bearer" and value:
            return value.strip()
    return ""
