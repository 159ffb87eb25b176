"""How long a Space has been idle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.redis_clients import sync_redis
from queueing.stats.figures import figures
from queueing.store import keys
from queueing.store.scripts import seconds

if TYPE_CHECKING:
    from spaces.models import Space


def idle_s(space: Space) -> float | None:
    """Seconds since its last visitor; None while its queue has work."""
    now = figures(space.pk)
    if now.pending or now.running:
        return None
    visited = sync_redis().zscore(keys.VISITED, space.pk) or space.last_modified.timestamp()
    return float(seconds(sync_redis().time()) - visited)
