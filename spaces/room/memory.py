"""A Space's ends by lack of memory, for its owner: the section of the Settings tab, and the API."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from infra.redis_clients import sync_redis
from queueing import queue_settings
from queueing.models import QueueSettings
from queueing.stats import memory_advice, memory_ends, stepping
from queueing.stats.memory_ends import MemoryEnd
from queueing.stats.memory_steps import Step
from spaces.models import Space

SHOWN_S = 24 * 3600


def ends(space: Space) -> list[MemoryEnd]:
    """Those of the last 24 hours, the newest first."""
    return memory_ends.load(sync_redis(), space.pk, within_s=SHOWN_S)


def change(space: Space, seen: list[MemoryEnd]) -> dict[str, Any] | None:
    """The change of the queue settings to make of these; None for none."""
    return memory_advice.lower(seen, queue_settings.groups(space.pk), queue_settings.effective(space.pk))


def context(space: Space) -> dict[str, Any]:
    """What the section shows."""
    seen = ends(space)
    proposed = change(space, seen)
    return {
        "memory_ends": [(datetime.fromtimestamp(end.at, UTC), end.sentence) for end in seen],
        "memory_change": memory_advice.words(proposed) if proposed else "",
        "stepped": stepped(space),
    }


def stepped(space: Space) -> Step | None:
    """What is lowered now, by itself."""
    row = QueueSettings.objects.filter(space=space).first()
    return stepping.step_of(row) if row is not None else None


def lower(space: Space) -> None:
    """Make the change, if there is one to make."""
    if proposed := change(space, ends(space)):
        queue_settings.change(space.pk, proposed)
