"""News of a replica that was lost on its way, with a worker or a server that died, is caught up with."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import pytest
from redis.asyncio import Redis

from accounts.models import Owner
from hardware.models import Replica
from queueing.connections import sync_redis
from queueing.events import Join, new_event_id
from queueing.queue import Queue
from spaces import following, lifecycle, publishing
from spaces.models import Space, Stage

State = Replica.State
NOWHERE = "127.0.0.1:9"


@pytest.fixture
def space(transactional_db: None) -> Iterator[Space]:
    owner = Owner.objects.create(name="alice")
    space = Space.objects.create(owner=owner, name="follows", subdomain="alice-follows", card={})
    space.replica = Replica.objects.create(
        space=space, tier="cpu", spec={}, state=State.READY, address=NOWHERE
    )
    space.stage = Stage.RUNNING
    space.save()
    publishing.publish(space)
    yield space
    publishing.withdraw(space)


def followed(space: Space) -> tuple[str, str]:
    """Look once; the Space's stage, and where visitors are sent."""
    following.follow()
    space.refresh_from_db()
    route = publishing.known(space.pk)
    assert route is not None
    assert route.stage == space.stage
    return space.stage, route.address


def becomes(space: Space, **change: str) -> None:
    Replica.objects.filter(space=space).update(**change)


def test_what_is_told_already_is_left_alone(space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []
    monkeypatch.setattr(lifecycle, "replica_changed", told.append)
    assert followed(space) == (Stage.RUNNING, NOWHERE)
    assert told == []


def test_an_app_that_died_is_no_longer_visited(space: Space) -> None:
    becomes(space, state=State.STARTING, address="")
    assert followed(space) == (Stage.APP_STARTING, "")


def test_an_app_that_was_started_again_is_visited_again(space: Space) -> None:
    becomes(space, state=State.STARTING, address="")
    followed(space)
    becomes(space, state=State.READY, address="127.0.0.1:19")
    assert followed(space) == (Stage.RUNNING, "127.0.0.1:19")


def test_one_that_died_and_came_back_between_two_looks_is_visited_where_it_is(space: Space) -> None:
    becomes(space, address="127.0.0.1:19")
    assert followed(space) == (Stage.RUNNING, "127.0.0.1:19")


def test_a_stage_that_did_not_get_to_the_gateway_is_told_again(space: Space) -> None:
    becomes(space, state=State.FAILED, address="")
    Space.objects.filter(pk=space.pk).update(stage=Stage.RUNTIME_ERROR)
    assert followed(space) == (Stage.RUNTIME_ERROR, "")


async def _waits(space: Space) -> None:
    async with Redis.from_url(os.environ["REDIS_URL"]) as client:
        join = Join(
            event_id=new_event_id("c"), fn="0", channel="c", body={"data": []}, request={}, visitor="v"
        )
        await Queue(client, space.pk).join(join)


def test_who_waited_for_an_app_that_failed_is_told_so(space: Space) -> None:
    """Its stage was told everywhere, but whoever did that died before the last step."""
    asyncio.run(_waits(space))
    becomes(space, state=State.FAILED, address="")
    Space.objects.filter(pk=space.pk).update(stage=Stage.RUNTIME_ERROR)
    space.refresh_from_db()
    publishing.publish(space)
    assert followed(space) == (Stage.RUNTIME_ERROR, "")
    (key,) = sync_redis().scan_iter(f"sp:{{{space.pk}}}:msgs:c")
    ((_, fields),) = sync_redis().xrange(key)
    assert b"stopped with an error" in fields[b"d"]
