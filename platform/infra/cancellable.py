"""Connections to Redis whose users end when they are cancelled, on every Python we support."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import TimeoutError as RedisTimeoutError


class _Cancellable(AbstractConnection):  # type: ignore[misc]
    """Sends by no `asyncio.wait_for`. Before Python 3.12 that loses a cancellation which comes as the command
    has just been written (CPython issue 86296), and the cancelled task goes on for ever."""

    socket_timeout: float | None

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
