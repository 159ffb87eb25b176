"""When a Space ran out of memory while it worked, and what ran then: kept for its owner. No Django."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hardware.upkeep.death_notes import gigabytes
from queueing.store import keys
from queueing.store.keys import SpaceKeys
from queueing.store.scripts import seconds

if TYPE_CHECKING:
    from redis import Redis
    from redis.asyncio import Redis as AsyncRedis

KEPT, KEPT_S = 50, 7 * 24 * 3600
RECENT_S = 3600
MOST_FUNCTIONS = 20  # of one end


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """A function that ran then: `calls` at once; `inputs` of its largest batch."""

    function: str
    group: str
    calls: int
    inputs: int = 1


class MemoryEnd(msgspec.Struct, frozen=True, kw_only=True):
    """One end. `at` in Unix seconds by Redis; bytes are 0 where they are not known."""

    at: float = 0.0
    ran: tuple[Ran, ...]
    limit_bytes: int
    peak_bytes: int = 0

    @property
    def calls(self) -> int:
        """All calls that ran at once."""
        return sum(one.calls for one in self.ran)

    @property
    def sentence(self) -> str:
        """What happened: "Ran out of memory: 4.3 GB of 4 GB, while 3 calls of /predict ran at once."."""
        used = f"{gigabytes(self.peak_bytes)} GB" if self.peak_bytes else "all"
        what = " and ".join(_what(one) for one in self.ran)
        together = " at once" if self.calls > 1 else ""
        return f"Ran out of memory: {used} of {gigabytes(self.limit_bytes)} GB, while {what} ran{together}."


def _what(one: Ran) -> str:
    calls = "1 call" if one.calls == 1 else f"{one.calls} calls"
    return f"{calls} of {one.function}" + (f" with {one.inputs} inputs" if one.inputs > 1 else "")


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(MemoryEnd).decode


async def keep(redis: AsyncRedis, space_id: int, end: MemoryEnd) -> None:
    """Note that it ended now."""
    now = seconds(await redis.time())
    raw = _encode(msgspec.structs.replace(end, at=now, ran=end.ran[:MOST_FUNCTIONS]))
    key = SpaceKeys(space_id).memory_ends
    pipe = redis.pipeline(transaction=False)
    pipe.lpush(key, raw)
    pipe.ltrim(key, 0, KEPT - 1)
    pipe.expire(key, KEPT_S)
    pipe.zadd(keys.out_of_memory(), {str(space_id): now})
    pipe.zremrangebyscore(keys.out_of_memory(), 0, now - RECENT_S)
    pipe.expire(keys.out_of_memory(), RECENT_S)
    await pipe.execute()


def load(redis: Redis, space_id: int, *, within_s: float) -> list[MemoryEnd]:
    """Those of the last `within_s` seconds, the newest first."""
    pipe = redis.pipeline(transaction=False)
    pipe.time()
    pipe.lrange(SpaceKeys(space_id).memory_ends, 0, -1)
    now, raws = pipe.execute()
    return [end for raw in raws for end in (_decode(raw),) if seconds(now) - end.at <= within_s]


def recent(redis: Redis, *, within_s: float) -> set[int]:
    """The Spaces that ran out of memory within the last `within_s` seconds, an hour at most."""
    since = seconds(redis.time()) - within_s
    return {int(raw) for raw in redis.zrangebyscore(keys.out_of_memory(), since, "+inf")}
