"""Who gets which room: the pure plan, and nodes that decide at the same time."""

from __future__ import annotations

import dataclasses
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection, connections
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from hardware import replicas
from hardware.models import Node, Replica
from hardware.placement import capacity, line, taking
from hardware.placement.rooms import Allocation, Amount, Order, Placement, Plan, Room, Waits
from hardware.tiers import BUILT_IN, GIB
from spaces.models import Space
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_django.fixtures import Settings

CPU, T4, A100 = BUILT_IN["cpu"], BUILT_IN["t4"], BUILT_IN["a100"]


def room(
    name: str, *tiers: str, cores: float = 8, gib: float = 32, simulates: str = "", overcommit: float = 1,
    allocations: tuple[Allocation, ...] = (),
) -> Room:  # fmt: skip
    return Room(
        name=name, tiers={tier: tier == simulates for tier in tiers or ("cpu",)},
        allocations=list(allocations), lends=Amount(cores, cores, gib * GIB),
        overcommit_cores=overcommit, overcommit_memory=overcommit,
    )  # fmt: skip


def order(number: int, tier: str = "cpu", *nodes: str, gpus: int = 0, space: int | None = None) -> Order:
    """A replica for one of these nodes, each of which has so many devices of its own."""
    fitting = {name: tuple(f"{name}-{gpu}" for gpu in range(gpus)) for name in nodes or ("a",)}
    return Order(number, number if space is None else space, BUILT_IN[tier], fitting)


def plan(orders: list[Order], *rooms: Room) -> Plan:
    return Plan(orders, rooms, CPU)


def test_a_replica_goes_to_real_hardware_then_to_the_node_with_the_fewest() -> None:
    other = Allocation(space_id=9, amount=Amount())
    both = [order(1, "cpu", "a", "b")]
    assert plan(both).placed == {}
    assert (
        plan(both, room("a", allocations=(other, other)), room("b", allocations=(other,))).placed[1].node
        == "b"
    )
    assert plan(both, room("b"), room("a")).placed[1].node == "a"
    simulated = room("a", "t4", simulates="t4")
    t4 = [order(1, "t4", "a", "b", gpus=1)]
    assert plan(t4, simulated, room("b", "t4", allocations=(other,))).placed[1] == Placement("b", ("b-0",))


def test_what_does_not_fit_waits_in_its_line_and_says_what_is_missing() -> None:
    three = plan([order(n, "t4", gpus=1) for n in (1, 2, 3)], room("a", "t4", gib=64, cores=16))
    assert three.placed == {1: Placement("a", ("a-0",))}
    assert three.waiting == {2: Waits(1, 2, "device"), 3: Waits(2, 2, "device")}
    small = plan([order(n) for n in (1, 2, 3)], room("a", gib=8))
    assert small.waiting == {3: Waits(1, 1, "memory_bytes")}
    slow = plan([order(n) for n in (1, 2, 3)], room("a", cores=4))
    assert slow.waiting == {3: Waits(1, 1, "shared_cores")}


def test_the_cpu_tier_is_overcommitted_as_declared_and_leaves_gpu_tiers_their_cores() -> None:
    assert len(plan([order(n) for n in range(99)], room("a", gib=16, overcommit=8)).placed) == 32
    mixed = [*(order(n) for n in range(8)), order(9, "t4", gpus=1)]
    assert plan(mixed, room("a", "cpu", "t4", cores=4, gib=24, overcommit=16)).placed[9].devices == ("a-0",)


def test_a_node_too_small_for_its_tier_runs_one_and_simulated_ones_count_as_of_the_cpu_tier() -> None:
    assert set(plan([order(n, "a100", gpus=2) for n in (1, 2)], room("a", "a100")).placed) == {1}
    simulated = [order(n, "a100") for n in range(9)]
    assert len(plan(simulated, room("a", "a100", simulates="a100", gib=16)).placed) == 4


def test_a_later_one_passes_only_where_that_does_not_delay_the_first() -> None:
    allocations = (Allocation(space_id=9, amount=Amount(4, 0, 15 * GIB), devices=("a-0",)),)
    wide = room("a", "cpu", "t4", gib=40, allocations=allocations)
    assert set(plan([order(1, "t4", gpus=1), order(2)], wide).placed) == {2}, "it waits for the device alone"
    narrow = room("a", "cpu", "t4", gib=32, allocations=allocations)
    assert set(plan([order(1, "t4", gpus=1), order(2)], narrow).placed) == set()
    elsewhere = [order(1, "t4", gpus=1), order(2, "cpu", "a", "b")]
    assert plan(elsewhere, room("a", "cpu", "t4", allocations=allocations), room("b")).placed[2].node == "b"


def test_a_new_version_may_take_the_room_of_the_one_that_it_replaces_and_nobody_else() -> None:
    mine = Allocation(space_id=1, amount=Amount(4, 0, 15 * GIB), devices=("a-0",))
    full = [order(5, "t4", gpus=1, space=2), order(6, "t4", gpus=1, space=1)]
    found = plan(full, room("a", "t4", gib=16, cores=4, allocations=(mine,)))
    assert found.placed == {6: Placement("a", ("a-0",))}
    assert found.waiting == {5: Waits(1, 1, "device")}
    two = plan([order(6, "t4", gpus=2, space=1)], room("a", "t4", allocations=(mine,)))
    assert two.placed == {6: Placement("a", ("a-1",))}, "a free device goes first"


def test_nodes_of_a_version_that_reported_no_capacity_go_on_without_limits() -> None:
    old = Room(name="a", tiers={"t4": False}, has_limits=False)
    assert plan([order(n, "t4", gpus=1) for n in range(9)], old).placed[8] == Placement("a")


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[Order], list[Room]]:
    names = draw(st.lists(st.sampled_from("abc"), min_size=1, unique=True))
    kinds = st.sampled_from([("cpu",), ("t4",), ("cpu", "t4"), ("cpu", "t4", "a100")])
    gpus = {name: draw(st.integers(0, 3)) for name in names}
    rooms = [
        room(
            name, *draw(kinds), cores=draw(st.integers(1, 16)), gib=draw(st.integers(1, 64)),
            overcommit=draw(st.sampled_from([1, 3, 16])), simulates=draw(st.sampled_from(["", "t4"])),
        )
        for name in names
    ]  # fmt: skip
    orders = []
    for number in range(draw(st.integers(0, 25))):
        tier = draw(st.sampled_from(["cpu", "t4", "a100"]))
        fitting = {
            one.name: tuple(f"{one.name}-{tier}-{n}" for n in range(gpus[one.name]))
            for one in rooms
            if tier in one.tiers
        }
        orders.append(Order(number, draw(st.integers(0, 12)), BUILT_IN[tier], fitting))
    return orders, rooms


@settings(max_examples=120, deadline=None)
@given(worlds())
def test_no_node_is_ever_over_its_capacity_and_no_device_has_two_spaces(
    world: tuple[list[Order], list[Room]],
) -> None:
    orders, rooms = world
    made = plan(orders, *rooms)
    for one in rooms:
        # Versions of one Space may share its room: the largest counts.
        for part in Amount._fields:
            most: dict[int, float] = {}
            for allocation in one.allocations:
                most[allocation.space_id] = max(
                    most.get(allocation.space_id, 0), getattr(allocation.amount, part)
                )
            assert sum(most.values()) <= getattr(one.lends, part) * (1 + 1e-5)
        users = {
            (device, allocation.space_id) for allocation in one.allocations for device in allocation.devices
        }
        assert max(Counter(device for device, _ in users).values(), default=0) <= 1
    able = {one.replica_id for one in orders if one.fitting}
    assert set(made.placed) | set(made.waiting) == able
    assert not set(made.placed) & set(made.waiting)
    for tier in BUILT_IN:
        places = [wait.place for number, wait in made.waiting.items() if orders[number].tier.name == tier]
        assert places == list(range(1, len(places) + 1)), "the earliest is first in line"


# --- the rows -----------------------------------------------------------------------------------------


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replicas, "publish_change", lambda _: None)
    monkeypatch.setattr(replicas, "hint", lambda _: None)


def node(name: str = "here", *, gib: float = 64, gpus: int = 0, **tiers: bool) -> Node:
    """`tiers`: whether each is simulated."""
    found = [
        {"uuid": f"{name}-{n}", "name": "Tesla T4", "memory_bytes": 15 * GIB + GIB // 2} for n in range(gpus)
    ]
    return Node.objects.create(
        name=name, runtime="process", heartbeat_at=timezone.now(), devices={"gpus": found},
        tiers={tier: {"simulated": simulated} for tier, simulated in (tiers or {"cpu": False}).items()},
        capacity={
            "cores": 16, "memory_bytes": gib * GIB, "disk_bytes": 10**12,
            "overcommit_cores": 1, "overcommit_memory": 1,
        },
    )  # fmt: skip


def waiting(space: Space, number: int, tier: str = "t4", **more: Any) -> Replica:
    """Each of a Space of its own."""
    own, _ = Space.objects.get_or_create(owner=space.owner, name=f"s{number}", subdomain=f"alice-s{number}")
    return Replica.objects.create(space=own, tier=tier, spec={}, **more)


def taker(of: Node) -> taking.Taker:
    return taking.Taker(of.pk, of.tiers, "")


def test_two_decisions_at_once_never_give_away_the_same_device(
    space: Space, quiet: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second begins while the first has decided and not committed, and it sees an order that comes before
    all that the first one saw."""
    here = node(gpus=1, t4=False)
    late, early = waiting(space, 2, pk=900_002), 900_001
    decided, goes_on = threading.Event(), threading.Event()
    note_waits = taking._note_waits

    def hold_up(*arguments: Any) -> None:
        note_waits(*arguments)
        if threading.current_thread().name == "first":
            decided.set()
            goes_on.wait(30)

    monkeypatch.setattr(taking, "_note_waits", hold_up)

    def take() -> None:
        taker(here).take()
        connections.close_all()

    first, second = (threading.Thread(target=take, name=name) for name in ("first", "second"))
    first.start()
    assert decided.wait(30)
    waiting(space, 1, pk=early)
    second.start()
    try:
        wait_until(lambda: not second.is_alive() or _is_held_up(), "the second waits for the first")
    finally:
        goes_on.set()
    for thread in (first, second):
        thread.join(30)
    rows = Replica.objects.in_bulk([late.pk, early])
    assert (rows[late.pk].node, rows[late.pk].devices) == (here, ["here-0"])
    assert (rows[early].node, rows[early].devices) == (None, [])
    assert line.reason(rows[early]).startswith("Waiting for NVIDIA T4 hardware: every NVIDIA T4 is in use.")


def _is_held_up() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        return bool(cursor.fetchone()[0])


def test_rooms_are_given_in_the_order_of_waiting_as_they_get_free(space: Space, quiet: None) -> None:
    here = node(gpus=1, t4=False, cpu=False)
    rows = [waiting(space, n) for n in range(3)]
    small = waiting(space, 3, "cpu")
    take = taker(here).take
    take()

    def states() -> list[str]:
        found = Replica.objects.in_bulk([row.pk for row in rows])
        return [found[row.pk].state for row in rows]

    assert states() == ["starting", "pending", "pending"]
    small.refresh_from_db()
    assert small.node == here
    rows[2].refresh_from_db()
    assert line.reason(rows[2]).startswith("2nd of 2 in line for NVIDIA T4 hardware: every NVIDIA T4 is in")
    # It is asked to stop, and holds its device until it has.
    replicas.order_stop(Replica.objects.get(pk=rows[0].pk))
    take()
    assert states() == ["starting", "pending", "pending"]
    Replica.objects.filter(pk=rows[0].pk).update(state="stopped")
    take()
    assert states() == ["stopped", "starting", "pending"]
    rows[2].refresh_from_db()
    assert line.reason(rows[2]).startswith("Waiting for NVIDIA T4 hardware")
    assert line.is_awaited("t4")
    assert not line.is_awaited("cpu")


def test_one_whose_node_does_not_take_it_goes_to_another_with_room(
    space: Space, quiet: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    node("hangs")
    other, row = node("other"), waiting(space, 1, "cpu")
    waiting(space, 2, "cpu", node=other, state="ready")
    looks = taker(other)
    looks.take()
    row.refresh_from_db()
    assert row.node is None
    monkeypatch.setattr(taking, "PATIENCE_S", 0)
    looks.take()
    row.refresh_from_db()
    assert row.node == other


def test_a_replica_of_an_earlier_version_has_the_device_that_it_runs_with(
    space: Space, quiet: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hardware.runtimes.base import Running

    here = node(gpus=2, t4=False)
    runs = waiting(space, 1, node=here, state="ready", runtime_id="x")
    begins = waiting(space, 2, node=here, state="starting")
    taking.note_devices(here.pk, {runs.pk: Running(runtime_id="x", address="", gpus=("here-0",))})
    taker(here).take()
    assert dict(Replica.objects.values_list("pk", "devices")) == {runs.pk: ["here-0"], begins.pk: ["here-1"]}


def test_a_node_lends_what_it_has_or_its_control_group_allows_unless_told(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SPACEPORT_HOME = tmp_path
    monkeypatch.setattr(capacity, "GROUPS", tmp_path)
    monkeypatch.setattr(capacity, "MINE", tmp_path / "mine")
    whole = capacity.found()
    assert whole["cores"] >= 1
    assert whole["memory_bytes"] > GIB // 8
    (tmp_path / "mine").write_text("0::/outer/inner\n")
    (tmp_path / "outer/inner").mkdir(parents=True)
    (tmp_path / "outer/inner/memory.max").write_text("max\n")
    (tmp_path / "outer/memory.max").write_text(f"{GIB // 8}\n")
    (tmp_path / "outer/cpu.max").write_text("50000 100000\n")
    bounded = capacity.found()
    assert (bounded["cores"], bounded["memory_bytes"]) == (0.5, GIB // 8)
    (tmp_path / "mine").write_text("4:cpu,cpuacct:/outer\n9:memory:/outer\n")
    for name, text in (("memory/outer/memory.limit_in_bytes", GIB // 16), ("cpu/cpu.cfs_quota_us", -1)):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(f"{text}\n")
    (tmp_path / "cpu/cpu.cfs_period_us").write_text("100000\n")
    older = capacity.found()
    assert (older["cores"], older["memory_bytes"]) == (whole["cores"], GIB // 16)
    settings.SPACEPORT_NODE_CORES, settings.SPACEPORT_NODE_MEMORY_GB = 3.5, 2
    told = capacity.found()
    assert (told["cores"], told["memory_bytes"]) == (3.5, 2 * GIB)


def test_an_owner_has_at_most_so_many_on_a_tier_and_delays_nobody_meanwhile() -> None:
    two = dataclasses.replace(CPU, most_per_owner=2)

    def one(number: int, owner: int, space: int = 0) -> Order:
        return Order(number, space or number, two, {"a": ()}, owner)

    wide = room("a", cores=64, gib=64)
    found = plan([one(1, 7), one(2, 7), one(3, 7), one(4, 8), one(5, 7, space=1)], wide)
    assert found.waiting == {3: Waits(1, 1, "limit")}
    assert set(found.placed) == {1, 2, 4, 5}, "a new version of one that runs is none more"


def test_one_that_serves_beside_others_counts_with_them_and_has_no_room_but_its_own() -> None:
    two = dataclasses.replace(CPU, most_per_owner=2)

    def one(number: int, *, is_further: bool) -> Order:
        return Order(number, 1, two, {"a": ()}, 7, is_further=is_further)

    lead = Allocation(space_id=1, amount=Amount(0, 2, 4 * GIB), tier="cpu", owner_id=7)
    full = room("a", gib=4, allocations=(lead,))
    assert set(plan([one(2, is_further=False)], full).placed) == {2}, "the next version"
    full = room("a", gib=4, allocations=(lead,))
    assert plan([one(2, is_further=True)], full).waiting == {2: Waits(1, 1, "memory_bytes")}
    wide = room("a", cores=64, gib=64, allocations=(lead, lead))
    assert plan([one(3, is_further=True)], wide).waiting == {3: Waits(1, 1, "limit")}


def test_no_space_waits_because_another_one_would_run_on_more_replicas(space: Space, quiet: None) -> None:
    here = node(gib=4)
    runs = waiting(space, 1, "cpu", node=here, state="ready")
    more = Replica.objects.create(space=runs.space, tier="cpu", spec={}, beside=runs.pk)
    other = waiting(space, 2, "cpu")
    taker(here).take()
    for row in (more, other):
        row.refresh_from_db()
    assert (other.waits["place"], more.waits["place"]) == (1, 2)
    Replica.objects.filter(pk=other.pk).delete()
    taker(here).take()
    more.refresh_from_db()
    assert more.waits["place"] == 1
    assert not line.is_awaited("cpu"), "nobody is put to sleep for it"
    Replica.objects.filter(pk=runs.pk).update(state="stopped")
    taker(here).take()
    more.refresh_from_db()
    assert more.node == here
