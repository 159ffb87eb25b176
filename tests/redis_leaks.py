"""Keys in Redis that should not be there: of a kind that nobody declared, or meant to expire but without a
time to live. A test that leaves one fails."""

from __future__ import annotations

import re
from typing import Any

from hardware import redis_keys
from infra.redis_keys import TABLE
from queueing.store import keys

_ = keys, redis_keys  # they declare

KINDS = [(re.compile(re.escape(key.pattern("\0")).replace("\0", ".*")), key.life) for key in TABLE]
#: How ours begin; Celery, Channels and Django's cache have others.
PREFIXES = tuple({key.pattern().split(":")[0] + ":" for key in TABLE})


def leaked(client: Any) -> list[str]:
    """The leaked keys; they are deleted, so that only one test fails for each."""
    found = []
    for raw in client.scan_iter(count=1000):
        name = raw.decode(errors="replace")
        if not name.startswith(PREFIXES):
            continue
        lives = {life for pattern, life in KINDS if pattern.fullmatch(name)}
        if not lives or (lives == {"expires"} and client.ttl(raw) == -1):
            client.delete(raw)
            found.append(name)
    return sorted(found)
