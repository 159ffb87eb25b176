"""How many replicas a Space wants, of the range that its owner allows: a pure function of what waits, what
comes and how long a start takes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from heapq import merge
from itertools import islice

from queueing.eta import Service, forecast

#: What a replica that is ordered now cannot prevent any more is to be worked off within this part of the
#: goal.
CATCH_UP = 0.5
#: One replica fewer would have its slots busy for a larger part of the time: it is kept.
BUSY = 0.9
#: Those who join in so many seconds, beyond a start and the goal, are foreseen: until the next rounds.
AHEAD_S = 4.0
#: Of those who join, so many of a group are laid out at most.
MOST_NEWCOMERS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """What the owner allows and wants: replicas, and the wait, in seconds, that nine of ten visitors are to
    stay below."""

    least: int
    most: int
    goal_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Functions that share a limit. `slots`: calls at once of one replica. `line`: of each event that waits
    and may go to any replica, in the order of service, its function and for how long it has waited.
    `arrivals`: function -> events a second, lately; `share` of them may go to any replica, the others only
    where their session is. `free`: for each slot of the replicas that serve, seconds until it is free."""

    slots: int
    line: Sequence[tuple[str, float]] = ()
    arrivals: Mapping[str, float] = field(default_factory=dict)
    share: float = 1.0
    free: Sequence[float] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What is there to do, and what is known of how long that takes."""

    groups: Sequence[Group] = ()
    services: Mapping[str, Service] = field(default_factory=dict)
    max_batch: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicas:
    """`ordered`: how many are wanted now. `serving`: how many of them can be called. `coming`: of those that
    start, seconds until each can be. `lead_s`: how long a start takes. `room`: more than so many would find
    no room, by their nodes' capacity or their owner's quota; None: that is not known."""

    ordered: int
    serving: int
    coming: Sequence[float] = ()
    lead_s: float
    room: int | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """How many are wanted now. `wait_s`: the longest wait foreseen with those that there are, of those who
    wait and those who join soon; None: not known, a function was never measured. `needed_at`: to be handed
    to the next decision: number of replicas -> when so many were needed last, in the seconds of `now`."""

    wanted: int
    wait_s: float | None
    needed_at: Mapping[int, float]


def decide(
    load: Load,
    replicas: Replicas,
    allowed: Range,
    *,
    now: float,
    needed_at: Mapping[int, float],
    quiet_s: float,
) -> Decision:
    """How many replicas are wanted now.

    Up at once: as few as keep everybody's wait within the goal, those included who join until one more could
    serve. A wait is the upper bound of the queue's own estimate (`queueing.eta`), which nine of ten waits
    stay below. A replica more helps only after its start: waits that it cannot shorten call for no further
    one, but for one that makes up for them within half the goal.

    Down only to what was needed at any time of the last `quiet_s` seconds, or of a start's time where that is
    longer; and one is needed too while the others alone would be busy beyond 90 %. The first is the
    stabilization window of Kubernetes' HorizontalPodAutoscaler, the second the target utilization of
    Knative's (its stable and panic windows are here the measured rate of arrivals, and the line itself, which
    shows a burst at once).
    """
    least, most = allowed.least, max(allowed.most, allowed.least)
    ordered = min(max(replicas.ordered, least), most)
    waits = _wait_s(load, replicas, allowed, ordered)[0]
    needed = _needed(load, replicas, allowed, ordered, most)
    # Where nothing is known of what was needed, all that there are count as needed until now.
    noted = {number: at for number, at in (needed_at or {ordered: now}).items() if number <= most}
    for number in range(1, max(needed, min(_kept_busy(load), ordered)) + 1):
        noted[number] = max(noted.get(number, now), now)
    since = now - max(quiet_s, replicas.lead_s)
    lately = max((number for number, at in noted.items() if at > since), default=least)
    wanted = max(needed, min(ordered, lately), least)
    if replicas.room is not None:
        wanted = min(wanted, max(replicas.room, least))
    return Decision(wanted, waits, noted)


def _needed(load: Load, replicas: Replicas, allowed: Range, ordered: int, most: int) -> int:
    """The fewest with which nobody is late. Fewer never wait less, so halves are enough."""
    if _wait_s(load, replicas, allowed, ordered)[0] is None:
        return _needed_of_unknown(load, replicas, allowed, ordered, most)
    low, high = allowed.least, most
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if _wait_s(load, replicas, allowed, middle)[1] else (low, middle)
    return low


def _needed_of_unknown(load: Load, replicas: Replicas, allowed: Range, ordered: int, most: int) -> int:
    """One more at a time, while somebody has waited longer than the goal behind calls of unknown length."""
    waits = any(waited > allowed.goal_s for group in load.groups for _, waited in group.line)
    return min(ordered + 1, most) if waits and not replicas.coming else ordered


def _wait_s(load: Load, replicas: Replicas, allowed: Range, number: int) -> tuple[float | None, bool]:
    """The longest wait with so many replicas, in seconds, and whether anybody is late whom a replica more
    could help."""
    longest, late = 0.0, False
    for group in load.groups:
        visitors = _visitors(group, replicas.lead_s + allowed.goal_s + AHEAD_S)
        if not visitors:
            continue
        found = forecast(
            [kind for _, kind in visitors],
            running=(),
            services=load.services,
            concurrency=0,
            max_batch=load.max_batch,
            further=_slots(group, replicas, number),
            joins=[max(at, 0.0) for at, _ in visitors],
        )
        for position, (at, _) in enumerate(visitors):
            promise = found.at(position)
            if promise is None:
                return None, False
            longest = max(longest, promise.at_most - max(at, 0.0) + max(-at, 0.0))
            until = max(at + allowed.goal_s, replicas.lead_s + CATCH_UP * allowed.goal_s)
            late = late or promise.at_most > until
    return longest, late


def _visitors(group: Group, horizon_s: float) -> list[tuple[float, str]]:
    """Those who wait, and those who join within so many seconds: when each joins, in seconds from now, and
    the function."""
    waiting = [(-waited, kind) for kind, waited in group.line]
    coming = merge(*(_evenly(kind, rate * group.share, horizon_s) for kind, rate in group.arrivals.items()))
    return [*waiting, *islice(coming, MOST_NEWCOMERS)]


def _evenly(kind: str, rate: float, horizon_s: float) -> list[tuple[float, str]]:
    if rate <= 0:
        return []
    return [((n + 0.5) / rate, kind) for n in range(min(math.ceil(rate * horizon_s), MOST_NEWCOMERS))]


def _slots(group: Group, replicas: Replicas, number: int) -> list[float]:
    """Seconds until each slot of so many replicas is free; of fewer than there are, the busiest ones."""
    free = sorted(group.free, reverse=True)[: number * group.slots]
    further = max(number - replicas.serving, 0)
    ready_s = [*sorted(replicas.coming), *[replicas.lead_s] * further][:further]
    return free + [at for at in ready_s for _ in range(group.slots)]


def _kept_busy(load: Load) -> int:
    """How many replicas the arrivals keep busy."""
    found = 0
    for group in load.groups:
        busy = 0.0
        for kind, rate in group.arrivals.items():
            if (service := load.services.get(kind)) is not None:
                busy += rate * service.mean / max(min(service.batch, load.max_batch), 1)
        found = max(found, math.ceil(busy / (group.slots * BUSY) - 1e-9))
    return found
