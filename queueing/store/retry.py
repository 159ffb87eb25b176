"""Steps that must be done, though Redis may be away for a while."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from redis.exceptions import RedisError

T = TypeVar("T")

REDIS_BACK_S = 60.0  # how long a result waits for Redis
RETRY_DELAY_S = 0.2


async def retry_until_stored(step: Callable[[], Awaitable[T]]) -> T:
    """Do a step that may be done twice, again until Redis has taken it.

    Raises:
        RedisError, OSError: Redis stayed away for a minute.
    """
    deadline = time.monotonic() + REDIS_BACK_S
    while True:
        try:
            return await step()
        except (RedisError, OSError):
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(RETRY_DELAY_S)
