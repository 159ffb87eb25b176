"""The fixtures of the queue's own tests (`redis`, `queue`, `configure`, `join`) serve the invariants too."""

from tests.queueing.conftest import configure, join, queue, redis

__all__ = ["configure", "join", "queue", "redis"]
