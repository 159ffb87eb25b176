"""Join tokens: shown once, kept as a digest. Each lets one machine join, once, until it expires."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.utils import timezone

from accounts.tokens import digest, random_value
from hardware.models import JoinToken

if TYPE_CHECKING:
    from django.db.models import QuerySet

PREFIX = "join_"
HOURS, MOST_HOURS = 24, 30 * 24
#: How long those that are used, revoked or expired stay in the list.
SHOWN = timedelta(days=30)


class BadHours(ValueError):
    """No token lasts that long."""


def issue(by: str, hours: float = HOURS) -> tuple[JoinToken, str]:
    """A new token: its row, and the value that is never seen again. `by`: the administrator's name.

    Raises:
        BadHours
    """
    if not 0 < hours <= MOST_HOURS:
        raise BadHours(f"A join token lasts more than 0 and at most {MOST_HOURS} hours, not {hours:g}.")
    plain = PREFIX + random_value()
    row = JoinToken.objects.create(
        digest=digest(plain),
        last_four=plain[-4:],
        created_by=by,
        expires_at=timezone.now() + timedelta(hours=hours),
    )
    return row, plain


def locked(plain: str) -> JoinToken | None:
    """The token with this value, for this transaction alone."""
    return JoinToken.objects.select_for_update().filter(digest=digest(plain)).first()


def revoke(token_id: int) -> bool:
    """It lets nobody join any more. False: there is none, or it was used."""
    unused = JoinToken.objects.filter(pk=token_id, used_at=None)
    return bool(unused.update(revoked_at=timezone.now()))


def shown() -> QuerySet[JoinToken]:
    """All, the newest first."""
    return JoinToken.objects.order_by("-pk")


def describe(row: JoinToken) -> str:
    """Its state in words."""
    if row.used_at is not None:
        return f"used by {row.used_by}"
    if row.revoked_at is not None:
        return "revoked"
    return "expired" if row.expires_at <= timezone.now() else "unused"


def forget_old() -> None:
    """Delete those that are of no use any more."""
    JoinToken.objects.filter(expires_at__lt=timezone.now() - SHOWN).delete()
