"""Machines' clocks may be an hour off: only the Redis server's clock decides anything."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

import queueing
from queueing.delivery.positions import Positions
from queueing.delivery.waiters import Waiter
from queueing.dispatch import reaper
from queueing.events import Accepted
from queueing.messages import completed
from queueing.store.options import DEFAULTS
from queueing.store.queue import Queue
from queueing.store.scripts import FOLDER, seconds
from tests.waiting import eventually

Joins = Callable[..., Awaitable[Accepted]]

HOUR_S = 3600.0
GRACE_S = DEFAULTS.disconnect_grace_s


@pytest.fixture(params=[-HOUR_S, HOUR_S], ids=["an hour behind", "an hour ahead"])
def skewed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine's clock is an hour off; the server's is not."""
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + request.param)


@pytest.mark.usefixtures("skewed")
async def test_every_time_in_the_queue_is_the_servers(queue: Queue, join: Joins) -> None:
    began = seconds(await queue.redis.time())
    event_id = (await join(present=True)).event_id
    await queue.acquire("d")
    (call,), _ = await queue.claim("d")
    assert await queue.finish(
        call.events[0], call, "completed", completed(event_id, {}), free=False, took_s=0
    )
    ended = seconds(await queue.redis.time())
    fields = await queue.state(event_id, "joined", "started", "ended")
    places = await queue.redis.zrange(queue.keys.calls("main"), 0, -1, withscores=True)
    seen = await queue.redis.zrange(queue.keys.seen, 0, -1, withscores=True)
    times = [*map(float, fields.values()), *(at for _, at in places), *(at for _, at in seen)]
    assert len(times) == 5
    assert all(began <= at <= ended for at in times), (began, times, ended)


@pytest.mark.usefixtures("skewed")
async def test_nobody_who_is_here_loses_the_place_to_a_wrong_clock(queue: Queue, join: Joins) -> None:
    event_id = (await join("here", present=True)).event_id
    positions = Positions(queue.redis)
    told: list[int] = []
    async with positions.waiting(Waiter(queue.space_id, "here", lambda place: told.append(place.position))):
        await eventually(lambda: told, "the place is told")
        assert await reaper.cancel_abandoned(queue.redis, [queue.space_id], grace_s=GRACE_S) == 0
    assert await queue.pending_ids() == [event_id]


@pytest.mark.usefixtures("skewed")
async def test_who_stays_away_for_a_minute_of_the_servers_time_gives_up_the_place(
    queue: Queue, join: Joins
) -> None:
    await join("gone", present=True)
    long_ago = seconds(await queue.redis.time()) - GRACE_S - 1
    await queue.redis.zadd(queue.keys.seen, {"gone": long_ago})
    assert await reaper.cancel_abandoned(queue.redis, [queue.space_id], grace_s=GRACE_S) == 1
    assert await queue.pending_ids() == []


def test_no_module_of_the_queue_compares_with_this_machines_clock() -> None:
    folder = Path(queueing.__file__).parent
    users = [
        path.name
        for path in folder.rglob("*.py")
        if re.search(r"\btime\.time\(|datetime\.now", path.read_text())
    ]
    assert users == []


def test_no_script_is_told_the_time() -> None:
    for path in FOLDER.glob("*.lua"):
        for line in re.findall(r"^-- ARGV:.*$", path.read_text(), re.MULTILINE):
            assert "now" not in line.split(), path.name
