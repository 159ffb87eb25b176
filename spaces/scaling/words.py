"""What an owner reads about a Space's replicas."""

from __future__ import annotations

import time
from collections import Counter

from django.contrib.humanize.templatetags.humanize import ordinal
from django.utils import timezone

from hardware import nodes
from hardware.models import Replica
from spaces.models import ReplicaRange, Sdk, Space
from spaces.scaling import beside, memory, starts
from spaces.scaling.memory import Memory

State = Replica.State
#: What a round saw longer ago is not what is now.
FRESH_S = 20.0

LACKS = {
    "memory_bytes": "memory",
    "device": "a free device",
    "limit": "the end of another one of its owner's",
}


def current(space: Space) -> int:
    """How many serve now."""
    lead = space.replica
    if lead is None or lead.state != State.READY:
        return 0
    return 1 + len(beside.places(space, lead)[0])


def reason(row: ReplicaRange, before: int, after: int, wait_s: float | None) -> str:
    """Why the number changes: "3 replicas instead of 2: …", in a sentence."""
    if after < before:
        why = f"more were not needed for {_time(row.quiet_s)}"
    elif wait_s is None:
        why = f"visitors wait longer than {_time(row.goal_s)} behind calls of unknown length"
    else:
        why = f"about {_time(wait_s)} of waiting at p90, goal {_time(row.goal_s)}"
    return f"{after} replica{'' if after == 1 else 's'} instead of {before}: {why}."


def of_range(space: Space, row: ReplicaRange) -> str:
    """ "3 of 1 to 5 replicas: about 14 s of waiting at p90, goal 10 s; the 4th starts, ready in about 4 s."
    "3": those that serve."""
    lead = space.replica
    if lead is None or lead.state != State.READY:
        return f"{row.least} to {row.most} replicas, when it runs."
    seen = memory.of([space.pk])[space.pk]
    parts = [_wait(seen, row)]
    planned = beside.plan(space.replica_count, lead, beside.of(space), timezone.now())
    if rest := _rest(space.replica_count, planned):
        parts.append(rest + _ready_in(space, planned))
    elif space.replica_count > row.least and (left_s := _unneeded_in_s(seen, space.replica_count, row)):
        parts.append(f"one ends in about {_time(left_s)} if it is not needed")
    return f"{current(space)} of {row.least} to {row.most} replicas: {'; '.join(parts)}."


def _wait(seen: Memory, row: ReplicaRange) -> str:
    goal = f"goal {_time(row.goal_s)}"
    if time.time() - seen.at > FRESH_S:
        return f"nobody waits, {goal}"
    if seen.wait_s is None:
        return f"how long calls take is not known yet, {goal}"
    return f"about {_time(seen.wait_s)} of waiting at p90, {goal}"


def _ready_in(space: Space, planned: beside.Plan) -> str:
    """When the last of those that start can be called, from measured starts; "" where none starts."""
    starting = [one for one in planned.stay if one.state in (State.STARTING, State.PENDING) and not one.waits]
    if not starting and not planned.missing:
        return ""
    ages = [(timezone.now() - one.created_at).total_seconds() for one in starting] or [0.0]
    usual_s = starts.usual_s([space.pk])[space.pk]
    return f", ready in about {_time(max(usual_s - min(ages), 1.0))}"


def _unneeded_in_s(seen: Memory, ordered: int, row: ReplicaRange) -> float:
    return max(seen.needed_at.get(ordered, 0.0) + row.quiet_s - time.time(), 0.0)


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 1.95 else f"{seconds:.0f} s"


def about(space: Space) -> str:
    """ "2 of 3 replicas run; the 3rd waits for memory."; "" where all run, or the Space itself does not."""
    lead = space.replica
    if space.replica_count == 1 or space.sdk == Sdk.STATIC or lead is None or lead.state != State.READY:
        return ""
    planned = beside.plan(space.replica_count, lead, beside.of(space), timezone.now())
    ready = 1 + sum(one.state == State.READY for one in planned.stay)
    if not (rest := _rest(space.replica_count, planned)):
        return ""
    return f"{ready} of {space.replica_count} replicas run; {rest}."


def _rest(wanted: int, planned: beside.Plan) -> str:
    """What those do that do not serve: "the 3rd waits for memory"; "" where all serve."""
    states = Counter(_state_of(one) for one in planned.stay if one.state != State.READY)
    if unordered := wanted - 1 - len(planned.stay):
        states["starts", "start"] += unordered
    if sum(states.values()) == 1:
        return f"the {ordinal(wanted)} {next(iter(states))[0]}"
    return ", ".join(f"{count} {many if count > 1 else one}" for (one, many), count in states.items())


def _state_of(one: Replica) -> tuple[str, str]:
    """In words, of one and of several."""
    if one.state == State.FAILED:
        why = one.reason.split("\n")[0].rstrip(".")
        return (f"failed: {why}",) * 2
    if one.state == State.PENDING:
        if nodes.absence(one.tier, one.volumes):
            what = "a machine"
        elif one.waits:
            what = LACKS.get(one.waits["lacks"], "cores")
        else:
            return "starts", "start"
        return f"waits for {what}", f"wait for {what}"
    return "starts", "start"
