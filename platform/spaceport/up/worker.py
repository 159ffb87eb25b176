"""`python -m spaceport.up.worker NAME QUEUE…`: a worker of these queues, as `up` starts it."""

from __future__ import annotations

import sys

from infra import celery_worker
from spaceport.celery import app

#: Builds run in threads of their own (`spaces.building.builders`).
THREADS = 16

if __name__ == "__main__":
    sys.exit(celery_worker.run(app, name=sys.argv[1], queues=sys.argv[2:], threads=THREADS))
