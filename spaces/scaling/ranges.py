"""A range of replicas, as its owner sets it."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import transaction

from spaces.models import ReplicaRange, Sdk
from spaces.scaling import follow, memory

if TYPE_CHECKING:
    from spaces.models import Space

#: Seconds, of a goal and of the time without need.
GOAL_S = (0.5, 3600.0)
QUIET_S = (1.0, 86_400.0)


def of(space: Space) -> ReplicaRange | None:
    """Its range; None where it runs on a fixed number."""
    return ReplicaRange.objects.filter(space=space).first()


def set_range(space: Space, least: int, most: int, goal_s: float, quiet_s: float | None = None) -> None:
    """Run the Space on `least` to `most` replicas from now on, as many as keep the wait of nine of ten
    visitors below the goal. One that is not needed ends after `quiet_s` seconds (the platform's).

    Raises:
        follow.BadCount: nothing was changed.
    """
    quiet_s = settings.SPACEPORT_REPLICA_QUIET_S if quiet_s is None else quiet_s
    _check(space, least, most, goal_s, quiet_s)
    with transaction.atomic():
        values = {"least": least, "most": most, "goal_s": goal_s, "quiet_s": quiet_s}
        ReplicaRange.objects.update_or_create(space=space, defaults=values)
        space.replica_count = min(max(space.replica_count, least), most)
        space.save(update_fields=["replica_count", "last_modified"])
        memory.forget(space.pk)
        transaction.on_commit(partial(follow.follow, space.pk))


def _check(space: Space, least: int, most: int, goal_s: float, quiet_s: float) -> None:
    if space.sdk == Sdk.STATIC:
        raise follow.BadCount(follow.STATIC)
    limit = settings.SPACEPORT_REPLICAS_PER_SPACE
    if not 1 <= least <= limit:
        raise follow.BadCount(f"The least is 1 to {limit} replicas. (A Space that sleeps has none.)")
    if not least <= most <= limit:
        raise follow.BadCount(f"The most is {least} (the least) to {limit} replicas.")
    for what, value, (low, high) in (
        ("goal for the wait", goal_s, GOAL_S),
        ("time without need", quiet_s, QUIET_S),
    ):
        if not (math.isfinite(value) and low <= value <= high):
            raise follow.BadCount(f"The {what} is {low:g} to {high:g} seconds.")
