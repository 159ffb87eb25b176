"""The Space that a request is about, if the user may see it. Pages and API have refusals of their own."""

from __future__ import annotations

from accounts import access
from spaces.models import FormerName, Space


def readable(user: access.Account, owner: str, name: str) -> Space | None:
    """The Space that has this name, or had it before it was moved, if this user may see it. Absent and
    forbidden are the same None."""
    space = named(owner, name)
    return space if space is not None and access.can_read(user, space.owner_id, space.visibility) else None


def named(owner: str, name: str) -> Space | None:
    """The Space that has this name, or had it, for any user."""
    if "\0" in owner + name:  # PostgreSQL's texts cannot store it
        return None
    spaces = Space.objects.select_related("owner", "replica__node")
    space = spaces.filter(owner__name__iexact=owner, name__iexact=name).first()
    if space is None:
        former = FormerName.objects.filter(owner__name__iexact=owner, name__iexact=name)
        space = spaces.filter(former_names__in=former).first()
    return space
