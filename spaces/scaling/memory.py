"""What a round saw of a Space, for the next one and for pages: in Redis, for an hour. Where it is lost, a
replica that is not needed stays a little longer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from infra.redis_clients import sync_redis
from queueing.store.keys import SpaceKeys

KEPT_S = 3600


class Memory(msgspec.Struct, frozen=True):
    """`at`: when, in Unix seconds, 0 for never; `counted`: events of the latest minutes, by function;
    `a_second`: function -> events a second, lately. `needed_at`, `wait_s`: of the last
    `spaces.scaling.wanted.Decision`."""

    at: float = 0.0
    counted: dict[int, dict[str, int]] = {}
    a_second: dict[str, float] = {}
    needed_at: dict[int, float] = {}
    wait_s: float | None = None


_decoder = msgspec.json.Decoder(Memory)


def of(space_ids: Iterable[int]) -> dict[int, Memory]:
    """What is remembered of each."""
    ids = list(space_ids)
    raws = sync_redis().mget([SpaceKeys(space_id).scaling for space_id in ids]) if ids else []
    return {
        space_id: _decoder.decode(raw) if raw else Memory() for space_id, raw in zip(ids, raws, strict=True)
    }


def keep(memories: Mapping[int, Memory]) -> None:
    """Remember these."""
    pipe = sync_redis().pipeline(transaction=False)
    for space_id, memory in memories.items():
        pipe.set(SpaceKeys(space_id).scaling, msgspec.json.encode(memory), ex=KEPT_S)
    pipe.execute()


def forget(space_id: int) -> None:
    """What was needed under another range is of no use."""
    sync_redis().delete(SpaceKeys(space_id).scaling)
