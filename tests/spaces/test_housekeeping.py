"""Nothing grows for ever: rows are bounded, and deleted Spaces leave nothing on nodes."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.utils import timezone

from accounts.models import AccessToken, DeviceLogin, Owner, User
from hardware.models import Deleted, Node, Replica
from hardware.runtimes.base import Artifact
from hardware.upkeep import leftovers
from queueing import tasks as queueing_tasks
from queueing.models import QueueMinute
from queueing.stats import rollup
from spaces import housekeeping, lifecycle, tasks
from spaces.lfs import collection, store
from spaces.models import Build, Space, Webhook, WebhookDelivery
from spaces.webhooks import deliveries

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


def test_a_platform_that_ages_keeps_what_is_within_each_bound(space: Space) -> None:
    """Of each kind one that is too old, and one that is not; then the scheduled tasks run."""
    user, now = User.objects.create(username="alice"), NOW()
    for name, beyond in (("old", timedelta(minutes=1)), ("new", -timedelta(minutes=1))):
        expired = now - housekeeping.EXPIRED_SHOWN - beyond
        AccessToken.objects.create(user=user, name=name, digest=name, last_four="", expires_at=expired)
        about = {"device_digest": name, "user_code": name, "address": name}
        DeviceLogin.objects.create(**about, expires_at=now - beyond)
        entry = LogEntry.objects.create(user=user, action_flag=1, object_repr=name)
        LogEntry.objects.filter(pk=entry.pk).update(action_time=now - housekeeping.ADMIN_LOG_KEPT - beyond)
        gone = Deleted.objects.create(space_id=1, cleared_by=[name])
        Deleted.objects.filter(pk=gone.pk).update(created_at=now - housekeeping.GONE_AFTER - beyond)
        QueueMinute.objects.create(space=space, minute=now - rollup.KEPT - beyond, fn=name)
        kept_s = housekeeping.LEFT_BUILDS_KEPT_S + settings.SPACEPORT_BUILD_TIMEOUT_S
        files = ((f"build-{name}", kept_s), (f"lfs/spool/{name}", collection.GRACE_S))
        for path, seconds in files:
            place = settings.SPACEPORT_HOME / path
            place.mkdir(parents=True) if path.startswith("build") else store.spool().joinpath(name).touch()
            at = (now - timedelta(seconds=seconds) - beyond).timestamp()
            os.utime(place, (at, at))
    tasks.forget_old_rows()
    queueing_tasks.forget_minutes()
    left: dict[str, Any] = {
        "tokens": AccessToken.objects.values_list("name", flat=True),
        "logins": DeviceLogin.objects.values_list("address", flat=True),
        "console": LogEntry.objects.values_list("object_repr", flat=True),
        "deleted": [name for one in Deleted.objects.all() for name in one.cleared_by],
        "minutes": QueueMinute.objects.values_list("fn", flat=True),
        "builds": [path.name.removeprefix("build-") for path in settings.SPACEPORT_HOME.glob("build-*")],
        "spool": [path.name for path in store.spool().iterdir()],
    }
    assert {kind: list(names) for kind, names in left.items()} == {kind: ["new"] for kind in left}


def test_a_webhook_keeps_its_newest_deliveries(db: None) -> None:
    user = User.objects.create(username="alice")
    hook = Webhook.objects.create(user=user, url="http://x", watched=[], domains=[])
    made = WebhookDelivery.objects.bulk_create(
        WebhookDelivery(webhook=hook, payload={}, scope="repo") for _ in range(deliveries.KEPT + 20)
    )
    made[-1].status = 200
    deliveries._note(made[-1])
    assert hook.deliveries.count() == deliveries.KEPT


def test_what_a_deleted_space_has_in_a_registry_is_deleted_there(
    space: Space, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    pushed = Artifact(runtime="docker", image="i:1", pull="r/i@sha256:1")
    for artifact in (pushed, replace(pushed, image="i:2", pull=""), None):
        value = artifact.to_json() if artifact else None
        Build.objects.create(space=space, sha="a" * 40, artifact=value)
    ordered: list[list[Artifact]] = []
    monkeypatch.setattr(housekeeping, "forget", ordered.append)
    with django_capture_on_commit_callbacks(execute=True):
        housekeeping.note_deleted(space)
    assert ordered == [[pushed]]
    assert Deleted.objects.filter(space_id=space.pk).exists()
