"""This process's connections to Redis: a plain one for pages, tasks and commands, and one per event loop."""

from __future__ import annotations

import asyncio
from functools import cache
from weakref import WeakKeyDictionary

import redis
from django.conf import settings
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff

from infra.cancellable import cancellable

_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, Redis] = WeakKeyDictionary()


@cache
def sync_redis() -> redis.Redis:
    """The blocking client; safe from any thread."""
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=10)


def async_redis() -> Redis:
    """The running event loop's client. All commands of a web process are safe to repeat (a join recognizes
    its event), so a restart of less than a second goes unnoticed."""
    loop = asyncio.get_running_loop()
    if loop not in _loops:
        pool = BlockingConnectionPool.from_url(
            settings.REDIS_URL,
            max_connections=64,
            timeout=10,
            socket_timeout=10,
            socket_connect_timeout=5,
            retry=Retry(ExponentialBackoff(cap=0.4, base=0.02), 5),
        )
        _loops[loop] = cancellable(Redis(connection_pool=pool))
    return _loops[loop]
