"""Where Spaces wait for room, those that may sleep do so earlier."""

from __future__ import annotations

from hardware.models import Replica
from hardware.placement import line
from hardware.tiers import TIERS
from spaces import lifecycle
from spaces.room import waits


def make_room() -> None:
    """Put the Space to sleep that was idle longest, of those that may sleep: one for each tier that somebody
    waits for, and no further one until its room is free."""
    for tier in TIERS:
        ending = Replica.objects.filter(tier=tier, wanted=False, node__isnull=False).exclude(
            state__in=[Replica.State.STOPPED, Replica.State.FAILED]
        )
        if not line.is_awaited(tier) or ending.exists():
            continue
        space, _ = max(waits.sleepers(tier), key=lambda one: one[1], default=(None, 0.0))
        if space is not None:
            lifecycle.put_to_sleep(space, at_most_s=waits.PRESSED_S)
