"""How long a Space takes until it runs, from how long that took before: the queue promises no turn before."""

from __future__ import annotations

import statistics

from infra.redis_clients import sync_redis
from queueing.store.keys import SpaceKeys
from queueing.store.scripts import seconds
from spaces.models import Build, Space, Stage

LAST = 5  # starts and builds that count
BEYOND = 1.25  # times the longest of so few: what it takes at most
COMING = (Stage.SLEEPING, Stage.APP_STARTING, Stage.BUILDING)


def start_estimate(
    space: Space, stage_before: str, *, serving: bool, can_start: bool = True
) -> dict[str, str]:
    """The queue's view of the start (`queueing.store.keys.SpaceKeys.cfg`): whether the Space runs, and if
    not, how many seconds its start takes, likely and at most, and when it began; empty without measurements.
    A start that has just ended is measured here."""
    k, client = SpaceKeys(space.pk), sync_redis()
    now = seconds(client.time())
    since = (client.hget(k.cfg, "start_since") or b"").decode()
    nothing = {"start_likely": "", "start_at_most": "", "start_since": ""}
    if serving:
        if since and stage_before == Stage.APP_STARTING:
            client.lpush(k.starts, f"{now - float(since):.1f}")
            client.ltrim(k.starts, 0, LAST - 1)
        return {"serving": "1", **nothing}
    # Nobody has begun to start one that sleeps, or that no node can run: its time counts from now, whenever
    # that is.
    if not can_start or space.stage not in (Stage.APP_STARTING, Stage.BUILDING):
        since = ""
    elif not since or stage_before != space.stage:
        since = f"{now:.1f}"
    took = [float(t) for t in client.lrange(k.starts, 0, LAST - 1)]
    if space.stage == Stage.BUILDING:
        took = [build + start for build, start in zip(_builds(space), took, strict=False)]
    if not took or not can_start or space.stage not in COMING:
        return {"serving": "0", **nothing, "start_since": since}
    return {
        "serving": "0",
        "start_likely": f"{statistics.median(took):.1f}",
        "start_at_most": f"{BEYOND * max(took):.1f}",
        "start_since": since,
    }


def _builds(space: Space) -> list[float]:
    """Seconds from the push to the end of its build, the latest first."""
    rows = space.builds.filter(status=Build.Status.SUCCEEDED, finished_at__isnull=False).order_by("-pk")[
        :LAST
    ]
    return [(row.finished_at - row.created_at).total_seconds() for row in rows if row.finished_at]
