"""Whether what Redis holds is safe there: said by `/healthz`, and to administrators on their pages."""

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
    """What is not safe, a sentence each; none where the server does not say (managed ones forbid CONFIG)."""
    try:
        told = sync_redis().config_get("appendonly", "maxmemory", "maxmemory-policy")
    except RedisError:
        return []
    found = []
    if told.get("appendonly") == "no":
        found.append(NOT_DURABLE)
    if told.get("maxmemory", "0") != "0" and told.get("maxmemory-policy") != "noeviction":
        found.append(EVICTS)
    return found
