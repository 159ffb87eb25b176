"""How a replica that served ended: noted by its node's agent for the dispatcher whose calls ended with it,
which knows only that nobody answers. No Django. A note is a hint: without one the end has no known cause."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import msgspec
from redis.exceptions import RedisError

from hardware import redis_keys
from hardware.tiers import GIB

if TYPE_CHECKING:
    from redis import Redis
    from redis.asyncio import Redis as AsyncRedis

    from hardware.runtimes.base import Exit

KEPT_S = 60


class DeathNote(msgspec.Struct, frozen=True, kw_only=True):
    """Why it ended. Bytes are 0 where they are not known."""

    out_of_memory: bool
    limit_bytes: int = 0
    peak_bytes: int = 0

    @property
    def memory(self) -> str:
        """Its memory in words: "limit 4 GB, used 4.3 GB"."""
        used = f", used {gigabytes(self.peak_bytes)} GB" if self.peak_bytes else ""
        return f"limit {gigabytes(self.limit_bytes)} GB{used}"


def gigabytes(count: int) -> str:
    """With the significant digits: "4", "4.3", "0.13"."""
    return f"{count / GIB:.2g}" if count < GIB else f"{count / GIB:.1f}".removesuffix(".0")


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(DeathNote).decode


def write(redis: Redis, replica_id: int, end: Exit) -> None:
    """Note how it ended, until it serves again."""
    note = DeathNote(
        out_of_memory=end.out_of_memory,
        limit_bytes=end.memory_limit_bytes,
        peak_bytes=end.memory_peak_bytes,
    )
    with contextlib.suppress(RedisError):
        redis.set(redis_keys.death(replica_id), _encode(note), ex=KEPT_S)


def forget(redis: Redis, replica_id: int) -> None:
    """It serves again: drop the note, which does not concern its next end."""
    with contextlib.suppress(RedisError):
        redis.delete(redis_keys.death(replica_id))


async def read(redis: AsyncRedis, replica_id: int) -> DeathNote | None:
    """What is noted; None: nothing yet."""
    raw = await redis.get(redis_keys.death(replica_id))
    return _decode(raw) if raw is not None else None
