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

from infra.cancellable import cancellable
from queueing.events import Accepted
from queueing.routes import Route
from queueing.store.keys import SpaceKeys
from queueing.store.options import DEFAULTS, QueueOptions
from queueing.store.queue import Queue
from tests.events import a_join, a_route
from tests.redis_leaks import leaked

_spaces = itertools.count(1)


@pytest.fixture
async def redis() -> AsyncIterator[Redis]:
    """The test server, empty; afterwards nothing has leaked (`tests.redis_leaks`)."""
    client = cancellable(Redis.from_url(os.environ["REDIS_URL"]))
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
        return await replace(queue, options=options).join(a_join(channel, **values))

    return do


@pytest.fixture
def route(queue: Queue) -> Route:
    """Where that Space runs: nowhere."""
    return a_route(queue.space_id, stage="RUNTIME_ERROR")


def keys_of(queue: Queue) -> SpaceKeys:
    return queue.keys
