"""The texts about a replica that waits for room."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.humanize.templatetags.humanize import ordinal

from hardware import nodes
from hardware.models import Replica
from hardware.runtimes.environment import size
from hardware.tiers import TIERS

if TYPE_CHECKING:
    from hardware.tiers import Tier

STARTS = "The Space starts by itself when there is room."


def reason(replica: Replica) -> str:
    """The reason why no node takes it now, in sentences; "" where one can, or has."""
    if replica.state != Replica.State.PENDING:
        return ""
    return nodes.absence(replica.tier, replica.volumes) or waiting(replica)


def waiting(replica: Replica) -> str:
    """The same of one for which nodes are up that have no room."""
    if replica.state != Replica.State.PENDING or not replica.waits:
        return ""
    place, of, lacks = replica.waits["place"], replica.waits["of"], replica.waits["lacks"]
    tier = TIERS.get(replica.tier)
    if tier is None:
        return ""
    if lacks == "limit":
        return (
            f"{tier.most_per_owner} of its owner's other Spaces run on {tier.title} hardware, no more may. "
            "The Space starts by itself when one of them ends."
        )
    where = f"{ordinal(place)} of {of} in line for" if of > 1 else "Waiting for"
    return f"{where} {tier.title} hardware: {_missing(tier, lacks)}. {STARTS}"


def is_awaited(tier: str) -> bool:
    """Whether a Space waits for room on this tier. (Nothing gives way to one more replica of a Space that
    runs.)"""
    line = Replica.objects.filter(wanted=True, state=Replica.State.PENDING, node=None, tier=tier, beside=None)
    return line.filter(waits__place=1).exclude(waits__lacks="limit").exists()


def _missing(tier: Tier, lacks: str) -> str:
    if lacks == "device":
        return f"every {tier.title} is in use"
    if lacks == "memory_bytes":
        return f"other Spaces have its nodes' memory, of which it may use {size(tier.memory_bytes)}"
    return f"other Spaces have its nodes' cores, of which it may use {tier.cpus:g}"
