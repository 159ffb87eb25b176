"""Whether Redis keeps the queue safely, for `/healthz` and for administrators' pages."""

from __future__ import annotations

from redis import RedisError

from infra.redis_clients import sync_redis

NOT_DURABLE = (
    "queue storage is not durable: Redis has no append-only file, and a restart of it loses every waiting "
    "visitor (set appendonly yes)"
)
EVICTS = (
    "queue storage is not safe: Redis throws keys away when its memory is full, waiting visitors among them "
    "(set maxmemory-policy noeviction)"
)


def warnings() -> list[str]:
    """Unsafe settings, a sentence each; none where the server hides them (managed ones forbid CONFIG)."""
    try:
        config = sync_redis().config_get("appendonly", "maxmemory", "maxmemory-policy")
    except RedisError:
        return []
    found = []
    if config.get("appendonly") == "no":
        found.append(NOT_DURABLE)
    if config.get("maxmemory", "0") != "0" and config.get("maxmemory-policy") != "noeviction":
        found.append(EVICTS)
    return found
