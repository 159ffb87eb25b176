"""How each web process is doing, for `/metrics`: of several behind one port, a scrape reaches any."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from typing import Any

import msgspec
from django.conf import settings
from redis import RedisError

from hardware import redis_keys
from infra import shutdown
from infra.redis_clients import async_redis, sync_redis
from spaceport.web import monitor

logger = logging.getLogger(__name__)

EVERY_S = 10.0
GONE_S = 30.0

_name = f"{os.getpid()}"


class Report(msgspec.Struct, frozen=True):
    """One web process. `lag_s` as `monitor.lag_s`; `sockets`: open ones by kind; `at`: Unix time."""

    lag_s: float
    sockets: dict[str, int]
    at: float


def call_this(name: str) -> None:
    """What this process is called, on this machine."""
    global _name
    _name = name


def mine() -> tuple[str, Report]:
    """This process's name among those of all machines, and its report of now."""
    kinds = {kind: monitor.sockets[kind] for kind in ("websocket", "sse")}
    return f"{_name}@{settings.SPACEPORT_NODE}", Report(monitor.lag_s(), kinds, time.time())


async def announce_forever() -> None:
    """Report until the process is told to end: its successor has its name."""
    while not shutdown.begun():
        name, report = mine()
        try:
            pipe = async_redis().pipeline(transaction=False)
            pipe.hset(redis_keys.web_processes(), name, msgspec.json.encode(report))
            pipe.expire(redis_keys.web_processes(), int(GONE_S))
            await pipe.execute()
        except (RedisError, OSError) as error:
            logger.info("not reported: %s", error)
        await asyncio.sleep(EVERY_S)


def read() -> dict[str, Report]:
    """Those of all machines that have reported lately."""
    found: dict[str, Report] = {}
    stored: dict[bytes, bytes] = _stored()
    for name, raw in stored.items():
        report = msgspec.json.decode(raw, type=Report)
        if time.time() - report.at < GONE_S:
            found[name.decode()] = report
        else:
            sync_redis().hdel(redis_keys.web_processes(), name)
    return found


def _stored() -> Any:
    return sync_redis().hgetall(redis_keys.web_processes())
