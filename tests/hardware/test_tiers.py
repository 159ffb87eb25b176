"""Tiers are rows: a change is seen everywhere, and reaches what runs at its next start."""

from __future__ import annotations

import pytest
from django.core.management import call_command

from hardware import nodes, replicas, tiers
from hardware.models import HardwareTier, Node, Replica
from hardware.placement import taking
from hardware.runtimes.base import Artifact, ReplicaSpec
from hardware.tiers import BUILT_IN, GIB, TIERS, Limits, UnknownTier, tier
from spaces.models import Space


def change(name: str, **values: object) -> None:
    HardwareTier.objects.filter(name=name).update(**values)


@pytest.mark.django_db
def test_a_new_platform_has_three_tiers() -> None:
    assert dict(TIERS) == BUILT_IN


@pytest.mark.django_db(transaction=True)
def test_they_are_made_again_where_there_are_none_and_never_over_those_there_are() -> None:
    change("t4", cpus=6)
    call_command("migrate", verbosity=0)
    assert tier("t4-small").cpus == 6
    call_command("flush", verbosity=0, interactive=False)
    TIERS.forget()
    assert dict(TIERS) == BUILT_IN


@pytest.mark.django_db
def test_a_change_is_seen_once_the_last_reading_is_old(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tier("t4").cpus == 4
    change("t4", cpus=6, aliases=["t4-large"])
    assert tier("t4-small").cpus == 4
    monkeypatch.setattr(TIERS, "_until", 0.0)
    assert tier("t4-large").cpus == 6
    with pytest.raises(
        UnknownTier, match=r"no hardware 't4-small'\. Choose one of: cpu \(cpu-basic\), t4 \(t4-large\)"
    ):
        tier("t4-small")


def test_what_was_read_last_holds_while_another_thread_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    held = tiers.Tiers()
    held.source = lambda: {"cpu": BUILT_IN["cpu"]}
    assert list(held) == ["cpu"]
    held.forget()
    with held._lock:
        assert list(held) == ["cpu"]


@pytest.mark.django_db
def test_what_runs_keeps_what_its_tier_promised_when_it_was_ordered(space: Space) -> None:
    spec = ReplicaSpec(
        space=str(space), space_id=space.pk, sdk="gradio", artifact=Artifact(runtime="process"), tier="cpu"
    )
    old = replicas.order(space_id=space.pk, build_id=None, spec=spec)
    node = nodes.register("here", {"cpu": False}, "process")
    node.capacity = {
        "cores": 8, "memory_bytes": 64 * GIB, "disk_bytes": 1, "overcommit_cores": 1, "overcommit_memory": 1
    }  # fmt: skip
    node.save()
    change("cpu", memory_bytes=8 * GIB, price_per_hour="0.5")
    TIERS.forget()
    new = replicas.order(space_id=space.pk, build_id=None, spec=spec)
    Replica.objects.update(node=node, state=Replica.State.READY)
    assert replicas.spec_of(old.pk).may_use == BUILT_IN["cpu"].limits
    assert replicas.spec_of(new.pk).may_use == Limits(cpus=2, memory_bytes=8 * GIB, pids=512)
    assert taking.room_of(Node.objects.get()).used.memory_bytes == 12 * GIB
    assert [str(row.price_per_hour) for row in Replica.objects.order_by("pk")] == ["0.0000", "0.5000"]
