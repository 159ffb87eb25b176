"""How a web process hears about events: one pub/sub connection for all of its followers. Pub/sub is a
hint that carries the message; the stream is the record, and is read again on any gap."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.asyncio.client import PubSub

logger = logging.getLogger(__name__)

RESYNC_S = 20.0
_RESYNC = b""  # a followers' inbox entry that says: read the stream again


@dataclass(frozen=True, slots=True)
class Delivered:
    """One message: its number in the stream, its JSON, and whether it ended its event. `left` is how many
    events of the channel were open then (-1 when read back from the stream)."""

    number: int
    payload: bytes
    final: bool
    left: int


@dataclass(eq=False)
class _Follower:
    inbox: asyncio.Queue[bytes] = field(default_factory=asyncio.Queue)


class Delivery:
    """All followers of one process."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._followers: dict[str, set[_Follower]] = {}
        self._pubsub: PubSub | None = None
        self._listener: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()

    async def follow(self, key: str, *, after: int = 0) -> AsyncIterator[Delivered]:
        """Messages of one stream after number `after`, in order, none twice, without end."""
        follower = _Follower()
        await self._add(key, follower)
        try:
            follower.inbox.put_nowait(_RESYNC)
            while True:
                raw = await self._next(follower)
                if raw is not _RESYNC:
                    entry_id, final, left, payload = raw.split(b" ", 3)
                    number = _number(entry_id)
                    if number <= after:
                        continue
                    if number == after + 1:
                        after += 1
                        yield Delivered(after, payload, final == b"1", int(left))
                        continue
                for message in await self._read(key, after):
                    after = message.number
                    yield message
        finally:
            await self._remove(key, follower)

    @staticmethod
    async def _next(follower: _Follower) -> bytes:
        try:
            async with asyncio.timeout(RESYNC_S):
                return await follower.inbox.get()
        except TimeoutError:
            return _RESYNC

    async def _read(self, key: str, after: int) -> list[Delivered]:
        entries = await self._redis.xrange(key, min=f"(0-{after}", max="+")
        return [
            Delivered(_number(entry_id), fields[b"d"], fields[b"f"] == b"1", -1)
            for entry_id, fields in entries
        ]

    async def _add(self, key: str, follower: _Follower) -> None:
        async with self._lock:
            first = key not in self._followers
            self._followers.setdefault(key, set()).add(follower)
            if self._pubsub is None:
                self._pubsub = self._redis.pubsub(ignore_subscribe_messages=True)
            if first:
                await self._pubsub.subscribe(key)
            if self._listener is None or self._listener.done():
                self._listener = asyncio.create_task(self._listen(), name="delivery")

    async def _remove(self, key: str, follower: _Follower) -> None:
        followers = self._followers.get(key)
        if followers is None:
            return
        followers.discard(follower)
        if not followers:
            del self._followers[key]
            if self._pubsub is not None:
                with contextlib.suppress(Exception):
                    await self._pubsub.unsubscribe(key)

    async def _listen(self) -> None:
        """Hand announced messages to their followers; after a broken connection all read again."""
        while self._followers:
            assert self._pubsub is not None
            try:
                message = await self._pubsub.get_message(timeout=30)
            except (RedisError, OSError) as error:
                logger.warning("delivery: lost Redis (%s), reading again", error)
                await asyncio.sleep(0.2)
                for followers in self._followers.values():
                    for follower in followers:
                        follower.inbox.put_nowait(_RESYNC)
                continue
            if message is not None and message["type"] == "message":
                for follower in tuple(self._followers.get(message["channel"].decode(), ())):
                    follower.inbox.put_nowait(message["data"])

    async def close(self) -> None:
        """Stop listening and give the connection back."""
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.gather(self._listener, return_exceptions=True)
        if self._pubsub is not None:
            await self._pubsub.aclose()


def _number(entry_id: bytes) -> int:
    """Entries of one stream are 0-1, 0-2, 0-3…: a gap shows."""
    return int(entry_id.partition(b"-")[2])
