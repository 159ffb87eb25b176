"""Nothing grows for ever: rows are bounded, and deleted Spaces leave nothing on nodes."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone

from accounts.models import Owner
from hardware.models import Deleted, Node, Replica
from hardware.upkeep import leftovers
from spaces import housekeeping, lifecycle, tasks
from spaces.models import Build, Space

NOW = timezone.now
DAY = timedelta(days=1)
State = Replica.State


@pytest.fixture
def space(db: None, settings: Any, tmp_path: Path) -> Space:
    settings.SPACEPORT_HOME = tmp_path
    return Space.objects.create(owner=Owner.objects.create(name="alice"), name="demo", subdomain="alice-demo")


class Runtime:
    """In the place of one: it removes a Space at the second try."""

    def __init__(self) -> None:
        self.tries: list[int] = []

    def forget_space(self, space_id: int) -> bool:
        self.tries.append(space_id)
        return len(self.tries) > 1


def test_a_deleted_space_is_removed_from_every_node_once_nothing_uses_it(space: Space) -> None:
    number = space.pk
    lifecycle.delete(space)
    here, there = Runtime(), Runtime()
    for _ in range(3):
        leftovers.clear("here", here)  # type: ignore[arg-type]
    leftovers.clear("there", there)  # type: ignore[arg-type]
    assert (here.tries, there.tries) == ([number, number], [number])
    assert Deleted.objects.get().cleared_by == ["here"]


def test_ended_replicas_go_and_others_stay(space: Space) -> None:
    def made(state: str, *, wanted: bool, ago: timedelta) -> int:
        row = Replica.objects.create(
            space=space, tier="cpu", spec={}, state=state, wanted=wanted, ended_at=NOW() - ago
        )
        return row.pk

    for state in (State.STOPPED, State.FAILED):
        made(state, wanted=False, ago=2 * DAY)
    kept = {
        made(State.STOPPED, wanted=False, ago=DAY / 2),
        made(State.FAILED, wanted=True, ago=9 * DAY),
        made(State.READY, wanted=False, ago=9 * DAY),
    }
    tasks.forget_old_rows()
    assert set(Replica.objects.values_list("pk", flat=True)) == kept


def test_builds_are_kept_that_are_new_run_or_can_be_gone_back_to(space: Space) -> None:
    rows = [space.builds.create(sha="0" * 40, status=Build.Status.FAILED) for _ in range(40)]
    rows[0].artifact = {"runtime": "docker", "image": "x"}
    rows[0].save()
    Build.objects.filter(pk=rows[1].pk).update(status=Build.Status.RUNNING)
    Replica.objects.create(space=space, tier="cpu", spec={}, build_id=rows[2].pk)
    housekeeping.forget_old_rows()
    kept = {row.pk for row in [*rows[:3], *rows[-housekeeping.BUILDS_KEPT :]]}
    assert set(space.builds.values_list("pk", flat=True)) == kept


def test_sessions_and_nodes_that_are_over_go(space: Space) -> None:
    for key, ends in (("over", NOW() - DAY), ("open", NOW() + DAY)):
        Session.objects.create(session_key=key, session_data="", expire_date=ends)
    for name, seen in (("gone", NOW() - 40 * DAY), ("down", NOW() - DAY)):
        Node.objects.create(name=name, runtime="process", heartbeat_at=seen)
    tasks.forget_old_rows()
    assert list(Session.objects.values_list("session_key", flat=True)) == ["open"]
    assert list(Node.objects.values_list("name", flat=True)) == ["down"]
