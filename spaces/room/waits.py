"""The texts about a Space that waits for room: why, its place in line, and for how long, if known."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hardware import nodes, replicas
from hardware.models import Replica
from hardware.placement import line
from spaces.models import Space, Stage
from spaces.room import forecast
from spaces.room.idle import idle_of
from spaces.volumes import mounts

if TYPE_CHECKING:
    from collections.abc import Iterator

#: While others wait for its room, a Space that may sleep does so after this long without a visitor.
PRESSED_S = 60.0
#: From the decision that one sleeps until another begins to start in its room: that is checked every 10 s.
CHANGES_OVER_S = 20.0
#: Of a tier's last replicas, to learn from.
MOST_ROWS = 5000


@dataclass(frozen=True)
class Wait:
    """`place` from 1 of `of`. `likely_s`: until there is room, by `spaces.room.forecast`; None where there is
    no estimate."""

    place: int
    of: int
    reason: str
    likely_s: float | None


def reason(space: Space) -> str:
    """Why no node takes it now, its place in line included; "" where one can."""
    return _reason(space, replicas.candidate(space.pk))


def explanation(space: Space) -> str:
    """The same with an estimate, for pages."""
    newest = replicas.candidate(space.pk)
    wait = _wait(newest)
    if wait is None or wait.likely_s is None:
        return _reason(space, newest)
    minutes = math.ceil(wait.likely_s / 60)
    return f"{wait.reason} That is in about {minutes} min, by how those that run there are used."


def of(space: Space) -> Wait | None:
    """Its wait in line, if it stands in one."""
    return _wait(replicas.candidate(space.pk))


def _reason(space: Space, newest: Replica | None) -> str:
    if newest is not None and newest.state == Replica.State.PENDING:
        return line.reason(newest)
    return nodes.absence(space.hardware, mounts.numbers(space))


def _wait(newest: Replica | None) -> Wait | None:
    if newest is None or not (why := line.waiting(newest)) or nodes.absence(newest.tier, newest.volumes):
        return None
    place = newest.waits["place"]
    if newest.waits["lacks"] == "limit":
        return Wait(place, newest.waits["of"], why, None)
    until_s = _until_room_s(newest.tier, place)
    likely_s = None if until_s is None else until_s + CHANGES_OVER_S * place
    return Wait(place, newest.waits["of"], why, likely_s)


def sleepers(tier: str) -> Iterator[tuple[Space, float]]:
    """Spaces that run on this tier, may sleep and have nothing to do, and seconds since the last visitor."""
    found = Space.objects.filter(
        stage=Stage.RUNNING,
        sleep_time_s__isnull=False,
        replica__tier=tier,
        replica__state=Replica.State.READY,
    )
    spaces = list(found.select_related("owner", "replica"))
    idle = idle_of(spaces)
    for space in spaces:
        if (seconds := idle[space.pk]) is not None:
            yield space, seconds


def _until_room_s(tier: str, place: int) -> float | None:
    now = time.time()
    rows = Replica.objects.filter(tier=tier, ready_at__isnull=False).order_by("-pk")
    ran = [
        forecast.Ran(space_id, began.timestamp(), ended.timestamp() if ended else None)
        for space_id, began, ended in rows.values_list("space_id", "ready_at", "ended_at")[:MOST_ROWS]
        if began is not None
    ]
    held, ages = forecast.stints(ran, now)
    asleep = {
        space.pk: max(0.0, min(PRESSED_S, space.sleep_time_s or 0) - idle) for space, idle in sleepers(tier)
    }
    there = ages.keys() | asleep.keys()
    runners = [forecast.Runner(ages.get(space_id, 0.0), asleep.get(space_id)) for space_id in there]
    return forecast.until_room_s(place, runners, held)
