"""Cookies between a visitor and an app: pure functions.

On a Space's own host cookies are the app's, except the one that proves the right to a private
Space. Below `/run/`, on the platform's host, an app's cookie `a` is called
`space-<id>-a`: it cannot meet a cookie of the platform or of another Space, whatever a client does with
paths. Browsers get none there: a stranger's cookies would push the platform's own out of a browser's jar.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spaces.gateway.proxy.door import Door

#: Proves the right to see a private Space, on its own host. The first where a browser takes `Secure` cookies.
SECURE_PASS = "__Host-spaceport-pass"  # noqa: S105
PASS = "spaceport-pass"  # noqa: S105
#: Of one answer below `/run/`, and the bytes of each.
MOST = 20
MOST_BYTES = 4096

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\x20-\x3a\x3c-\x7e\x80-\xff]*")
_EXPIRES = re.compile(r"[A-Za-z0-9,:+ -]{1,64}")
_MAX_AGE = re.compile(r"-?[0-9]{1,10}")


def of_request(values: Iterable[str], door: Door) -> str:
    """The Cookie header an app gets for those that a visitor sent; "" for none."""
    pairs = [pair.strip() for value in values for pair in value.split(";")]
    if not door.program:
        return "; ".join(pair for pair in pairs if pair and not _is_ours(pair))
    if door.browser:
        return ""
    prefix = _prefix(door)
    return "; ".join(pair.removeprefix(prefix) for pair in pairs if pair.startswith(prefix))


def pass_of(values: Iterable[str]) -> str:
    """The gateway's own cookie among those that a visitor sent; "" for none."""
    pairs = [pair.strip().partition("=") for value in values for pair in value.split(";")]
    for ours in (SECURE_PASS, PASS):
        for name, _, text in pairs:
            if name == ours:
                return text
    return ""


def new_pass(token: str, max_age_s: int, *, secure: bool) -> str:
    """A Set-Cookie of the gateway's own. `Partitioned`, so that it is kept in the platform's frame where a
    browser keeps no cookies of third parties; that needs `Secure`."""
    if not secure:
        return f"{PASS}={token}; Path=/; Max-Age={max_age_s}; HttpOnly; SameSite=Lax"
    return f"{SECURE_PASS}={token}; Path=/; Max-Age={max_age_s}; HttpOnly; Secure; SameSite=None; Partitioned"


def of_answer(value: str, door: Door) -> str | None:
    """The Set-Cookie a visitor gets for one of the app; None for none."""
    pair, *rest = (part.strip() for part in value.split(";"))
    attributes = [(name.strip().lower(), text.strip()) for name, _, text in (p.partition("=") for p in rest)]
    if not door.program:
        kept = [part for part, (name, _) in zip(rest, attributes, strict=True) if name != "domain"]
        if door.third_party and _may_be_partitioned(dict(attributes)):
            kept.append("Partitioned")
        return None if _is_ours(pair) else "; ".join([pair, *kept])
    name, found, text = pair.partition("=")
    name, text = name.strip(), text.strip()
    if door.browser or not found or not _NAME.fullmatch(name) or not _VALUE.fullmatch(text):
        return None
    cookie = "; ".join([f"{_prefix(door)}{name}={text}", *_scoped(dict(attributes), door)])
    return cookie if len(cookie) <= MOST_BYTES else None


def _may_be_partitioned(attributes: dict[str, str]) -> bool:
    """Whether the app means it for frames of other sites too."""
    for_frames = "secure" in attributes and attributes.get("samesite", "").lower() == "none"
    return for_frames and "partitioned" not in attributes


def _scoped(attributes: dict[str, str], door: Door) -> list[str]:
    """The attributes that a cookie keeps below `/run/`: its life time, and this Space's path."""
    scoped = [f"Path={door.path}/", "HttpOnly"]
    scoped.append("SameSite=Strict" if attributes.get("samesite", "").lower() == "strict" else "SameSite=Lax")
    if door.secure or "secure" in attributes:
        scoped.append("Secure")
    if _EXPIRES.fullmatch(expires := attributes.get("expires", "")):
        scoped.append(f"Expires={expires}")
    if _MAX_AGE.fullmatch(max_age := attributes.get("max-age", "")):
        scoped.append(f"Max-Age={max_age}")
    return scoped


def _prefix(door: Door) -> str:
    return f"space-{door.space_id}-"


def _is_ours(pair: str) -> bool:
    return pair.partition("=")[0].strip().lower() in {SECURE_PASS.lower(), PASS}
