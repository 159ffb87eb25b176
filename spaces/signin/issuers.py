"""The published keys of the issuers that vouch for CI jobs (OpenID Connect Discovery 1.0), fetched where the
platform may connect to and kept for some minutes."""

from __future__ import annotations

import json
import threading
import time
from typing import Any
from urllib.parse import urlsplit

import jwt
from django.conf import settings

from infra import outbound

KEPT_S = 600.0
AGAIN_S = 30.0  # for a key that is not among those kept: they may just have changed
ANSWER_BYTES = 256 * 1024
MOST_KEPT = 200
DISCOVERY = "/.well-known/openid-configuration"

_kept: dict[str, tuple[float, jwt.PyJWKSet | None, str]] = {}
#: Many jobs start at once, and one slow issuer keeps few of the others waiting.
_fetching = [threading.Lock() for _ in range(64)]


class NoKeys(Exception):
    """The keys could not be fetched; the message gives the reason."""


def check(issuer: str) -> str:
    """The issuer, if it can be one: an https address, or one that the operator opened.

    Raises:
        NoKeys
    """
    try:
        outbound.check_url(issuer)
    except outbound.Refused as error:
        raise NoKeys(str(error)) from error
    parts = urlsplit(issuer)
    named = {one.partition(":")[0].lower() for one in settings.SPACEPORT_OUTBOUND_REACHES}
    if parts.scheme != "https" and (parts.hostname or "") not in named:
        raise NoKeys("An issuer's address begins with https://.")
    if parts.query:
        raise NoKeys("An issuer's address has no query.")
    return issuer


def key(issuer: str, raw: str) -> Any:
    """The key that this token names, of its issuer.

    Raises:
        NoKeys
        jwt.PyJWTError: it names none that there is.
    """
    kid = jwt.get_unverified_header(raw).get("kid")
    at, keys, problem = _cached(issuer, KEPT_S)
    found = _named(keys, kid)
    if found is None and time.monotonic() - at > AGAIN_S:
        _, keys, problem = _cached(issuer, AGAIN_S)
        found = _named(keys, kid)
    if keys is None:
        raise NoKeys(problem)
    if found is None:
        raise jwt.InvalidKeyError("its key is none of its issuer's")
    return found.key


def _named(keys: jwt.PyJWKSet | None, kid: Any) -> jwt.PyJWK | None:
    usable = [one for one in keys.keys if one.public_key_use in ("sig", None)] if keys is not None else []
    if kid is None and len(usable) == 1:
        return usable[0]
    return next((one for one in usable if one.key_id == kid), None)


def _cached(issuer: str, newer_than_s: float) -> tuple[float, jwt.PyJWKSet | None, str]:
    """The issuer's keys, fetched in the last so many seconds; a failure is kept for as long as that, at most
    half a minute."""
    with _fetching[hash(issuer) % len(_fetching)]:
        known = _kept.get(issuer)
        if known is not None:
            life = newer_than_s if known[1] is not None else min(newer_than_s, AGAIN_S)
            if time.monotonic() - known[0] < life:
                return known
        keys, problem = None, ""
        try:
            keys = _fetched(issuer)
        except NoKeys as error:
            problem = str(error)
        value = (time.monotonic(), keys, problem)
        if len(_kept) >= MOST_KEPT:
            _kept.clear()
        _kept[issuer] = value
        return value


def _fetched(issuer: str) -> jwt.PyJWKSet:
    about = _json(f"{issuer.rstrip('/')}{DISCOVERY}")
    where = about.get("jwks_uri")
    if about.get("issuer") != issuer or not isinstance(where, str):
        raise NoKeys("its configuration names another issuer, or no keys.")
    check(where.partition("?")[0])
    try:
        return jwt.PyJWKSet.from_dict(_json(where))
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError) as error:
        raise NoKeys(f"its keys are none: {str(error)[:200]}") from error


def _json(url: str) -> dict[str, Any]:
    check(url.partition("?")[0])
    try:
        answer = outbound.request(
            "GET", url, reaches=settings.SPACEPORT_OUTBOUND_REACHES, limit=ANSWER_BYTES,
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
        )  # fmt: skip
        value = json.loads(answer.body) if answer.status == 200 else None
    except (outbound.Refused, outbound.Failed) as error:
        raise NoKeys(str(error)) from error
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise NoKeys(f"{url[:200]} does not answer with JSON.")
    return value
