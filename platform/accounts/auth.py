"""The caller of an API request, by a bearer token, a token as Basic's password (git), or the session."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING

from accounts import throttle, tokens
from accounts.models import AccessToken, User

if TYPE_CHECKING:
    from django.http import HttpRequest


class BadCredentials(Exception):
    """The credentials belong to nobody. `too_many`: nor did many others of this sender."""

    def __init__(self, *, too_many: bool = False) -> None:
        super().__init__("Wait five minutes." if too_many else "")
        self.too_many = too_many


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller. Without a token (`token` None) a signed-in user may read; only a write token may write.
    With a token for one Space alone the caller is nobody (`user` None) until it is known that the request is
    about that Space (`on`)."""

    user: User | None = None
    token: AccessToken | None = None

    def on(self, space_id: int) -> Caller:
        """The same caller in a request about this Space."""
        is_its = self.token is not None and self.token.space_id == space_id
        return Caller(self.token.user, self.token) if self.token is not None and is_its else self

    @property
    def elsewhere(self) -> User | None:
        """The caller's account for requests that concern other Spaces too: none with a token for one Space
        alone."""
        return None if self.token is not None and self.token.space_id is not None else self.user

    @property
    def may_write(self) -> bool:
        return self.token is not None and self.token.scope == AccessToken.Scope.WRITE


def caller_of(request: HttpRequest) -> Caller:
    """The caller of this request.

    Raises:
        BadCredentials
    """
    value = _token_of(request.headers.get("Authorization", ""))
    if value is None:
        user = request.user if hasattr(request, "user") and request.user.is_authenticated else None
        return Caller(user if isinstance(user, User) else None)
    token = tokens.check(value)
    if token is None:
        raise BadCredentials(too_many=throttle.too_many_tokens(request))
    return Caller(token.user if token.space_id is None else None, token)


def token_in(authorization: str) -> AccessToken | None:
    """The token in the value of an Authorization header; None where there is none, or it is nobody's."""
    try:
        value = _token_of(authorization)
    except BadCredentials:
        return None
    return tokens.check(value) if value is not None else None


def _token_of(header: str) -> str | None:
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            _, _, password = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise BadCredentials from error
        return password
    return None
