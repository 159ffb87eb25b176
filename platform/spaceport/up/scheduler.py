"""`python -m spaceport.up.scheduler FILE`: Celery's beat without the code of its tasks. It sends messages by
name, so it needs none of Django's apps and a third of the memory. FILE keeps when each was sent last."""

from __future__ import annotations

import logging
import signal
import sys

from celery.beat import Service

from spaceport.celery import app


def main() -> None:
    """Send what is due, until SIGTERM."""
    logging.basicConfig(level=logging.WARNING)
    service = Service(app, schedule_filename=sys.argv[1])

    def end(*_: object) -> None:
        service.sync()
        raise SystemExit

    for sig in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sig, end)
    service.start()


if __name__ == "__main__":
    main()
