"""A Celery worker without Celery's command line, whose imports are a tenth of what the start of one takes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from celery.utils.log import mlevel
from celery.utils.nodenames import default_nodename, host_format


def run(app: Any, *, name: str, queues: Iterable[str], threads: int, log_level: str = "WARNING") -> int:
    """Work until SIGTERM, as `celery worker --pool threads` does; answers the exit status. Workers exchange
    no messages: they know each other only by rows and leases."""
    worker = app.Worker(
        hostname=host_format(default_nodename(name)),
        pool_cls="threads",
        concurrency=threads,
        queues=list(queues),
        loglevel=mlevel(log_level),
        quiet=True,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    worker.start()
    return int(worker.exitcode or 0)
