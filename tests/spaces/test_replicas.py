"""A Space on several replicas: who leads, who serves beside it, and what becomes of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import Owner
from hardware import nodes, replicas
from hardware.models import Replica
from hardware.runtimes.base import Artifact, ReplicaSpec
from queueing.routes import Route
from spaces import following, lifecycle, publishing
from spaces.building import versions
from spaces.models import Build, Sdk, Space, Stage
from spaces.room import tiers
from spaces.scaling import follow, words
from tests.spaces.test_following import answering

State = Replica.State
LONG_AGO = timedelta(minutes=40)


@pytest.fixture(scope="module")
def addresses() -> Iterator[list[str]]:
    with answering(4) as found:
        yield found


@pytest.fixture
def space(transactional_db: None, addresses: list[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Space]:
    """It is to run on three replicas, and its first one serves."""
    a_node(monkeypatch)
    space = a_space("many", addresses[0], replica_count=3)
    yield space
    publishing.withdraw(space)


def a_node(monkeypatch: pytest.MonkeyPatch) -> None:
    """One to place replicas on, which starts none itself."""
    monkeypatch.setattr(replicas, "hint", lambda _: None)
    monkeypatch.setattr(lifecycle, "spec_of", lambda space, *_: spec_of(space))
    nodes.register("here", {"cpu": False}, "process", "disk")


def a_space(name: str, address: str, **options: Any) -> Space:
    """Its first replica serves at this address."""
    owner, _ = Owner.objects.get_or_create(name="alice")
    space = Space.objects.create(
        owner=owner, name=name, subdomain=f"alice-{name}", card={}, sdk=Sdk.DOCKER, sha="1" * 40,
        stage=Stage.RUNNING, **options,
    )  # fmt: skip
    space.replica = ordered(space, build_of(space))
    space.save()
    becomes(space.replica, state=State.READY, address=address, ready_at=timezone.now())
    return Space.objects.get(pk=space.pk)


def build_of(space: Space) -> Build:
    return space.builds.create(sha=space.sha, status=Build.Status.SUCCEEDED, artifact={"runtime": "process"})


def spec_of(space: Space) -> ReplicaSpec:
    artifact = Artifact(runtime="process")
    return ReplicaSpec(space=str(space), space_id=space.pk, sdk="docker", artifact=artifact, tier="cpu")


def ordered(space: Space, build: Build) -> Replica:
    return replicas.order(space_id=space.pk, build_id=build.pk, spec=spec_of(space))


def becomes(row: Replica, **change: Any) -> None:
    Replica.objects.filter(pk=row.pk).update(**change)
    lifecycle.replica_changed(row.pk)


def beside(space: Space) -> list[Replica]:
    """Those beside its lead that are to serve, in their order."""
    rows = space.replicas.filter(wanted=True, set_aside_at=None, beside__isnull=False)
    return list(rows.order_by("pk"))


def leading(space: Space) -> QuerySet[Replica]:
    """The one that leads."""
    return Replica.objects.filter(pk=space.replica_id or 0)


def ready(space: Space, addresses: list[str]) -> list[Replica]:
    """The others, which serve."""
    following.reconcile_spaces()
    for one, address in zip(beside(space), addresses[1:], strict=False):
        becomes(one, state=State.READY, address=address, ready_at=timezone.now())
    return beside(space)


def route(space: Space) -> Route:
    found = publishing.published(space.pk)
    assert found is not None
    return found


def others(space: Space) -> set[int]:
    return {place.replica_id for place in route(space).others}


def test_what_is_missing_is_ordered_once_as_what_leads_runs(space: Space) -> None:
    following.reconcile_spaces()
    following.reconcile_spaces()
    lead, two = space.replica, beside(space)
    assert lead is not None
    assert [(one.beside, one.build_id) for one in two] == [(lead.pk, lead.build_id)] * 2
    assert replicas.spec_of(two[0].pk) == replicas.spec_of(lead.pk)
    assert replicas.candidate(space.pk) == lead, "it leads as before"


def test_visitors_are_sent_to_those_that_answer(space: Space, addresses: list[str]) -> None:
    following.reconcile_spaces()
    one, two = beside(space)
    becomes(one, state=State.READY, address=addresses[1])
    assert [(place.replica_id, place.address) for place in route(space).others] == [(one.pk, addresses[1])]
    assert route(space).coming == (two.pk,), "its calls that end with it are its death, not its move"
    becomes(one, state=State.STARTING, address="")
    assert (route(space).others, set(route(space).coming)) == ((), {one.pk, two.pk})
    assert route(space).address == addresses[0]


def test_where_the_one_that_leads_dies_another_leads_at_once(space: Space, addresses: list[str]) -> None:
    one, two = ready(space, addresses)
    lead = space.replica
    assert lead is not None
    becomes(lead, state=State.STARTING, address="")
    space.refresh_from_db()
    assert (space.stage, space.replica_id) == (Stage.RUNNING, one.pk)
    assert route(space).place == (one.pk, addresses[1])
    assert (others(space), route(space).coming) == ({two.pk}, (lead.pk,))
    becomes(lead, state=State.READY, address=addresses[3])
    assert others(space) == {two.pk, lead.pk}
    assert replicas.candidate(space.pk) == one


def test_the_next_leads_though_no_notice_came(space: Space, addresses: list[str]) -> None:
    one, _ = ready(space, addresses)
    leading(space).update(state=State.FAILED, address="", ended_at=timezone.now())
    following.reconcile_spaces()
    space.refresh_from_db()
    assert (space.stage, space.replica_id) == (Stage.RUNNING, one.pk)


def test_where_all_die_the_first_that_is_back_leads(space: Space, addresses: list[str]) -> None:
    one, two = ready(space, addresses)
    for row in (one, two, space.replica):
        assert row is not None
        becomes(row, state=State.STARTING, address="")
    space.refresh_from_db()
    assert (space.stage, route(space).address) == (Stage.APP_STARTING, "")
    becomes(two, state=State.READY, address=addresses[2])
    space.refresh_from_db()
    assert (space.stage, space.replica_id) == (Stage.RUNNING, two.pk)


def test_fewer_are_wanted_and_the_last_ends_after_its_calls(space: Space, addresses: list[str]) -> None:
    one, two = ready(space, addresses)
    follow.set_count(space, 2)
    assert others(space) == {one.pk}
    two.refresh_from_db()
    assert two.wanted, "it finishes what it runs"
    versions.retire_replaced(space)
    two.refresh_from_db()
    assert two.wanted
    Replica.objects.filter(pk=two.pk).update(set_aside_at=timezone.now() - timedelta(seconds=11))
    versions.retire_replaced(space)
    two.refresh_from_db()
    assert not two.wanted
    assert [row.pk for row in beside(space)] == [one.pk]


def test_a_new_version_is_led_by_its_first_and_the_old_ones_end(space: Space, addresses: list[str]) -> None:
    old = [space.replica_id or 0, *(row.pk for row in ready(space, addresses))]
    space.refresh_from_db()
    space.sha = "2" * 40
    space.save()
    new = lifecycle.roll_out(space, build_of(space), Artifact(runtime="process"))
    following.reconcile_spaces()
    assert others(space) == set(old[1:]), "they serve until then, and no further one of the old comes"
    assert space.replicas.filter(wanted=True).count() == 4
    becomes(new, state=State.READY, address=addresses[3], ready_at=timezone.now())
    assert (route(space).replica_id, others(space)) == (new.pk, set())
    assert {row.beside for row in beside(space)} == {new.pk}
    assert space.replicas.filter(pk__in=old, set_aside_at__isnull=False, wanted=True).count() == 3
    space.replicas.filter(pk__in=old).update(set_aside_at=timezone.now() - timedelta(seconds=11))
    space.refresh_from_db()
    versions.retire_replaced(space)
    kept = space.replicas.filter(pk__in=old, wanted=True).values_list("pk", flat=True)
    assert list(kept) == [old[0]], "one of them is enough to go back to"


def test_an_old_one_never_leads_before_the_next_version(space: Space, addresses: list[str]) -> None:
    one, two = ready(space, addresses)
    space.refresh_from_db()
    next_version = lifecycle.roll_out(space, build_of(space), Artifact(runtime="process"))
    Replica.objects.filter(pk=one.pk).delete()
    following.reconcile_spaces()
    assert beside(space) == [two], "no further one of a version that ends"
    late = Replica.objects.create(
        space=space, tier="cpu", spec={}, state=State.READY, address=addresses[1], beside=space.replica_id,
        build_id=two.build_id,
    )  # fmt: skip
    assert late.pk > next_version.pk
    Replica.objects.filter(pk=two.pk).update(state=State.STARTING)
    assert space.replica is not None
    becomes(space.replica, state=State.STARTING, address="")
    assert replicas.candidate(space.pk) == next_version


def test_a_pause_ends_all_and_what_was_ordered_meanwhile(space: Space, addresses: list[str]) -> None:
    ready(space, addresses)
    space.refresh_from_db()
    lifecycle.pause(space)
    assert not space.replicas.filter(wanted=True).exists()
    late = Replica.objects.create(space=space, tier="cpu", spec={}, beside=1)
    following.reconcile_spaces()
    late.refresh_from_db()
    assert not late.wanted


def test_one_that_failed_is_tried_again_later(space: Space, addresses: list[str]) -> None:
    one, _ = ready(space, addresses)
    becomes(one, state=State.FAILED, address="", reason="It broke.\nTraceback", ended_at=timezone.now())
    following.reconcile_spaces()
    assert one in beside(space)
    space.refresh_from_db()
    assert space.stage == Stage.RUNNING
    assert words.about(space) == "2 of 3 replicas run; the 3rd failed: It broke."
    becomes(one, ended_at=timezone.now() - timedelta(minutes=6))
    assert one not in beside(space)
    assert len(beside(space)) == 2


def test_while_code_was_taken_into_the_one_that_leads_the_others_serve_nobody(
    space: Space, addresses: list[str]
) -> None:
    ready(space, addresses)
    leading(space).update(reloaded_to="2" * 40)
    following.reconcile_spaces()
    assert others(space) == set()
    assert beside(space) == []
    leading(space).update(reloaded_to="", build_id=build_of(space).pk)
    following.reconcile_spaces()
    assert len(beside(space)) == 2


def test_a_move_that_is_cancelled_leaves_them(space: Space, addresses: list[str]) -> None:
    two = ready(space, addresses)
    Space.objects.filter(pk=space.pk).update(hardware="t4")
    space.refresh_from_db()
    assert tiers.cancel_move(space)
    assert space.replicas.count() == 3, "nothing starts anew"
    assert beside(space) == two
    assert others(space) == {row.pk for row in two}


def test_what_is_missing_is_told_with_its_reason(space: Space, addresses: list[str]) -> None:
    assert words.current(space) == 1
    following.reconcile_spaces()
    one, two = beside(space)
    assert words.about(space) == "1 of 3 replicas run; 2 start."
    becomes(one, state=State.READY, address=addresses[1])
    becomes(two, waits={"place": 1, "of": 1, "lacks": "memory_bytes"})
    assert words.about(space) == "2 of 3 replicas run; the 3rd waits for memory."
    assert words.current(space) == 2
    becomes(two, state=State.READY, address=addresses[2])
    assert words.about(space) == ""


@pytest.mark.parametrize("count", [0, 11, -1])
def test_no_space_runs_on_so_many(space: Space, count: int) -> None:
    with pytest.raises(follow.BadCount, match="1 to 10"):
        follow.set_count(space, count)
    assert Space.objects.get(pk=space.pk).replica_count == 3


def test_one_replica_has_nothing_beside_it(space: Space, addresses: list[str]) -> None:
    Space.objects.filter(pk=space.pk).update(replica_count=1)
    following.reconcile_spaces()
    assert beside(space) == []
    assert (route(space).others, route(space).coming) == ((), ())
