"""What an account may do in a namespace. Absent and forbidden are answered alike, as "not found"."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser

from accounts.models import Membership

Account = AbstractBaseUser | AnonymousUser | None


def _role(user: Account, owner_id: int) -> str | None:
    if user is None or not user.is_authenticated:
        return None
    return (
        Membership.objects.filter(user_id=user.pk, owner_id=owner_id).values_list("role", flat=True).first()
    )


def can_read(user: Account, owner_id: int, visibility: str) -> bool:
    """May this account see a Space of this owner?"""
    return visibility == "public" or _is_staff(user) or _role(user, owner_id) is not None


def can_write(user: Account, owner_id: int) -> bool:
    """May this account push to, and change, the Spaces of this owner?"""
    return bool(written_by(user, [owner_id]))


def written_by(user: Account, owner_ids: Iterable[int]) -> set[int]:
    """The ids of these owners for whose Spaces this account has write access, in one query."""
    ids = set(owner_ids)
    if user is None or not user.is_authenticated or not ids:
        return set()
    if _is_staff(user):
        return ids
    roles = [Membership.Role.ADMIN, Membership.Role.WRITE]
    rows = Membership.objects.filter(user_id=user.pk, owner_id__in=ids, role__in=roles)
    return set(rows.values_list("owner_id", flat=True))


def _is_staff(user: Account) -> bool:
    return user is not None and user.is_authenticated and bool(getattr(user, "is_superuser", False))
