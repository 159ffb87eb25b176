"""Steps that must be done, though Redis may be away for a while."""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import TypeVar

from redis.exceptions import RedisError

T = TypeVar("T")

REDIS_BACK_S = 60.0  # how long a result waits for Redis
RETRY_DELAY_S = 0.2

logger = logging.getLogger(__name__)


async def retry_while_away(
    step: Callable[[], Awaitable[T]], *, delays_s: Iterable[float], give_up_s: float = math.inf
) -> T:
    """Do a step that is safe to repeat, and retry while Redis is away; it may raise a group. The delays
    between the tries come from `delays_s`, which has no end.

    Raises:
        RedisError, OSError: Redis stayed away for `give_up_s`.
    """
    deadline = time.monotonic() + give_up_s
    delays = iter(delays_s)
    while True:
        try:
            result = await step()
        except* (RedisError, OSError) as away:
            error = away.exceptions[0]
        else:
            return result
        if time.monotonic() > deadline:
            raise error
        logger.info("Redis is away (%s)", error)
        await asyncio.sleep(next(delays))


def growing(least_s: float, most_s: float) -> Iterator[float]:
    """Delays that double from the least to the most, each 50 to 150 % of its value, so that waiting clients
    do not all return at once."""
    delay_s = least_s
    while True:
        yield delay_s * (0.5 + random.random())  # noqa: S311
        delay_s = min(delay_s * 2, most_s)


async def retry_until_stored(step: Callable[[], Awaitable[T]]) -> T:
    """Do a step that is safe to repeat, until Redis has stored it.

    Raises:
        RedisError, OSError: Redis stayed away for a minute.
    """
    return await retry_while_away(step, delays_s=itertools.repeat(RETRY_DELAY_S), give_up_s=REDIS_BACK_S)
