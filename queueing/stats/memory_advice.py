"""What an owner may do about calls that ran out of memory: the change of the queue settings that lets fewer
run at once. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from queueing.queue_settings import GroupLimit
from queueing.setting_fields import Settings
from queueing.stats.memory_ends import MemoryEnd
from queueing.stats.memory_steps import half


def lower(
    ends: Sequence[MemoryEnd], limits: Sequence[GroupLimit], settings: Settings
) -> dict[str, Any] | None:
    """The change, as `queue_settings.change` takes it, that halves what ran at the newest end; None where
    that holds already, or nothing ran beside what ended it."""
    if not ends:
        return None
    last = ends[0]
    if last.calls < 2:
        inputs = max((one.inputs for one in last.ran), default=1)
        size = half(inputs)
        return {"max_batch_size": size} if inputs > 1 and size < settings.max_batch_size else None
    most = half(last.calls)
    if settings.max_running is not None and settings.max_running <= most:
        return None
    groups = {one.group for one in last.ran}
    known = {limit.group: limit for limit in limits}
    if len(groups) > 1:
        return {"max_running": most}
    (group,) = groups
    limit = known.get(group)
    now = limit.limit if limit is not None else settings.concurrency_count
    if now is not None and now <= most:
        return None
    if limit is None or (limit.source == "default" and len(known) == 1):
        return {"concurrency_count": most}
    return {"groups": {group: most}}


def words(change: dict[str, Any]) -> str:
    """The change in words: "2 calls of /predict at once"."""
    if "max_batch_size" in change:
        return f"batches of at most {change['max_batch_size']}"
    (number,) = change["groups"].values() if "groups" in change else change.values()
    calls = "1 call" if number == 1 else f"{number} calls"
    if "groups" in change:
        return f"{calls} of {next(iter(change['groups']))} at once"
    return f"{calls} at once" + (" in total" if "max_running" in change else "")
