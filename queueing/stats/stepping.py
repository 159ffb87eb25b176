"""Lowers what a Space may run at once after it ran out of memory again and again, and raises it again."""

from __future__ import annotations

from dataclasses import asdict

from infra.redis_clients import sync_redis
from queueing import queue_settings
from queueing.models import QueueSettings
from queueing.stats import history, memory_ends
from queueing.stats.memory_steps import WITHIN_S, End, Step, next_step
from queueing.store.scripts import seconds


def follow() -> None:
    """Look at every Space that ran out of memory just now, or whose calls at once are lowered."""
    ids = memory_ends.recent(sync_redis(), within_s=WITHIN_S)
    ids |= set(QueueSettings.objects.exclude(stepped={}).values_list("space_id", flat=True))
    for space_id in ids:
        follow_one(space_id)


def follow_one(space_id: int) -> None:
    """Take this Space's next step, where there is one to take."""
    row = QueueSettings.objects.filter(space_id=space_id).first()
    if row is None or not queue_settings.effective(space_id).step_down:
        return
    step, owners = step_of(row), queue_settings.most_at_once(row)
    ends = memory_ends.load(sync_redis(), space_id, within_s=WITHIN_S)
    new = next_step(
        step,
        [End(at=end.at, calls=end.calls) for end in ends],
        owners=owners,
        now=seconds(sync_redis().time()),
        full_minutes=_full_minutes(space_id, step, owners),
    )
    if new != step:
        queue_settings.step(space_id, asdict(new) if new is not None else {}, before=row.stepped)


def step_of(row: QueueSettings) -> Step | None:
    """What is lowered now."""
    return Step(**row.stepped) if row.stepped else None


def _full_minutes(space_id: int, step: Step | None, owners: int) -> int:
    """Minutes of the last hour since the step in which all calls that it allows ran at once."""
    if step is None:
        return 0
    limit = owners if step.limit is None else step.limit
    hour = history.history(space_id, "1h")
    return sum(one.running >= limit for at, one in hour.bins.items() if at >= step.since)
