"""Likes of Spaces, and how many there are."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.db.models import Count, F, Q, QuerySet
from django.utils import timezone

from accounts.models import User
from spaces.models import Like, Space

TREND = timedelta(days=7)  # likes of so long ago count as a trend


@transaction.atomic
def like(space: Space, user: User) -> None:
    """This user likes the Space; again changes nothing."""
    _, new = Like.objects.get_or_create(space=space, user=user)
    if new:
        Space.objects.filter(pk=space.pk).update(likes=F("likes") + 1)


@transaction.atomic
def unlike(space: Space, user: User) -> None:
    """This user does not like it any more; a user who never did changes nothing."""
    if Like.objects.filter(space=space, user=user).delete()[0]:
        Space.objects.filter(pk=space.pk).update(likes=F("likes") - 1)


def with_trend(found: QuerySet[Space]) -> QuerySet[Space]:
    """The same Spaces, each with `trend`: its likes of the last week."""
    recent = Q(liked_by__created_at__gt=timezone.now() - TREND)
    return found.annotate(trend=Count("liked_by", filter=recent))


def trend(space: Space) -> int:
    """Its likes of the last week."""
    known = getattr(space, "trend", None)
    since = timezone.now() - TREND
    return known if known is not None else space.liked_by.filter(created_at__gt=since).count()
