"""API tokens: shown once, kept as a digest. They begin with `hf_`, as the Hub's clients and secret
scanners expect."""

from __future__ import annotations

import hashlib
import secrets
import string
from datetime import timedelta

from django.utils import timezone

from accounts.models import AccessToken, User

PREFIX = "hf_"
LENGTH = 34  # base62 characters: over 200 random bits
USED_EVERY = timedelta(minutes=1)  # how exact `last_used_at` is
_ALPHABET = string.ascii_letters + string.digits


def issue(
    user: User,
    name: str,
    scope: str = AccessToken.Scope.WRITE,
    *,
    life: timedelta | None = None,
    space_id: int | None = None,
    refresh: str | None = None,
) -> tuple[AccessToken, str]:
    """A new token: its row, and the value that is never seen again. `refresh`: the value that it can be
    renewed with."""
    plain = PREFIX + random_value()
    row = AccessToken.objects.create(
        user=user,
        name=name,
        scope=scope,
        digest=digest(plain),
        last_four=plain[-4:],
        expires_at=timezone.now() + life if life is not None else None,
        space_id=space_id,
        refresh_digest=digest(refresh) if refresh is not None else None,
    )
    return row, plain


def random_value() -> str:
    """What nobody can guess."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(LENGTH))


def check(plain: str) -> AccessToken | None:
    """The token of an active user that has this value, or None."""
    if not plain.startswith(PREFIX) or len(plain) > 200 or not plain.isascii():
        return None
    row = AccessToken.objects.select_related("user").filter(digest=digest(plain)).first()
    if row is None or not row.user.is_active or row.is_expired:
        return None
    now = timezone.now()
    if row.last_used_at is None or now - row.last_used_at > USED_EVERY:
        AccessToken.objects.filter(pk=row.pk).update(last_used_at=now)
    return row


def digest(plain: str) -> str:
    """How a value is kept."""
    return hashlib.sha256(plain.encode()).hexdigest()
