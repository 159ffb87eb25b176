"""How a node takes replicas. A decision is made under a lock, with all nodes and all waiting replicas in
view, and notes which of them keep waiting. So no two decisions give away the same device, or the last
room."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import connection, transaction
from django.db.models import F, Q

from hardware import devices, nodes, replicas
from hardware.models import Node, Replica, VolumeHome
from hardware.placement.rooms import UNLIMITED, Allocation, Amount, Order, Plan, Room
from hardware.tiers import DEFAULT, TIERS
from hardware.upkeep import volumes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from django.db.models import QuerySet

    from hardware.runtimes.base import Running
    from hardware.tiers import Tier

State = Replica.State

#: PostgreSQL's advisory lock for decisions.
LOCK = 0x53_50_41_43_45
#: A replica that its node did not take for this long goes to any node that has room.
PATIENCE_S = 5.0


class Taker:
    """Takes replicas for one node, which serves these tiers and keeps volumes at `place`."""

    def __init__(self, node_id: int, tiers: Iterable[str], place: str) -> None:
        self._node_id, self._tiers, self._place = node_id, list(tiers), place
        self._left: dict[int, float] = {}  # replicas that another node should take, since when

    def take(self) -> None:
        """Take the waiting replicas that should run here, and note for the others why they wait."""
        if not Replica.objects.filter(waiting_for(self._tiers)).exists():
            self.nothing_waits()
            return
        me = Node.objects.get(pk=self._node_id)
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
            rows = list(_pending())
            orders, plan = _plan(rows)
            self._take(me, rows, orders, plan)
            _note_waits([row for row in rows if row.tier in me.tiers], plan)

    def nothing_waits(self) -> None:
        """Note that nothing waits for its tiers."""
        self._left.clear()

    def _take(self, me: Node, rows: list[Replica], orders: Mapping[int, Order], plan: Plan) -> None:
        now, left = time.monotonic(), {}
        for row in rows:
            found = plan.placed.get(row.pk)
            if found is not None and found.node != me.name:
                left[row.pk] = self._left.get(row.pk, now)
                late = now - left[row.pk] >= PATIENCE_S
                found = plan.at(orders[row.pk], me.name) if late else None
            if found is None or not volumes.claim(row, self._place):
                continue
            # Compare and set: a node of an earlier version takes without the lock.
            mine = _pending().filter(pk=row.pk).update(
                node=me, state=State.STARTING, simulated=me.tiers[row.tier]["simulated"],
                devices=list(found.devices), reason="", waits={},
            )  # fmt: skip
            if mine:
                transaction.on_commit(partial(replicas.publish_change, row.pk))
        self._left = left


def waiting_for(tiers: Iterable[str]) -> Q:
    """Which replicas wait for a node of these tiers."""
    return Q(wanted=True, state=State.PENDING, node=None, tier__in=list(tiers))


def node_for(row: Replica) -> str | None:
    """The node that would take one more replica like this one now."""
    order = Replica(
        tier=row.tier, limits=row.limits, volumes=row.volumes, space_id=row.space_id, beside=row.beside, pk=0
    )
    _, plan = _plan([*_pending(), order])
    return plan.placed[0].node if 0 in plan.placed else None


def room_of(node: Node) -> Room:
    """What this node lends, and how much of that is allocated."""
    return _rooms([node])[0]


def note_devices(node_id: int, running: Mapping[int, Running]) -> None:
    """Replicas that were placed by a version that noted no devices have those that they run with. One that
    does not run and has no device of this node is placed again."""
    real = Replica.objects.filter(node_id=node_id, wanted=True, simulated=False, state__in=nodes.ACTIVE)
    there = {device.uuid for device in devices.found()}
    for row in real.filter(tier__in=[name for name, tier in TIERS.items() if tier.gpu]).defer("spec"):
        if (run := running.get(row.pk)) is not None and run.gpus:
            if row.devices != list(run.gpus):
                real.filter(pk=row.pk).update(devices=list(run.gpus))
        elif run is None and not (row.devices and there.issuperset(row.devices)):
            real.filter(pk=row.pk).update(
                node=None, state=State.PENDING, devices=[], address="", runtime_id=""
            )
            replicas.publish_change(row.pk)


def _pending() -> QuerySet[Replica]:
    waiting = Replica.objects.filter(wanted=True, state=State.PENDING, node=None).select_related("space")
    some = waiting.only("pk", "tier", "limits", "volumes", "space__owner_id", "waits", "beside")
    # No Space waits because another one would run on more replicas.
    return some.order_by(F("beside").asc(nulls_first=True), "pk")


def _plan(rows: list[Replica]) -> tuple[dict[int, Order], Plan]:
    """The plan for these, in their order."""
    up = nodes.up()
    homes = dict(
        VolumeHome.objects.filter(volume_id__in={volume for row in rows for volume in row.volumes})
        .values_list("volume_id", "place")
    )  # fmt: skip
    orders = {row.pk: _order(row, up, homes) for row in rows if row.tier in TIERS}
    return orders, Plan(orders.values(), _rooms(up), TIERS[DEFAULT])


def _order(row: Replica, up: list[Node], homes: Mapping[int, str]) -> Order:
    places = {homes[volume] for volume in row.volumes if volume in homes}
    tier = _as_ordered(row.tier, row.limits)
    fitting = {
        node.name: tuple(device.uuid for device in devices.fitting(tier, devices.of_json(node.devices)))
        for node in up
        if row.tier in node.tiers and places <= {node.place}
    }
    return Order(row.pk, row.space_id, tier, fitting, row.space.owner_id, row.beside is not None)


def _rooms(some: Iterable[Node]) -> list[Room]:
    rooms = {node.pk: _empty(node) for node in some}
    allocations: defaultdict[int, list[tuple[Any, ...]]] = defaultdict(list)
    # Also what is not wanted any more, until it has ended.
    for node_id, *row in Replica.objects.filter(node__in=rooms, state__in=nodes.ACTIVE).values_list(
        "node_id", "space_id", "space__owner_id", "tier", "limits", "devices"
    ):
        allocations[node_id].append(tuple(row))
    for node_id, room in rooms.items():
        for space_id, owner_id, tier, limits, its_devices in allocations[node_id]:
            known = tier in TIERS
            amount = room.needed(_as_ordered(tier, limits), TIERS[DEFAULT]) if known else Amount()
            room.allocations.append(
                Allocation(
                    space_id=space_id, amount=amount, devices=tuple(its_devices), tier=tier, owner_id=owner_id
                )
            )
    return list(rooms.values())


def _as_ordered(tier: str, limits: dict[str, Any]) -> Tier:
    """The tier with what a replica was promised by it, which may have been changed since."""
    return replace(TIERS[tier], **limits) if limits else TIERS[tier]


def _empty(node: Node) -> Room:
    tiers = {name: bool(about["simulated"]) for name, about in node.tiers.items()}
    lends = node.capacity
    if not lends:
        return Room(name=node.name, tiers=tiers, has_limits=False, lends=UNLIMITED)
    return Room(
        name=node.name,
        tiers=tiers,
        lends=Amount(lends["cores"], lends["cores"], lends["memory_bytes"]),
        overcommit_cores=lends["overcommit_cores"],
        overcommit_memory=lends["overcommit_memory"],
    )


def _note_waits(rows: list[Replica], plan: Plan) -> None:
    for row in rows:
        waits = plan.waiting[row.pk]._asdict() if row.pk in plan.waiting else {}
        if waits == row.waits:
            continue
        changed: dict[str, Any] = {"waits": waits} | ({"reason": ""} if waits else {})
        if _pending().filter(pk=row.pk).update(**changed):
            transaction.on_commit(partial(replicas.publish_change, row.pk))
