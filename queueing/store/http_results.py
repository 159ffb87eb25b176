"""What a container answered to a queued HTTP request: kept beside the queue, under a name of its own, until
its visitor has it. The event's final message carries only the name: answers are too large for messages."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import msgspec

from queueing.store.keys import SpaceKeys
from queueing.store.scripts import Script

if TYPE_CHECKING:
    from redis.asyncio import Redis

BODY_LIMIT = 10 * 1024 * 1024  # of a request: it waits in Redis
ANSWER_LIMIT = 32 * 1024 * 1024
ANSWER_TTL_S = 3600  # for asynchronous requests, which fetch it later


class Answer(msgspec.Struct, frozen=True):
    """Status, headers as they came (a name may stand there twice), and the bytes of the body."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


_keep = Script("keep_answer")
_take = Script("take_answer")
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Answer).decode


class ResponseStore:
    """The kept answers of one Space."""

    def __init__(self, redis: Redis, space_id: int) -> None:
        self._redis = redis
        self._keys = SpaceKeys(space_id)

    async def keep(self, name: str, answer: Answer) -> None:
        """Keep it for an hour."""
        await _keep(self._redis, **self._of(name), content=_encode(answer), ttl=ANSWER_TTL_S)

    async def load(self, name: str) -> Answer | None:
        """The answer of this name; None when its time is over."""
        raw = await self._redis.get(self._keys.answer(name))
        return None if raw is None else _decode(raw)

    async def take(self, name: str) -> Answer | None:
        """As `read`, for its only reader: it is not kept any longer."""
        raw = await _take(self._redis, **self._of(name))
        return None if raw is None else _decode(raw)

    def _of(self, name: str) -> dict[str, str]:
        return {"answer": self._keys.answer(name), **self._keys.byte_keys}


def new_name(event_id: str) -> str:
    """A new one for each call: one that was taken for dead cannot change what a later one answered."""
    return f"{event_id}-{secrets.token_hex(4)}"
