"""Page tokens: proof that a request comes from a page that the gateway itself served.

The token is part of the root path of the app's page (`/_ui/<token>`), so it comes with every
request of that page, needs no cookie, and never shows up for programs, which read the plain root. It is
bound to the first session that uses it. A price, not a wall: a script that fetches the page and copies its
token gets one session.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import time
from dataclasses import dataclass

PREFIX = "/_ui/"
VISIT = "__visit"
AGE_S = 24 * 3600
NO_PAGE = "-"  # instead of a nonce: no page was served with this token, it only identifies the visitor

_TOKENED = re.compile(r"(?P<origin>https?://[^/?#]*)(?P<path>/.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class PageToken:
    """The contents of a valid token."""

    nonce: str
    visit: str
    user_id: int  # 0: nobody signed in

    @property
    def of_page(self) -> bool:
        """Whether a page was served with it."""
        return self.nonce != NO_PAGE


def make(key: str, space_id: int, *, visit: str, user_id: int, page: bool = True) -> str:
    """A token for one page of this Space, or one that only identifies the visitor; `visit` has no dot."""
    nonce = secrets.token_urlsafe(9) if page else NO_PAGE
    payload = f"{nonce}.{visit}.{user_id}.{int(time.time()) + AGE_S}"
    return f"{payload}.{_sign(key, space_id, payload)}"


def verify(key: str, space_id: int, token: str) -> PageToken | None:
    """The token's contents, or None when it was not made by us, for this Space, within its time."""
    payload, _, signature = token.rpartition(".")
    if not hmac.compare_digest(signature.encode(), _sign(key, space_id, payload).encode()):
        return None
    nonce, visit, user_id, expires = payload.split(".")
    return PageToken(nonce, visit, int(user_id)) if int(expires) > time.time() else None


def split(path: str, mount: str = "") -> tuple[str, str]:
    """The token in a path ("" for none), and the path without it. It stands at the beginning, or behind the
    place that the app is mounted at."""
    for before in ("", mount):
        if path.startswith(f"{before}{PREFIX}"):
            token, _, rest = path[len(before) + len(PREFIX) :].partition("/")
            return token, f"{before}/{rest}"
    return "", path


def own_query(query: bytes) -> bytes:
    """The app's own query: without the gateway's parameters."""
    if VISIT.encode() not in query:
        return query
    return b"&".join(pair for pair in query.split(b"&") if pair.partition(b"=")[0] != VISIT.encode())


def own_url(url: str) -> str:
    """A URL of the Space's own host as the app would know it: without token and visit."""
    found = _TOKENED.fullmatch(url)
    if found is None:
        return url
    path, mark, query = found["path"].partition("?")
    kept = own_query(query.encode("latin-1")).decode("latin-1")
    return f"{found['origin']}{split(path)[1]}{mark if kept else ''}{kept}"


def _sign(key: str, space_id: int, payload: str) -> str:
    digest = hmac.new(key.encode(), f"page:{space_id}:{payload}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest[:18]).decode()
