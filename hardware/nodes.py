"""Nodes: which are up, and what they serve. A node is up while its heartbeat is fresh."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from django.utils import timezone

from hardware import devices
from hardware.hop import here
from hardware.models import Node, Replica, VolumeHome
from hardware.placement import capacity
from hardware.tiers import TIERS, tier

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from django.db.models import QuerySet

HEARTBEAT_S = 2.5
#: Without a heartbeat for this long a node is down: no new replica goes there, and soon its replicas go to
#: other nodes (`hardware.upkeep.lost`).
DOWN_AFTER_S = 10

ACTIVE = (Replica.State.STARTING, Replica.State.READY)


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A tier's state now: whether a node serves it, and whether only simulated ones do."""

    tier: str
    title: str
    up: bool
    simulated: bool


class Removed(RuntimeError):
    """An administrator removed this node, which joined with a token: it does not come back by itself."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"The node {name} was removed from its platform. To join again, delete the folder `node` in its "
            "data folder and run `manage.py node join` with a new token."
        )


def register(name: str, tiers: dict[str, bool], runtime: str, place: str = "") -> Node:
    """Note a node, the tiers it serves (name → simulated), and where it keeps volumes; answers its row.

    Raises:
        Removed
    """
    values = {
        "tiers": {tier_name: {"simulated": simulated} for tier_name, simulated in tiers.items()},
        "runtime": runtime,
        "place": place,
        "devices": devices.as_json(devices.found(), devices.driver()),
        "capacity": capacity.found(),
        "heartbeat_at": timezone.now(),
        "leaving": False,
    }
    if here.membership() is None:
        return Node.objects.update_or_create(name=name, defaults=values)[0]
    if not Node.objects.filter(name=name).update(**values):  # its row was made when it joined
        raise Removed(name)
    return Node.objects.get(name=name)


def beat(node_id: int) -> bool:
    """The node lives, and lends this much. False: it was removed."""
    own = Node.objects.filter(pk=node_id)
    return bool(own.update(heartbeat_at=timezone.now(), capacity=capacity.found()))


def leave(node_id: int) -> None:
    """The node's worker ends in good order: it is down at once."""
    Node.objects.filter(pk=node_id).update(heartbeat_at=_ago(DOWN_AFTER_S))


def is_up(node: Node) -> bool:
    """Whether its heartbeat is fresh."""
    return node.heartbeat_at > _ago(DOWN_AFTER_S)


def up(tier_name: str = "", volumes: Iterable[int] = ()) -> list[Node]:
    """The nodes that are up, neither leave nor are drained, serve this tier (any, when empty), and can give a
    Space these named volumes."""
    found: QuerySet[Node] = _reporting().filter(leaving=False, draining_since=None)
    serving = [node for node in found.order_by("name") if not tier_name or tier_name in node.tiers]
    if not volumes:
        return serving
    homes = VolumeHome.objects.filter(volume_id__in=volumes)
    places = set(homes.values_list("place", flat=True))
    return [node for node in serving if places <= {node.place}]


def _reporting() -> QuerySet[Node]:
    return Node.objects.filter(heartbeat_at__gt=_ago(DOWN_AFTER_S))


def offers() -> list[Offer]:
    """Every tier with what serves it now."""
    nodes = up()
    found = []
    for name, entry in TIERS.items():
        serving = [node.tiers[name] for node in nodes if name in node.tiers]
        found.append(
            Offer(
                tier=name,
                title=entry.title,
                up=bool(serving),
                simulated=bool(serving) and all(one["simulated"] for one in serving),
            )
        )
    return found


def absence(tier_name: str, volumes: Iterable[int] = ()) -> str:
    """Why a Space on this tier, with these named volumes, must wait, in a sentence; empty when a node can
    take it."""
    if up(tier_name, volumes):
        return ""
    if up(tier_name):
        return (
            "A volume of this Space is kept on a machine where no node with its hardware is up. The Space "
            "starts by itself when one comes; or choose the hardware of that machine, or another volume."
        )
    title = tier(tier_name).title
    if any(tier_name in node.tiers for node in _reporting().filter(draining_since__isnull=False)):
        why = f"The nodes with {title} hardware are drained and take nothing new."
        return f"{why} The Space starts by itself when one does."
    return f"No node with {title} hardware is up. The Space starts by itself when one comes."


def _ago(seconds: float) -> datetime:
    return timezone.now() - timedelta(seconds=seconds)
