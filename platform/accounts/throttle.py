"""Slows guessing down wherever people sign in, without locking out users with the right password.

Counted within `WINDOW_S`, by the visitor's own address (as trusted proxies report it):

- tries of one name from one address: ten;
- failures from one address whatever the name, and of one name from everywhere. Past these limits each name
  has one try left from each address: a flood does not lock out the right password. Only past
  `MOST_FROM_ADDRESS` an address waits;
- a browser that has signed in to an account before (a signed cookie proves it) counts by itself alone.

Whether a name exists makes no difference.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

from django.conf import settings
from django.core import signing
from django.core.cache import cache
from django.core.signing import BadSignature
from django.http import HttpRequest, HttpResponseBase
from redis import RedisError

from accounts.addresses import client_of_request, household

WINDOW_S = 300
PER_NAME_AND_ADDRESS = 10
PER_ADDRESS = 50
PER_NAME = 200
MOST_FROM_ADDRESS = 500
SIGN_UPS = 50  # accounts from one address
TOKENS = 100  # tokens that are nobody's, from one address
PASSWORD_CHANGES = 10  # wrong passwords of somebody signed in
CODES = 30  # of programs that want to sign in, typed by one user

COOKIE = "known_browser"
_SALT = "accounts.known-browser"
_KNOWN_S = 365 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Try:
    """One try of a password."""

    name: str
    address: str
    browser: str  # a known one's id, "" for all others

    @classmethod
    def of(cls, request: HttpRequest, name: str) -> Try:
        """The try that this request is."""
        name = name.strip().lower()[:150]
        return cls(name, address_of(request), _known(request, name))

    def may_go_on(self) -> bool:
        """Count it; whether the password may be checked."""
        count = _count(self._own)
        if self.browser:
            return count <= PER_NAME_AND_ADDRESS
        failures = cache.get_many([self._from_address, self._of_name])
        from_address = failures.get(self._from_address, 0)
        if from_address >= MOST_FROM_ADDRESS:
            return False
        strained = from_address >= PER_ADDRESS or failures.get(self._of_name, 0) >= PER_NAME
        return count <= (1 if strained else PER_NAME_AND_ADDRESS)

    def failed(self) -> None:
        """The password was wrong."""
        if not self.browser:
            _count(self._from_address)
            _count(self._of_name)

    def succeeded(self, answer: HttpResponseBase) -> None:
        """The password was right: forget the tries, and know this browser by its cookie."""
        cache.delete(self._own)
        answer.set_cookie(
            COOKIE,
            signing.dumps([self.name, self.browser or secrets.token_urlsafe(9)], salt=_SALT),
            max_age=_KNOWN_S,
            path="/login",
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=True,
            samesite="Lax",
        )

    @property
    def _own(self) -> str:
        return f"sign-in:{_hex(self.name)}:{_hex(self.browser or self.address)}"

    @property
    def _from_address(self) -> str:
        return f"sign-in:from:{_hex(self.address)}"

    @property
    def _of_name(self) -> str:
        return f"sign-in:as:{_hex(self.name)}"


def too_many_sign_ups(request: HttpRequest) -> bool:
    """Count one more sign-up; whether it must wait."""
    return _count(f"sign-up:{_hex(address_of(request))}") > SIGN_UPS


def too_many_tokens(request: HttpRequest) -> bool:
    """Count a token that is nobody's; whether its sender must wait. Valid ones are never counted."""
    try:
        return _count(f"tokens:{_hex(address_of(request))}") > TOKENS
    except RedisError:  # it is refused all the same
        return False


def too_many_guesses(address: str, token: str) -> bool:
    """Whether a sender of this unknown token must wait, by its address. Each different token counts once:
    clients go on sending one that has expired, or another Hub's, everywhere."""
    sender = _hex(household(address))
    seen = f"token:{hashlib.sha256(token.encode()).hexdigest()}:{sender}"
    try:
        if cache.get(seen):
            return False
        if cache.get(f"tokens:{sender}", 0) >= TOKENS:
            return True
        cache.set(seen, 1, WINDOW_S)
        _count(f"tokens:{sender}")
    except RedisError:
        pass
    return False


def too_many_changes(user_id: int) -> bool:
    """Count a try to change this user's password; whether it must wait."""
    return _count(f"password:{user_id}") > PASSWORD_CHANGES


def too_many_codes(user_id: int) -> bool:
    """Count a code that this user typed for a program; whether it must wait."""
    return _count(f"codes:{user_id}") > CODES


def changed(user_id: int) -> None:
    """The password was changed by a user who knew the old one."""
    cache.delete(f"password:{user_id}")


def address_of(request: HttpRequest) -> str:
    """The address that the visitor's tries are counted for."""
    return household(client_of_request(request.META, settings.SPACEPORT_TRUSTED_PROXY_COUNT))


def _known(request: HttpRequest, name: str) -> str:
    try:
        known, browser = signing.loads(request.COOKIES.get(COOKIE, ""), salt=_SALT, max_age=_KNOWN_S)
    except (BadSignature, ValueError, TypeError):
        return ""
    return str(browser) if known == name else ""


def _hex(text: str) -> str:
    # Part of a key: typed text may contain anything.
    return text.encode("utf-8", "surrogatepass").hex()


def _count(key: str) -> int:
    cache.add(key, 0, WINDOW_S)
    try:
        return int(cache.incr(key))
    except ValueError:  # it ran out between the two
        cache.set(key, 1, WINDOW_S)
        return 1
