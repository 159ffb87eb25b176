"""How long Spaces have been idle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.redis_clients import sync_redis
from queueing.stats.figures import figures_of
from queueing.store import keys
from queueing.store.scripts import seconds
from queueing.store.work import keys_of_work
from spaces.models import Sdk, Space, Stage

if TYPE_CHECKING:
    from collections.abc import Sequence


def idle_s(space: Space) -> float | None:
    """Seconds since its last visitor; None while its queue has work."""
    return idle_of([space])[space.pk]


def idle_of(spaces: Sequence[Space]) -> dict[int, float | None]:
    """The same of several Spaces, by id, in one round trip, and a few for those that may have work."""
    pipe = sync_redis().pipeline(transaction=False)
    for space in spaces:
        pipe.exists(*keys_of_work(space.pk))
        pipe.zscore(keys.VISITED, space.pk)
    pipe.time()
    *answers, now = pipe.execute()
    perhaps = [space.pk for space, there in zip(spaces, answers[::2], strict=True) if there]
    works = {pk for pk, found in figures_of(perhaps).items() if found.pending or found.running}
    return {
        space.pk: None if space.pk in works else seconds(now) - (visited or space.last_modified.timestamp())
        for space, visited in zip(spaces, answers[1::2], strict=True)
    }


def over_their_time() -> list[int]:
    """Spaces whose last visit is longer ago than their sleep time, busy ones among them. Of the others only
    that visit is read."""
    running = Space.objects.filter(stage=Stage.RUNNING, sleep_time_s__isnull=False).exclude(sdk=Sdk.STATIC)
    rows = list(running.values_list("pk", "sleep_time_s", "last_modified"))
    if not rows:
        return []
    visited = sync_redis().zmscore(keys.VISITED, [pk for pk, _, _ in rows])
    now = seconds(sync_redis().time())
    return [
        pk
        for (pk, sleep_s, modified), visit in zip(rows, visited, strict=True)
        if sleep_s is not None and now - (visit or modified.timestamp()) > sleep_s
    ]
