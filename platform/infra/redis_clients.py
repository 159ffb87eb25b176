"""This process's connections to Redis: a plain one for pages, tasks and commands, and one per event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import cache
from weakref import WeakKeyDictionary

import redis
from django.conf import settings
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import TimeoutError as RedisTimeoutError

_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, Redis] = WeakKeyDictionary()


class _Cancellable(AbstractConnection):
    """Sends by no `asyncio.wait_for`. Before Python 3.12 that loses a cancellation which comes as the command
    has just been written (CPython issue 86296), and the cancelled task goes on for ever."""

    async def send_packed_command(
        self, command: bytes | str | Iterable[bytes], check_health: bool = True
    ) -> None:
        timeout_s, self.socket_timeout = self.socket_timeout, None
        try:
            async with asyncio.timeout(timeout_s):
                await super().send_packed_command(command, check_health)
        except TimeoutError:
            raise RedisTimeoutError("Timeout writing to socket") from None
        finally:
            self.socket_timeout = timeout_s


def cancellable(client: Redis) -> Redis:
    """The client, whose users end when they are cancelled: one that is made by `from_url` does not."""
    pool = client.connection_pool
    pool.connection_class = type("Connection", (_Cancellable, pool.connection_class), {})
    return client


@cache
def sync_redis() -> redis.Redis:
    """The blocking client; safe from any thread."""
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=10)


def async_redis() -> Redis:
    """The running event loop's client. Whatever a web process asks may be asked twice (a join knows its event
    again), so nobody hears of a restart that took less than a second."""
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
