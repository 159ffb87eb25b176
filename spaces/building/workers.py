"""Whether the workers behind the pages run: when control last worked, and which build workers there are."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from hardware import redis_keys
from infra.redis_clients import sync_redis

SCHEDULE_S = 4.0  # `follow_spaces` is due this often
KEPT_S = 24 * 3600
BUILDER_GONE_S = 30.0
QUEUES = ("control", "build")


@dataclass(frozen=True, kw_only=True)
class Workers:
    """The workers' report. `control_lag_s`: how late scheduled work is, None where it never ran; `waiting`:
    messages by queue."""

    control_lag_s: float | None
    builders: int
    waiting: dict[str, int]


def control_ran() -> None:
    """Scheduled work begins now, in a thread of a control worker."""
    sync_redis().set(redis_keys.control_ran(), f"{time.time():.1f}", ex=KEPT_S)


def announce_builder(name: str) -> None:
    """This build worker takes builds."""
    pipe, now = sync_redis().pipeline(transaction=False), time.time()
    pipe.zadd(redis_keys.builders(), {name: now})
    pipe.zremrangebyscore(redis_keys.builders(), "-inf", now - BUILDER_GONE_S)
    pipe.expire(redis_keys.builders(), int(BUILDER_GONE_S))
    pipe.execute()


def read() -> Workers:
    """How they are now, in one round trip."""
    pipe, now = sync_redis().pipeline(transaction=False), time.time()
    pipe.get(redis_keys.control_ran())
    pipe.zcount(redis_keys.builders(), now - BUILDER_GONE_S, "+inf")
    for queue in QUEUES:
        pipe.llen(queue)
    answers: list[Any] = pipe.execute()
    ran, builders, *waiting = answers
    return Workers(
        control_lag_s=None if ran is None else max(0.0, now - float(ran) - SCHEDULE_S),
        builders=builders,
        waiting=dict(zip(QUEUES, waiting, strict=True)),
    )
