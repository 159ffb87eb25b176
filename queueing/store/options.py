"""What an installation sets for the queues of all its Spaces."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class QueueOptions:
    """By default as the settings are by default.

    Args:
        redis_replicas: that must have an event before it is acknowledged.
        disconnect_grace_s: how long a waiting visitor may be disconnected and keep the place, in seconds.
        space_bytes: what all calls of one Space keep in Redis before further ones are refused.
    """

    redis_replicas: int = 0
    disconnect_grace_s: float = 60
    space_bytes: int = 1024**3


DEFAULTS = QueueOptions()
