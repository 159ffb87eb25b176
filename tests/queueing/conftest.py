"""Fixtures: `redis` (a clean database of its own kind of work), `queue` (one Space's queue), `join`."""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
import redis as redis_clients
from redis.asyncio import Redis

from queueing.events import Accepted, Join, new_event_id
from queueing.routes import Route
from queueing.store.keys import SpaceKeys
from queueing.store.options import DEFAULTS, QueueOptions
from queueing.store.queue import Queue
from tests.redis_leaks import leaked

_spaces = itertools.count(1)


@pytest.fixture
async def redis() -> AsyncIterator[Redis]:
    """The test server, empty; afterwards nothing has leaked (`tests.redis_leaks`)."""
    client = Redis.from_url(os.environ["REDIS_URL"])
    await client.flushdb()
    yield client
    with redis_clients.Redis.from_url(os.environ["REDIS_URL"]) as blocking:
        found = leaked(blocking)
    await client.flushdb()
    await client.aclose()
    assert found == []


@pytest.fixture
def queue(redis: Redis) -> Queue:
    """The queue of a Space nobody used before."""
    return Queue(redis, next(_spaces))


@pytest.fixture
def configure(queue: Queue) -> Callable[..., Awaitable[None]]:
    """Set queue settings by name."""

    async def set_settings(**settings: Any) -> None:
        await queue.redis.hset(queue.keys.cfg, mapping={k: str(v) for k, v in settings.items()})

    return set_settings


@pytest.fixture
def join(queue: Queue) -> Callable[..., Awaitable[Accepted]]:
    """Join with sensible values for what a test does not care about."""

    async def do(channel: str = "session", *, options: QueueOptions = DEFAULTS, **values: Any) -> Accepted:
        fields: dict[str, Any] = {
            "event_id": new_event_id(channel, values.get("fn", "0")),
            "fn": "0",
            "channel": channel,
            "body": {"data": [1], "fn_index": 0},
            "request": {},
            "origin": "page",
        }
        return await replace(queue, options=options).join(Join(**{**fields, **values}))

    return do


@pytest.fixture
def route(queue: Queue) -> Route:
    """Where that Space runs: nowhere."""
    return Route(
        space_id=queue.space_id, owner="a", name="b", owner_id=1, subdomain="a-b", sdk="gradio",
        private=False, stage="RUNTIME_ERROR",
    )  # fmt: skip


def keys_of(queue: Queue) -> SpaceKeys:
    return queue.keys
