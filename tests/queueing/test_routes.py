"""Who sends visitors somewhere knows of a new route as soon as it is published."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from queueing import routes
from queueing.routes import Routes
from queueing.store import keys
from queueing.store.keys import SpaceKeys
from tests.events import a_route
from tests.waiting import eventually

if TYPE_CHECKING:
    from redis.asyncio import Redis

SPACE = 12


def route(stage: str) -> bytes:
    return routes.encode(a_route(SPACE, stage=stage))


async def test_a_route_that_is_published_anew_is_not_remembered(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "CACHE_S", 1e9)
    known = Routes(redis)
    for stage in ("PAUSED", "RUNNING", "SLEEPING"):
        await redis.set(keys.name("alice/a"), SPACE)
        await redis.set(SpaceKeys(SPACE).route, route(stage))
        await redis.publish(keys.PUBLISHED, SPACE)

        async def follows(stage: str = stage) -> bool:
            found = await known.by_name("alice", "a")
            return found is not None and found.stage == stage

        await eventually(follows, stage)
    await redis.delete(keys.name("alice/a"))
    await redis.publish(keys.PUBLISHED, SPACE)

    async def is_gone() -> bool:
        return await known.by_name("alice", "a") is None

    await eventually(is_gone, "its name leads nowhere")
