"""The settings of the queues reach the web process's queues; their defaults are the queue's own."""

from __future__ import annotations

from typing import Any

from queueing.store.options import QueueOptions


async def test_the_web_processs_queues_have_the_options_that_are_set(settings: Any) -> None:
    from spaceport import asgi

    assert asgi.web.__wrapped__().gradio.options == QueueOptions()
    settings.SPACEPORT_REDIS_REPLICAS = 1
    settings.SPACEPORT_DISCONNECT_GRACE_S = 7.5
    settings.SPACEPORT_SPACE_LIMIT_BYTES = 1000
    options = QueueOptions(redis_replicas=1, disconnect_grace_s=7.5, space_bytes=1000)
    assert asgi.web.__wrapped__().gradio.options == options
