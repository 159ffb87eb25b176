"""Which Spaces somebody may see, and those that a search finds among them."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet

from accounts.models import Membership
from spaces.models import Space, Visibility


def visible(user: Any) -> QuerySet[Space]:
    """The Spaces this user (or nobody) may read."""
    found = Space.objects.all()
    if user is not None and user.is_authenticated and user.is_superuser:
        return found
    public = Q(visibility=Visibility.PUBLIC)
    if user is None or not user.is_authenticated:
        return found.filter(public)
    return found.filter(public | Q(owner__in=Membership.objects.filter(user=user).values("owner")))


def matching(found: QuerySet[Space], search: str) -> QuerySet[Space]:
    """Those whose name, owner, title or description has every word of the search."""
    for word in search.replace("/", " ").split()[:8]:
        found = found.filter(
            Q(name__icontains=word)
            | Q(owner__name__icontains=word)
            | Q(title__icontains=word)
            | Q(short_description__icontains=word)
        )
    return found
