"""Page tokens: proof that a request comes from a page that the gateway itself served.

The token is part of the root path that the app's page is told (`/_ui/<token>`), so it comes with every
request of that page, needs no cookie, and never shows up for programs, which read the plain root. It is
bound to the first session that uses it. A price, not a wall: whoever fetches the page by script and
copies its token gets one session.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass

PREFIX = "/_ui/"
AGE_S = 24 * 3600


@dataclass(frozen=True, slots=True)
class PageToken:
    """What a valid token says."""

    nonce: str
    visit: str
    user_id: int  # 0: nobody signed in


def make(key: str, space_id: int, *, visit: str, user_id: int) -> str:
    """A token for one page of this Space; `visit` holds no dot."""
    payload = f"{secrets.token_urlsafe(9)}.{visit}.{user_id}.{int(time.time()) + AGE_S}"
    return f"{payload}.{_sign(key, space_id, payload)}"


def read(key: str, space_id: int, token: str) -> PageToken | None:
    """What the token says, or None when it was not made by us, for this Space, within its time."""
    payload, _, signature = token.rpartition(".")
    if not hmac.compare_digest(signature.encode(), _sign(key, space_id, payload).encode()):
        return None
    nonce, visit, user_id, expires = payload.split(".")
    return PageToken(nonce, visit, int(user_id)) if int(expires) > time.time() else None


def split(path: str) -> tuple[str, str]:
    """The token in a path ("" for none), and the path without it."""
    if not path.startswith(PREFIX):
        return "", path
    token, _, rest = path[len(PREFIX) :].partition("/")
    return token, f"/{rest}"


def _sign(key: str, space_id: int, payload: str) -> str:
    digest = hmac.new(key.encode(), f"page:{space_id}:{payload}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest[:18]).decode()
