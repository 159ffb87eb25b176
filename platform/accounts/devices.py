"""Signing in a program on a device without a browser of its own (RFC 8628), as `hf auth login` does: it shows
a code, its user types that into the platform's page and agrees, and the program, which has been polling, gets
a token. The token is renewed with a refresh token (RFC 6749, 6), which is good once."""

from __future__ import annotations

import secrets
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from accounts import tokens
from accounts.models import AccessToken, DeviceLogin, User

LIFE = timedelta(minutes=15)
INTERVAL_S = 5
HASTE = timedelta(seconds=3)  # polling again earlier than this is too soon
TOKEN_LIFE = timedelta(days=30)
OPEN_AT_ONCE = 20  # of one address
OPEN_IN_ALL = 5000
NAME = "hf auth login"
#: No vowels, so that no words come out, and no similar characters.
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"


class OAuthError(Exception):
    """A refusal with OAuth's own code."""

    def __init__(self, code: str, text: str = "", status: int = 400) -> None:
        super().__init__(text or code)
        self.code, self.status = code, status


class TooMany(Exception):
    """Too many programs wait for their users already."""


def start(address: str) -> tuple[str, str]:
    """A program wants to sign in: its secret code, and the one for its user.

    Raises:
        TooMany
    """
    now = timezone.now()
    waiting = DeviceLogin.objects.filter(expires_at__gt=now)
    if waiting.filter(address=address).count() >= OPEN_AT_ONCE or waiting.count() >= OPEN_IN_ALL:
        raise TooMany
    device_code = tokens.random_value()
    row = DeviceLogin.objects.create(
        device_digest=tokens.digest(device_code),
        user_code="".join(secrets.choice(_LETTERS) for _ in range(8)),
        address=address,
        expires_at=now + LIFE,
    )
    return device_code, shown(row)


def shown(row: DeviceLogin) -> str:
    """The user's code as people read it."""
    return f"{row.user_code[:4]}-{row.user_code[4:]}"


def waiting(typed: str) -> DeviceLogin | None:
    """The program that shows this code and waits, or None."""
    code = "".join(c for c in typed.upper() if c.isalnum())
    rows = DeviceLogin.objects.filter(user=None, expires_at__gt=timezone.now())
    return rows.filter(user_code=code).first() if code else None


def decide(row: DeviceLogin, user: User, scope: str) -> None:
    """The user agrees to this, or to nothing (""). The first decision counts."""
    DeviceLogin.objects.filter(pk=row.pk, user=None).update(user=user, scope=scope)


def poll(device_code: str) -> tuple[str, str]:
    """A program polls for its token; returns that, and the one to renew it with.

    Raises:
        OAuthError
    """
    with transaction.atomic():
        answer = _polled(device_code)
    if isinstance(answer, OAuthError):  # raised only now: what was written counts
        raise answer
    return answer


def _polled(device_code: str) -> tuple[str, str] | OAuthError:
    rows = DeviceLogin.objects.select_for_update(of=("self",)).select_related("user")
    row = rows.filter(device_digest=tokens.digest(device_code)).first()
    now = timezone.now()
    if row is None or row.expires_at <= now:
        return OAuthError("expired_token", "The code is unknown or has expired: sign in again.")
    if row.user is None:
        soon = row.polled_at is not None and now - row.polled_at < HASTE
        DeviceLogin.objects.filter(pk=row.pk).update(polled_at=now)
        return OAuthError("slow_down" if soon else "authorization_pending")
    row.delete()
    if not row.scope or not row.user.is_active:
        return OAuthError("access_denied", "It was refused in the browser.")
    return _pair(row.user, row.scope)


@transaction.atomic
def renew(refresh_token: str) -> tuple[str, str]:
    """A new token and refresh token for the old. The old token lasts until it expires by itself: other
    processes of the same user may still use it.

    Raises:
        OAuthError
    """
    rows = AccessToken.objects.select_for_update(of=("self",)).select_related("user")
    row = rows.filter(refresh_digest=tokens.digest(refresh_token)).first()
    if row is None or not row.user.is_active:
        raise OAuthError("invalid_grant", "The refresh token is unknown or was used: sign in again.")
    row.refresh_digest = None
    row.save(update_fields=["refresh_digest"])
    return _pair(row.user, row.scope)


def _pair(user: User, scope: str) -> tuple[str, str]:
    refresh = tokens.random_value()
    _, plain = tokens.issue(user, NAME, scope, life=TOKEN_LIFE, refresh=refresh)
    return plain, refresh
