"""Pure decisions: which node takes which replica, and which replicas wait. Nothing is overcommitted but the
cpu tier, by its node's declared factors.

A node lends `cores`, `shared_cores`, memory and devices. Replicas of GPU tiers take their cores whole. Those
of the cpu tier take a part of the shared cores and of the memory, by the node's factors: their cores are what
the others leave idle. A simulated replica takes what one of the cpu tier takes. What a node lends bounds what
one replica takes of it: a node that serves a tier can run at least one.

One that finds no room waits, and the first of each tier that waits has its room reserved where least is
missing: others pass it only where that does not delay it. A new version of a Space may take the room of the
version that it replaces: they run side by side until it is ready. One that is to serve beside others of its
Space has no such room.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import add, sub
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from hardware.tiers import Tier

#: Divisions by the factors leave this much behind.
ROUNDING = 1e-6


class Amount(NamedTuple):
    """Of what nodes lend, without devices."""

    cores: float = 0.0
    shared_cores: float = 0.0
    memory_bytes: float = 0.0

    def plus(self, other: Amount) -> Amount:
        return Amount(*map(add, self, other))

    def minus(self, other: Amount) -> Amount:
        return Amount(*map(sub, self, other))

    def within(self, limit: Amount) -> Amount:
        return Amount(*map(min, self, limit))

    def lacks(self, free: Amount) -> str:
        """The name of the first part of it that is not free; "" when all is. Nothing is always there."""
        for name, need, available in zip(self._fields, self, free, strict=True):
            if need > 0 and need > available * (1 + ROUNDING) + ROUNDING:
                return name
        return ""


UNLIMITED = Amount(math.inf, math.inf, math.inf)


@dataclass(frozen=True, kw_only=True)
class Allocation:
    """A replica's share of a node."""

    space_id: int
    amount: Amount
    devices: tuple[str, ...] = ()
    tier: str = ""
    owner_id: int = 0


@dataclass(kw_only=True)
class Room:
    """A node that is up: what it lends, and how much of that is allocated, or reserved for the first in line.
    `tiers` maps a tier to whether it is simulated. `has_limits`: False for a node of a version that did not
    report any; it chooses devices by itself."""

    name: str
    tiers: dict[str, bool]
    has_limits: bool = True
    lends: Amount = UNLIMITED
    overcommit_cores: float = 1.0
    overcommit_memory: float = 1.0
    allocations: list[Allocation] = field(default_factory=list)
    reserved: Amount = field(default_factory=Amount)
    reserved_devices: set[str] = field(default_factory=set)

    def needed(self, tier: Tier, like: Tier) -> Amount:
        """What a replica of this tier takes here. `like`: the tier that a simulated one counts as."""
        if not self.has_limits:
            return Amount()
        if self.tiers.get(tier.name):
            tier = like
        if tier.gpu:
            wanted = Amount(cores=tier.cpus, memory_bytes=tier.memory_bytes)
        else:
            wanted = Amount(
                shared_cores=tier.cpus / self.overcommit_cores,
                memory_bytes=tier.memory_bytes / self.overcommit_memory,
            )
        return wanted.within(self.lends)

    def takes_device(self, tier: Tier) -> bool:
        """Whether a replica of this tier gets a device of its own here."""
        return bool(tier.gpu) and self.has_limits and not self.tiers.get(tier.name)

    @property
    def used(self) -> Amount:
        """By all replicas here."""
        total = Amount()
        for one in self.allocations:
            total = total.plus(one.amount)
        return total

    @property
    def free(self) -> Amount:
        """What is neither allocated nor reserved for the first in line."""
        return self.lends.minus(self.used).minus(self.reserved)


class Order(NamedTuple):
    """A replica that is to be placed."""

    replica_id: int
    space_id: int
    tier: Tier
    #: Nodes on which it may run -> UUIDs of their devices that the tier promises.
    fitting: dict[str, tuple[str, ...]]
    owner_id: int = 0
    #: Whether it is to serve beside others of its Space.
    is_further: bool = False


class Placement(NamedTuple):
    """Where a replica goes, and which devices it gets."""

    node: str
    devices: tuple[str, ...] = ()


class Waits(NamedTuple):
    """A replica's place in its tier's line, from 1, how many are in it, and what is missing: "device",
    "cores", "shared_cores" or "memory_bytes". One that waits for others of its owner ("limit") stands in no
    line: it delays nobody."""

    place: int
    of: int
    lacks: str


class Plan:
    """Places replicas in the order of their orders: `placed` and `waiting`. One that no node could ever take
    is in neither."""

    def __init__(self, orders: Iterable[Order], rooms: Iterable[Room], like: Tier) -> None:
        self._rooms = {room.name: room for room in rooms}
        self._like = like
        self.placed: dict[int, Placement] = {}
        lines: dict[str, list[tuple[int, str]]] = {}
        limited: list[int] = []
        for order in orders:
            candidates = [self._rooms[name] for name in order.fitting if name in self._rooms]
            if not candidates:
                continue
            if self._has_all_it_may(order):
                limited.append(order.replica_id)
                continue
            found = self._choose(order, candidates) or self._succession(order, candidates)
            if found is not None:
                self.placed[order.replica_id] = found
                self._allocate(order, found)
                continue
            best = min(candidates, key=lambda room: (self._shortage(order, room), room.name))
            line = lines.setdefault(order.tier.name, [])
            line.append((order.replica_id, self._lacks(order, best)))
            if len(line) == 1:
                self._reserve(order, best)
        self.waiting = {
            replica_id: Waits(place, len(line), lacks)
            for line in lines.values()
            for place, (replica_id, lacks) in enumerate(line, 1)
        } | {replica_id: Waits(1, 1, "limit") for replica_id in limited}

    def at(self, order: Order, node: str) -> Placement | None:
        """How this node would take a replica that was placed on another one, in the room that is left."""
        room = self._rooms.get(node)
        if room is None or node not in order.fitting or self._lacks(order, room):
            return None
        return self._placement(order, room)

    def _has_all_it_may(self, order: Order) -> bool:
        """Whether other Spaces of its owner have as many replicas on this tier as the owner may have; for one
        that is to serve beside others, all of the owner's."""
        if (most := order.tier.most_per_owner) is None:
            return False
        all_of_them = (one for room in self._rooms.values() for one in room.allocations)
        others = (one for one in all_of_them if order.is_further or one.space_id != order.space_id)
        return sum((one.owner_id, one.tier) == (order.owner_id, order.tier.name) for one in others) >= most

    def _choose(self, order: Order, candidates: list[Room]) -> Placement | None:
        """Real hardware before simulated, then the fewest replicas, then by name."""
        free = [room for room in candidates if not self._lacks(order, room)]
        best = min(
            free,
            key=lambda room: (room.tiers[order.tier.name], len(room.allocations), room.name),
            default=None,
        )
        return self._placement(order, best) if best else None

    def _succession(self, order: Order, candidates: list[Room]) -> Placement | None:
        """In the room of the version that it replaces, which nobody else can have meanwhile."""
        if order.is_further:
            return None
        for room in sorted(candidates, key=lambda room: (room.tiers[order.tier.name], room.name)):
            own = [one for one in room.allocations if one.space_id == order.space_id]
            free = room.lends.minus(room.used)
            for allocation in own:
                free = free.plus(allocation.amount)
            fitting = order.fitting[room.name]
            its = [uuid for allocation in own for uuid in allocation.devices if uuid in fitting]
            devices = [*self._devices(order, room), *its]
            has_device = devices or not room.takes_device(order.tier)
            if own and has_device and not room.needed(order.tier, self._like).lacks(free):
                return Placement(room.name, tuple(devices[:1]) if room.takes_device(order.tier) else ())
        return None

    def _placement(self, order: Order, room: Room) -> Placement:
        return Placement(room.name, self._devices(order, room)[:1] if room.takes_device(order.tier) else ())

    def _devices(self, order: Order, room: Room) -> tuple[str, ...]:
        """The free ones that are as the tier promises."""
        taken = {
            device for allocation in room.allocations for device in allocation.devices
        } | room.reserved_devices
        return tuple(uuid for uuid in order.fitting[room.name] if uuid not in taken)

    def _lacks(self, order: Order, room: Room) -> str:
        if room.takes_device(order.tier) and not self._devices(order, room):
            return "device"
        return room.needed(order.tier, self._like).lacks(room.free)

    def _shortage(self, order: Order, room: Room) -> float:
        """How much is missing here: devices first, then the part of what it takes that is not free."""
        no_device = room.takes_device(order.tier) and not self._devices(order, room)
        needed = room.needed(order.tier, self._like)
        parts = [
            (need - available) / need for need, available in zip(needed, room.free, strict=True) if need > 0
        ]
        return 1000.0 * no_device + max([0.0, *parts])

    def _allocate(self, order: Order, found: Placement) -> None:
        room = self._rooms[found.node]
        amount = room.needed(order.tier, self._like)
        room.allocations.append(
            Allocation(
                space_id=order.space_id, amount=amount, devices=found.devices,
                tier=order.tier.name, owner_id=order.owner_id,
            )
        )  # fmt: skip

    def _reserve(self, order: Order, room: Room) -> None:
        room.reserved = room.reserved.plus(room.needed(order.tier, self._like))
        room.reserved_devices.update(self._placement(order, room).devices)
