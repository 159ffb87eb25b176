"""How many demo pages one visitor may open: each gives a token, and with it a session past a closed API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from queueing.identity import visitor
from queueing.store import keys
from queueing.store.scripts import Script

if TYPE_CHECKING:
    from redis.asyncio import Redis

_page_load = Script("page_load")


async def retry_after_s(redis: Redis, per_minute: int, *, user_id: int | None, address: str) -> float:
    """Count one load of this account, else of this address's neighbourhood; 0 where it may be served, else
    seconds until it may. A burst may have as many as a minute. `per_minute` 0 is no limit."""
    if not per_minute:
        return 0.0
    bucket = keys.loads(visitor(user_id=user_id, address=address))
    wait_ms: int = await _page_load(redis, loads=bucket, most=per_minute, per_minute=per_minute)
    return wait_ms / 1000
