"""Nobody waits without a word for a Space that will not start by itself."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hardware.models import Replica
from infra.redis_clients import sync_redis
from queueing.store.keys import SpaceKeys
from spaces import lifecycle, publishing
from spaces.models import Space, Stage
from tests.people import make_people
from tests.spaces.events import CHANNEL, join

pytestmark = pytest.mark.django_db


@pytest.fixture
def space(settings: Any, tmp_path: Any) -> Space:
    settings.SPACEPORT_HOME = tmp_path
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    space = Space.objects.create(owner=make_people().lab, name="waits", subdomain="lab-waits")
    publishing.withdraw(space)
    lifecycle._move(space, Stage.APP_STARTING)
    return space


def told(space: Space) -> list[dict[str, Any]]:
    entries = sync_redis().xrange(SpaceKeys(space.pk).messages(CHANNEL))
    return [msgspec.json.decode(fields[b"d"]) for _, fields in entries]


def state(space: Space, event_id: str) -> str:
    return (sync_redis().hget(SpaceKeys(space.pk).event(event_id), "state") or b"").decode()


@pytest.mark.parametrize(
    "stage", [Stage.BUILD_ERROR, Stage.CONFIG_ERROR, Stage.NO_APP_FILE, Stage.RUNTIME_ERROR]
)
def test_an_error_ends_what_waits_and_says_which(space: Space, stage: Stage) -> None:
    event_id = join(space)
    lifecycle._move(space, stage)
    assert state(space, event_id) not in ("pending", "running")
    assert [message["output"]["error"] for message in told(space)] == [publishing.CLOSED[stage]]


def test_a_pause_ends_nothing_and_is_told_before_the_replicas_hear_of_it(
    space: Space, django_capture_on_commit_callbacks: Any
) -> None:
    """Who finds a call interrupted looks for the reason: it must be there before."""
    event_id = join(space)
    replica = Replica.objects.create(space_id=space.pk, tier="cpu", spec={}, state=Replica.State.READY)
    with django_capture_on_commit_callbacks() as orders:
        lifecycle.pause(space)
    assert [order.args for order in orders] == [(replica,)], "not given yet"
    route = publishing.published(space.pk)
    assert route is not None
    assert route.stopped
    assert state(space, event_id) == "pending"
    assert [(m["msg"], m["code"]) for m in told(space)] == [("log", "space.paused")]


@pytest.mark.parametrize("stage", [Stage.BUILDING, Stage.APP_STARTING, Stage.SLEEPING, Stage.STOPPED])
def test_on_the_way_to_a_start_all_keep_waiting(space: Space, stage: Stage) -> None:
    event_id = join(space)
    lifecycle._move(space, stage)
    assert (state(space, event_id), told(space)) == ("pending", [])
