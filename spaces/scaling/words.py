"""What an owner reads about a Space's replicas."""

from __future__ import annotations

from collections import Counter

from django.contrib.humanize.templatetags.humanize import ordinal
from django.utils import timezone

from hardware import nodes
from hardware.models import Replica
from spaces.models import Sdk, Space
from spaces.scaling import beside

State = Replica.State

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


def about(space: Space) -> str:
    """ "2 of 3 replicas run; the 3rd waits for memory."; "" where all run, or the Space itself does not."""
    lead = space.replica
    if space.replica_count == 1 or space.sdk == Sdk.STATIC or lead is None or lead.state != State.READY:
        return ""
    planned = beside.plan(space.replica_count, lead, beside.of(space), timezone.now())
    ready = 1 + sum(one.state == State.READY for one in planned.stay)
    if ready == space.replica_count:
        return ""
    states = Counter(_state_of(one) for one in planned.stay if one.state != State.READY)
    if unordered := space.replica_count - 1 - len(planned.stay):
        states["starts", "start"] += unordered
    if sum(states.values()) == 1:
        rest = f"the {ordinal(space.replica_count)} {next(iter(states))[0]}"
    else:
        rest = ", ".join(f"{count} {many if count > 1 else one}" for (one, many), count in states.items())
    return f"{ready} of {space.replica_count} replicas run; {rest}."


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
