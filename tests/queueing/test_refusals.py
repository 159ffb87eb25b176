"""A refusal is told such that its client shows it; a program with a key of its own gets no event for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from redis.asyncio import Redis

from queueing.delivery.positions import Positions
from queueing.delivery.streams import MessageStreams
from queueing.errors import Refused
from queueing.protocols.caller import Caller
from queueing.protocols.gradio import GradioDoor
from queueing.routes import Route
from queueing.store.keys import SpaceKeys

BODY = {"data": ["x"], "fn_index": 0, "session_hash": "somebody"}


@pytest.fixture
async def door(redis: Redis, configure: Callable[..., Awaitable[None]]) -> GradioDoor:
    async def wake(_: Route) -> None:
        raise AssertionError("nothing was accepted")

    await configure(refuse="The owner must fix it first.")
    return GradioDoor(redis, MessageStreams(redis), Positions(redis), wake)


async def test_a_client_of_gradio_is_told_by_an_event_that_failed(door: GradioDoor, route: Route) -> None:
    accepted = await door.join(route, BODY, Caller())
    ((_, told),) = await door.redis.xrange(SpaceKeys(route.space_id).messages("somebody"))
    assert (told[b"e"].decode(), told[b"f"]) == (accepted.event_id, b"1")
    assert b"The owner must fix it first" in told[b"d"]


async def test_a_program_with_a_key_is_refused_and_has_no_event(door: GradioDoor, route: Route) -> None:
    for _ in range(2):
        with pytest.raises(Refused, match="must fix it first"):
            await door.join(route, BODY, Caller(idempotency_key="k"))
    assert await door.redis.xlen(SpaceKeys(route.space_id).messages("somebody")) == 0
