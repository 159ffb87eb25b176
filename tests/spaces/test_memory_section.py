"""Calls that ran out of memory: what the owner sees of them, and the one click that lets fewer run."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict
from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from django.test import Client
from django.utils import timezone
from redis.asyncio import Redis

from accounts import tokens
from infra.redis_clients import sync_redis
from queueing import queue_settings
from queueing.models import QueueMinute, QueueSettings
from queueing.settings_in_code import settings_in_code
from queueing.stats import memory_ends, stepping
from queueing.stats.memory_ends import MemoryEnd, Ran
from queueing.stats.memory_steps import Step
from queueing.store.keys import SpaceKeys
from spaces.models import Space
from spaces.room import memory
from tests.people import People
from tests.spaces.pages import as_, folks, space_of, text_of

__all__ = ["folks"]
pytestmark = pytest.mark.django_db

GIB = 1024**3
TOLD = "Ran out of memory: 4.3 GB of 4 GB, while 4 calls of /slow ran at once."


def ran_out(space: Space, calls: int = 4) -> None:
    end = MemoryEnd(
        ran=(Ran(function="/slow", group="/slow", calls=calls),),
        limit_bytes=4 * GIB,
        peak_bytes=int(4.3 * GIB),
    )

    async def keep() -> None:
        async with Redis.from_url(django_settings.REDIS_URL) as redis:
            await memory_ends.keep(redis, space.pk, end)

    asyncio.run(keep())


def starts(space: Space) -> None:
    functions = [{"id": n, "api_name": name, "group": f"/{name}"} for n, name in enumerate(("slow", "quick"))]
    queue_settings.found_in_code(space.pk, settings_in_code({"functions": functions, "queue": {}}))


@pytest.fixture
def space(folks: People) -> Space:
    made = space_of(folks)
    starts(made)
    queue_settings.change(made.pk, {"groups": {"/slow": 4}})
    return made


def test_the_tab_tells_what_ran_and_lowers_it_with_one_click(folks: People, space: Space) -> None:
    alice = as_(folks.alice)
    assert 'id="memory"' not in text_of(alice.get("/lab/demo/settings"))
    ran_out(space)
    ran_out(space)
    page = text_of(alice.get("/lab/demo/settings"))
    assert TOLD in page
    assert "it happened 2 times in the last 24 hours" in page
    assert "Allow only 2 calls of /slow at once" in page
    assert alice.post("/lab/demo/settings/memory").status_code == 302
    limits = {group.group: group.limit for group in queue_settings.groups(space.pk)}
    assert limits == {"/slow": 2, "/quick": 1}
    page = text_of(alice.get("/lab/demo/settings"))
    assert TOLD in page
    assert "Allow only" not in page, "it is done"


def test_a_call_by_itself_has_larger_hardware_as_advice(folks: People, space: Space) -> None:
    ran_out(space, calls=1)
    page = text_of(as_(folks.alice).get("/lab/demo/settings"))
    assert "while 1 call of /slow ran." in page
    assert "Larger hardware has more memory." in page


def test_the_api_tells_the_same_and_takes_the_change(folks: People, space: Space) -> None:
    ran_out(space)
    token = tokens.issue(folks.alice, "test")[1]
    alice = Client(headers={"Authorization": f"Bearer {token}"})
    told = alice.get("/api/spaces/lab/demo/memory").json()
    (end,) = told["ends"]
    assert end["sentence"] == TOLD
    assert end["ran"] == [{"function": "/slow", "group": "/slow", "calls": 4, "inputs": 1}]
    assert (end["limit_bytes"], end["peak_bytes"]) == (4 * GIB, int(4.3 * GIB))
    assert told["lower"] == {"groups": {"/slow": 2}}
    put = alice.put("/api/spaces/lab/demo/queue", told["lower"], content_type="application/json")
    assert put.json()["groups"]["/slow"] == 2
    assert alice.get("/api/spaces/lab/demo/memory").json()["lower"] is None


def test_only_who_may_change_the_space_sees_it(folks: People, space: Space) -> None:
    ran_out(space)
    assert as_(folks.charlie).get("/api/spaces/lab/demo/memory").status_code in (401, 403)
    assert as_(folks.charlie).post("/lab/demo/settings/memory").status_code in (403, 404)
    assert {one.group: one.limit for one in queue_settings.groups(space.pk)}["/slow"] == 4


# --- by itself -------------------------------------------------------------------------------------


def in_force(space: Space) -> bytes | None:
    value: bytes | None = sync_redis().hget(SpaceKeys(space.pk).cfg, "max_running")
    return value


def test_after_three_ends_half_as_many_run_at_once_until_the_owner_chooses(
    folks: People, space: Space
) -> None:
    alice = as_(folks.alice)
    for _ in range(2):
        ran_out(space)
    stepping.follow()
    assert in_force(space) == b""
    ran_out(space)
    stepping.follow()
    stepping.follow()  # the same ends do not count twice
    assert in_force(space) == b"2"
    assert queue_settings.effective(space.pk).max_running is None, "what the owner chose stays"
    page = text_of(alice.get("/lab/demo/settings"))
    assert "at most <strong>2</strong> run at once" in page
    starts(space)
    assert in_force(space) == b"2"
    alice.post("/lab/demo/settings/memory")
    assert in_force(space) == b""
    assert 'id="stepped"' not in text_of(alice.get("/lab/demo/settings"))


def test_what_held_is_raised_again_and_another_setting_does_not_end_it(folks: People, space: Space) -> None:
    queue_settings.step(space.pk, asdict(Step(limit=2, since=time.time() - 1200)), before={})
    queue_settings.change(space.pk, {"max_size": 5})
    assert in_force(space) == b"2"
    now = timezone.now().replace(second=0, microsecond=0)
    QueueMinute.objects.bulk_create(
        QueueMinute(space=space, minute=now - timedelta(minutes=n), running=2) for n in range(2, 8)
    )
    stepping.follow()
    assert in_force(space) == b"3"
    assert (step := memory.stepped(space)) is not None
    assert step.good == 2


def test_it_is_not_lowered_where_the_owner_does_not_want_it(space: Space) -> None:
    queue_settings.change(space.pk, {"step_down": False})
    for _ in range(3):
        ran_out(space)
    stepping.follow()
    assert in_force(space) == b""


def test_a_change_that_came_between_wins(space: Space) -> None:
    queue_settings.step(space.pk, asdict(Step(limit=2, since=1.0)), before={"limit": 9})
    assert memory.stepped(space) is None


def test_the_most_at_once_is_that_of_all_functions_within_the_total(space: Space) -> None:
    def most() -> int:
        return queue_settings.most_at_once(QueueSettings.objects.get(space=space))

    assert most() == 4 + 1
    queue_settings.change(space.pk, {"max_running": 3})
    assert most() == 3
    queue_settings.change(space.pk, {"max_running": None, "groups": {"/slow": None}})
    assert most() == 40
