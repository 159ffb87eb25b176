"""The Celery task that the schedule sends."""

from __future__ import annotations

import logging

from celery import current_app, shared_task
from django.db import close_old_connections

from spaceport.celery import SCHEDULE

logger = logging.getLogger(__name__)


@shared_task(name="spaceport.tasks.run_due", ignore_result=True)
def run_due(every_s: int) -> None:
    """Run the scheduled tasks that are due so often, one after the other."""
    for name in SCHEDULE.get(every_s, ()):
        try:
            current_app.tasks[name]()
        except Exception:  # the next one is another matter
            logger.exception("%s", name)
            close_old_connections()
