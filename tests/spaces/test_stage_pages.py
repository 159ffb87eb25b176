"""What a Space's page says of the moment: the hardware that serves and is wanted, how far a build or a start
has come, what it wrote, and why it failed."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from hardware import logs, nodes, replicas
from hardware.models import Replica
from hardware.runtimes.base import Artifact, ReplicaSpec
from infra.redis_clients import sync_redis
from queueing import queue_settings
from queueing.store import keys
from spaces import lifecycle, publishing
from spaces.models import Space, Stage
from spaces.secrets import environment
from spaces.tasks import put_to_sleep
from tests.people import People
from tests.spaces.pages import as_, folks, space_of, text_of
from tests.spaces.test_failures import CRASH

__all__ = ["folks"]
pytestmark = pytest.mark.django_db


def replica_of(space: Space, tier: str = "cpu", state: str = Replica.State.READY) -> Replica:
    spec = ReplicaSpec(
        space=str(space), space_id=space.pk, sdk="gradio", artifact=Artifact(runtime="process"), tier=tier,
        start_timeout_s=600, env=environment(space),
    )  # fmt: skip
    row = replicas.order(space_id=space.pk, build_id=None, spec=spec)
    Replica.objects.filter(pk=row.pk).update(state=state)
    return row


def staged(space: Space, stage: str, **changes: object) -> None:
    Space.objects.filter(pk=space.pk).update(stage=stage, **changes)


def test_the_head_shows_the_hardware_that_serves_and_the_one_that_is_wanted(folks: People) -> None:
    space = space_of(folks)
    nodes.register("here", {"cpu": False}, "process")
    staged(space, Stage.RUNNING_APP_STARTING, replica=replica_of(space), hardware="t4")
    head = text_of(Client().get("/lab/demo/stage"))
    assert '<span class="tag">CPU' in head
    assert "→ NVIDIA T4, waiting for hardware" in head
    assert "Cancel" not in head
    assert "Cancel the move to NVIDIA T4" in text_of(as_(folks.bob).get("/lab/demo/stage"))
    nodes.register("there", {"t4": False}, "process")
    assert "→ NVIDIA T4, moving" in text_of(Client().get("/lab/demo/stage"))
    staged(space, Stage.RUNNING, replica=replica_of(space, "t4"))
    assert "→" not in text_of(Client().get("/lab/demo/stage"))


@pytest.fixture
def moving(folks: People) -> Space:
    """A Space on the CPU, on its way to a T4 that has no node."""
    space = space_of(folks)
    nodes.register("here", {"cpu": False}, "process")
    serving = replica_of(space)
    replica_of(space, "t4", Replica.State.PENDING)
    staged(space, Stage.RUNNING_APP_STARTING, replica=serving, hardware="t4")
    return space


@pytest.fixture
def full(folks: People) -> tuple[Space, Space]:
    """A Space that has the only T4, and may sleep after an hour; and one that waits for that."""
    runs, waits = space_of(folks), space_of(folks, name="late")
    node = nodes.register("here", {"t4": False}, "process")
    serving = replica_of(runs, "t4")
    Replica.objects.filter(pk=serving.pk).update(node=node)
    staged(runs, Stage.RUNNING, replica=serving, hardware="t4", sleep_time_s=3600)
    ordered = replica_of(waits, "t4", Replica.State.PENDING)
    Replica.objects.filter(pk=ordered.pk).update(waits={"place": 1, "of": 2, "lacks": "device"})
    staged(waits, Stage.APP_STARTING, hardware="t4")
    return Space.objects.get(pk=runs.pk), Space.objects.get(pk=waits.pk)


def visited(space: Space, ago_s: float) -> None:
    sync_redis().zadd(keys.VISITED, {str(space.pk): time.time() - ago_s})


def test_one_that_waits_for_room_is_told_its_place_and_an_estimate_only_where_there_is_one(
    folks: People, full: tuple[Space, Space]
) -> None:
    runs, late = full
    visited(runs, 30)
    lifecycle.replica_changed(late.replicas.get().pk)
    why = "1st of 2 in line for NVIDIA T4 hardware: every NVIDIA T4 is in use."
    for client in (Client(), as_(folks.bob)):
        page = text_of(client.get("/lab/late"))
        assert page.count(why) == 1
        assert "in about 1 min, by how those that run there are used" in page
    told = Client().get("/api/spaces/lab/late/runtime").json()["waiting"]
    assert (told["place"], told["of"], told["reason"][: len(why)]) == (1, 2, why)
    assert 40 < told["likelyS"] <= 50
    route = publishing.published(late.pk)
    assert route is not None
    assert route.awaits.startswith(why)
    late.refresh_from_db()
    assert late.stage_reason.startswith(why)

    staged(runs, Stage.RUNNING, sleep_time_s=None)
    assert "in about" not in text_of(Client().get("/lab/late"))
    assert Client().get("/api/spaces/lab/late/runtime").json()["waiting"]["likelyS"] is None

    now = timezone.now()
    for hour in range(1, 7):  # what ended there lately had run for 20 minutes
        began = now - timedelta(hours=hour)
        ended = {"ready_at": began, "ended_at": began + timedelta(minutes=20)}
        old = replica_of(runs, "t4", Replica.State.STOPPED)
        Replica.objects.filter(pk=old.pk).update(wanted=False, **ended)
    Replica.objects.filter(state=Replica.State.READY).update(ready_at=now - timedelta(minutes=17))
    assert "in about 4 min" in text_of(Client().get("/lab/late"))


def test_one_that_may_sleep_makes_room_a_minute_after_its_last_visitor_if_others_wait(
    full: tuple[Space, Space],
) -> None:
    runs, _ = full
    for ago_s, stage in ((30, Stage.RUNNING), (70, Stage.SLEEPING)):
        visited(runs, ago_s)
        put_to_sleep()
        assert Space.objects.get(pk=runs.pk).stage == stage
    assert not runs.replicas.get().wanted


def test_one_that_nobody_waits_for_sleeps_when_its_owner_says(full: tuple[Space, Space]) -> None:
    runs, late = full
    replicas.order_stop(late.replicas.get())
    visited(runs, 70)
    put_to_sleep()
    assert Space.objects.get(pk=runs.pk).stage == Stage.RUNNING
    visited(runs, 4000)
    put_to_sleep()
    assert Space.objects.get(pk=runs.pk).stage == Stage.SLEEPING


CANCEL = "/lab/demo/settings/action/cancel-move"


def test_a_move_that_is_cancelled_leaves_what_serves_alone(folks: People, moving: Space) -> None:
    serving, ordered = moving.replicas.order_by("pk")
    assert "The move is cancelled" in text_of(as_(folks.bob).post(CANCEL, follow=True))
    moving.refresh_from_db()
    assert (moving.hardware, moving.stage, moving.replica_id) == ("cpu", Stage.RUNNING, serving.pk)
    assert [row.pk for row in moving.replicas.filter(wanted=True)] == [serving.pk]
    ordered.refresh_from_db()
    assert ordered.state == Replica.State.STOPPED
    assert "→" not in text_of(Client().get("/lab/demo/stage"))


def test_what_a_cancelled_move_brought_besides_is_not_lost(
    folks: People, moving: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    restarted: list[str] = []
    monkeypatch.setattr(lifecycle, "restart", lambda space: restarted.append(space.hardware))
    moving.variables.create(key="NEW", value="1")
    as_(folks.bob).post(CANCEL)
    assert restarted == ["cpu"]


def test_a_space_that_does_not_move_stays_as_it_is(folks: People) -> None:
    space = space_of(folks)
    staged(space, Stage.SLEEPING, hardware="t4")
    assert "is not on its way" in text_of(as_(folks.bob).post(CANCEL, follow=True))
    space.refresh_from_db()
    assert (space.hardware, space.stage) == ("t4", Stage.SLEEPING)


def test_the_head_renews_title_and_the_most_who_may_wait(folks: People) -> None:
    space = space_of(folks)
    queue_settings.change(space.pk, {"max_size": 7})
    staged(space, Stage.RUNNING, title="Slow oracle", emoji="🔮")
    head = text_of(Client().get("/lab/demo/stage"))
    for told in ("Slow oracle", "🔮", 'data-max-size="7"'):
        assert told in head


def test_a_build_says_since_when_which_attempt_and_its_limit(folks: People) -> None:
    space = space_of(folks)
    row = space.builds.create(sha="a" * 40)
    staged(space, Stage.BUILDING)
    assert "waiting for a worker" in text_of(Client().get("/lab/demo"))
    now = timezone.now()
    space.builds.filter(pk=row.pk).update(
        status="running", attempts=2, started_at=now, created_at=now - timedelta(minutes=5, seconds=9)
    )
    assert "for 5 min, attempt 2, at most 30 min each" in text_of(Client().get("/lab/demo"))


def test_a_start_shows_the_lines_of_its_own_run_alone(folks: People) -> None:
    space = space_of(folks)
    before, now = replica_of(space), replica_of(space, state=Replica.State.STARTING)
    logs.append("run", space.pk, ["said by the run before"], replica=before.pk)
    logs.append("run", space.pk, ["said by this one"], replica=now.pk)
    staged(space, Stage.APP_STARTING)
    panel = text_of(as_(folks.bob).get("/lab/demo/panel"))
    assert "said by this one" in panel
    assert "said by the run before" not in panel
    assert "at most 10 min" in panel
    assert 'hx-trigger="every 3s"' in panel
    logs.forget(space.pk)


def test_a_crash_shows_the_last_exception_first_and_the_apps_own_lines(folks: People) -> None:
    space = space_of(folks)
    staged(space, Stage.RUNTIME_ERROR, stage_reason=CRASH)
    page = text_of(as_(folks.bob).get("/lab/demo"))
    places = [
        page.index(part)
        for part in (
            "<strong>ModuleNotFoundError: No module named &#x27;torch&#x27;</strong>",
            "Add the package that has torch to requirements.txt.",
            "app.py&quot;, line 3",
            "The app exited with code 1.",
            "All of the last lines",
            "spaceport_launcher",
        )
    ]
    assert places == sorted(places)
    assert page.count("spaceport_launcher") == 1
    assert "torch" not in text_of(Client().get("/lab/demo"))
