"""Live logs of builds and replicas: one capped Redis stream each, readable while they are written."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from django.conf import settings
from redis.asyncio import Redis

from hardware import redis_keys
from hardware.log_lines import KEPT_S, MAX_LINES, fields
from infra.cancellable import cancellable
from infra.redis_clients import sync_redis

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from hardware.redis_keys import LogKind

IDLE_S = 15


class Entry(NamedTuple):
    """One line: when it was written (Unix seconds), its text, its place, to go on from with `after`, and the
    replica that wrote it; 0: the platform."""

    at: float
    text: str
    id: str
    replica: int


def append(
    kind: LogKind, space_id: int, lines: Iterable[str], *, replica: int = 0, at: float | None = None
) -> None:
    """Add lines, written at `at` (Unix seconds; default now) by this replica."""
    name = redis_keys.log(kind, space_id)
    written = time.time() if at is None else at
    pipe = sync_redis().pipeline(transaction=False)
    for line in lines:
        pipe.xadd(name, fields(line, at=written, replica=replica), maxlen=MAX_LINES, approximate=False)
    pipe.expire(name, KEPT_S)
    pipe.execute()


def tail(kind: LogKind, space_id: int, n: int = 200) -> list[Entry]:
    """The last `n` lines, oldest first."""
    newest: Any = sync_redis().xrevrange(redis_keys.log(kind, space_id), count=n)
    return [_entry(*item) for item in reversed(newest)]


def since(kind: LogKind, space_id: int, after: str) -> list[Entry]:
    """The kept lines after the entry `after`, at most 500, oldest first."""
    found: Any = sync_redis().xrange(redis_keys.log(kind, space_id), min=f"({after}", count=500)
    return [_entry(*item) for item in found]


def last_at(kind: LogKind, space_id: int, replica: int) -> float:
    """When the newest kept line of this replica was written; 0 when there is none."""
    newest: Any = sync_redis().xrevrange(redis_keys.log(kind, space_id), count=MAX_LINES)
    for _, line in newest:
        if int(line.get(b"replica", 0)) == replica:
            return float(line[b"at"])
    return 0.0


def clear(kind: LogKind, space_id: int) -> None:
    """Forget every line. Followers go on with the next one."""
    sync_redis().xtrim(redis_keys.log(kind, space_id), maxlen=0, approximate=False)


def forget(space_id: int) -> None:
    """Remove both logs of a deleted Space."""
    sync_redis().delete(redis_keys.log("build", space_id), redis_keys.log("run", space_id))


async def follow(kind: LogKind, space_id: int, *, after: str = "0-0") -> AsyncIterator[Entry | None]:
    """Every kept line after the entry `after`, then each new one as it comes, without end. None when there
    was no news for 15 s: the moment to send a heartbeat."""
    name = redis_keys.log(kind, space_id)
    # The read below blocks longer than the client's usual timeout.
    async with cancellable(Redis.from_url(settings.REDIS_URL, socket_timeout=2 * IDLE_S)) as client:
        while True:
            found: Any = await client.xread({name: after}, count=500, block=IDLE_S * 1000)
            if not found:
                yield None
                continue
            for item in found[0][1]:
                entry = _entry(*item)
                after = entry.id
                yield entry


def _entry(item_id: bytes, line: dict[bytes, bytes]) -> Entry:
    text = line[b"text"].decode(errors="replace")
    return Entry(float(line[b"at"]), text, item_id.decode(), int(line.get(b"replica", 0)))
