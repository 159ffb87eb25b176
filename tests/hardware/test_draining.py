"""An administrator drains a node, and removes it: what moves, what stays and why, and what is refused."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import Owner
from hardware import nodes, replicas
from hardware.hop import here as hop
from hardware.models import JoinedNode, Node, Replica, VolumeHome
from hardware.runtimes.base import Artifact, NamedVolume, ReplicaSpec
from hardware.trust.membership import Membership
from hardware.upkeep import draining, handover, heartbeat
from spaces.models import Space

State = Replica.State


@pytest.fixture(autouse=True)
def quiet(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replicas, "publish_change", lambda _: None)
    monkeypatch.setattr(replicas, "hint", lambda _: None)


def node(name: str, *more: str) -> Node:
    made = nodes.register(name, dict.fromkeys(("cpu", *more), True), "process", f"disk of {name}")
    made.capacity = {}
    made.save()
    return made


def runs(name: str, on: Node, tier: str = "cpu", volume: int = 0, *, ready: bool = True) -> Replica:
    owner, _ = Owner.objects.get_or_create(name="alice")
    space = Space.objects.create(owner=owner, name=name, subdomain=f"alice-{name}")
    volumes = (NamedVolume(volume_id=volume, name="alice/v", path="/v"),) if volume else ()
    spec = ReplicaSpec(
        space=str(space), space_id=space.pk, sdk="gradio", artifact=Artifact(runtime="process"), tier=tier,
        volumes=volumes,
    )  # fmt: skip
    row = replicas.order(space_id=space.pk, build_id=None, spec=spec)
    row.node, row.state = on, State.READY if ready else State.STARTING
    row.ready_at = timezone.now() if ready else None
    row.save()
    return row


def replacement(row: Replica) -> Replica:
    return Replica.objects.exclude(pk=row.pk).get(space_id=row.space_id)


def round_of(drained: Node) -> draining.Progress:
    draining.go_on()
    drained.refresh_from_db()
    return draining.progress(drained)


def test_what_can_move_is_replaced_and_what_cannot_stays_and_says_why() -> None:
    here, there = node("here", "t4"), node("there")
    VolumeHome.objects.create(volume_id=7, place="disk of here")
    moves, gpu, kept = runs("moves", here), runs("gpu", here, "t4"), runs("kept", here, volume=7)
    assert draining.drain(here) == "here takes nothing new. 3 Spaces move to other nodes."
    now = round_of(here)
    assert (now.moved, now.of, now.is_empty) == (0, 3, False)
    assert now.stays == {
        gpu.space_id: "No other node with NVIDIA T4 hardware is up.",
        kept.space_id: "A volume of it is kept on this machine.",
    }
    assert replacement(moves).wanted
    assert Replica.objects.get(pk=moves.pk).wanted, "it serves until the other one does"
    round_of(here)
    assert Replica.objects.filter(space_id=moves.space_id).count() == 2, "one replacement is enough"
    Replica.objects.filter(pk=replacement(moves).pk).update(node=there, state=State.READY)
    Replica.objects.filter(pk=moves.pk).update(set_aside_at=timezone.now(), state=State.STOPPED, wanted=False)
    assert (round_of(here).moved, draining.describe(here)) == (1, "draining, 1 of 3 moved")
    Replica.objects.filter(pk__in=[gpu.pk, kept.pk]).update(state=State.STOPPED, wanted=False)
    assert draining.describe(here) == "drained"


def test_what_runs_on_a_joined_node_that_leaves_is_moved_by_the_scheduler(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here, there = node("here", "t4"), node("there")
    JoinedNode.objects.create(
        node=here, digest="d", address="10.0.0.7:8443", certificate_expires_at=timezone.now()
    )
    membership = Membership(
        platform="http://p", node="here", label="n1", address="10.0.0.7:8443", credential="c", settings={}
    )
    monkeypatch.setattr(hop, "membership", lambda: membership)
    monkeypatch.setattr(handover, "CHECK_EVERY_S", 0.0)
    moves, gpu = runs("moves", here), runs("gpu", here, "t4")
    rounds = 0

    def the_scheduler_works() -> bool:
        nonlocal rounds
        rounds += 1
        draining.go_on()
        if rounds == 2:
            assert Replica.objects.get(pk=moves.pk).state == State.READY, "it serves until the other one does"
            Replica.objects.filter(pk=replacement(moves).pk).update(node=there, state=State.READY)
            Replica.objects.filter(pk=moves.pk).update(set_aside_at=timezone.now())
        if rounds == 3:  # its last call has ended
            Replica.objects.filter(pk=moves.pk).update(state=State.STOPPED, wanted=False)
        return rounds > 9

    handover.hand_over(here.pk, the_scheduler_works)
    assert rounds == 3
    assert Replica.objects.get(pk=gpu.pk).wanted, "no other node has its hardware: it runs on"


def test_a_drained_node_takes_nothing_until_it_is_undrained_also_when_it_starts_again() -> None:
    here = node("here")
    draining.drain(here)
    nodes.register("here", {"cpu": True}, "process")
    assert nodes.up("cpu") == []
    assert nodes.absence("cpu").startswith("The nodes with CPU hardware are drained and take nothing new.")
    draining.undrain(here)
    assert [one.name for one in nodes.up("cpu")] == ["here"]


def test_what_fails_elsewhere_is_taken_back_and_tried_again_when_asked() -> None:
    here, there = node("here"), node("there")
    row = runs("picky", here)
    draining.drain(here)
    round_of(here)
    Replica.objects.filter(pk=replacement(row).pk).update(
        node=there, state=State.FAILED, reason="No disk.\nx"
    )
    assert round_of(here).stays == {row.space_id: "It failed on another node: No disk."}
    assert not replacement(row).wanted
    assert round_of(here).stays == {row.space_id: "It failed on another node: No disk."}
    draining.drain(here)
    round_of(here)
    assert Replica.objects.filter(space_id=row.space_id, wanted=True).count() == 2


def test_what_was_still_starting_starts_elsewhere_instead() -> None:
    here = node("here")
    node("there")
    row = runs("young", here, ready=False)
    draining.drain(here)
    round_of(here)
    assert not Replica.objects.get(pk=row.pk).wanted


def test_a_worker_that_ends_does_not_wait_for_what_fits_nowhere() -> None:
    here = node("here")
    runs("alone", here)
    handover.hand_over(here.pk, lambda: False)
    assert Replica.objects.count() == 1


def test_only_what_is_down_or_drained_and_runs_nothing_is_removed() -> None:
    here = node("here")
    row = runs("demo", here)

    def refusal() -> str:
        with pytest.raises(CommandError) as error:
            call_command("node", "remove", "here")
        return str(error.value)

    assert refusal() == "here is up and takes Spaces. Drain it first."
    call_command("node", "drain", "here", stdout=io.StringIO())
    assert refusal() == "here still runs 1 replica. Wait until it is empty."
    Node.objects.update(heartbeat_at=timezone.now() - timedelta(minutes=1))
    assert refusal() == "here is down, and what it ran is being freed. Try again in half a minute."
    Replica.objects.filter(pk=row.pk).update(state=State.STOPPED)
    said = io.StringIO()
    call_command("node", "list", stdout=said)
    call_command("node", "remove", "here", stdout=said)
    assert said.getvalue() == "here: down, drained\nhere is removed.\n"
    with pytest.raises(CommandError, match=r"There is no node 'here'\. There are: none\."):
        call_command("node", "undrain", "here")


def test_the_worker_of_a_removed_node_ends() -> None:
    ended: list[bool] = []
    here = node("here")
    beats = heartbeat.Heartbeat(
        node_id=here.pk, name="here", runtime=None,  # type: ignore[arg-type]  # it is not asked
        slots=lambda: (0, 8), removed=lambda: ended.append(True),
    )  # fmt: skip
    draining.drain(here)
    draining.remove(here)
    beats.beat()
    assert ended == [True]


def test_replicas_beside_another_follow_it_and_are_none_to_replace_it() -> None:
    here, there = node("here"), node("there")
    lead = runs("many", here)
    beside = [
        replicas.order(space_id=lead.space_id, build_id=None, spec=replicas.spec_of(lead.pk)) for _ in "ab"
    ]
    Replica.objects.filter(pk__in=[row.pk for row in beside]).update(beside=lead.pk, state=State.READY)
    Replica.objects.filter(pk=beside[0].pk).update(node=here)
    Replica.objects.filter(pk=beside[1].pk).update(node=there)
    draining.drain(here)
    round_of(here)
    [newer] = Replica.objects.filter(space_id=lead.space_id, beside=None).exclude(pk=lead.pk)
    assert newer.pk > beside[1].pk
    assert Replica.objects.filter(set_aside_at__isnull=False).count() == 0, (
        "it ends with what it serves beside"
    )


def test_one_beside_another_that_runs_elsewhere_ends_and_is_ordered_anew() -> None:
    here, there = node("here"), node("there")
    lead = runs("many", there)
    beside = replicas.order(
        space_id=lead.space_id, build_id=None, spec=replicas.spec_of(lead.pk), beside=lead.pk
    )
    Replica.objects.filter(pk=beside.pk).update(node=here, state=State.READY)
    draining.drain(here)
    round_of(here)
    beside.refresh_from_db()
    assert beside.set_aside_at is not None
    assert beside.wanted, "its calls end first"
    assert Replica.objects.count() == 2, "its Space orders the next one"
