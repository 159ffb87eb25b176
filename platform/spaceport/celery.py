"""The Celery app: queues, routes, schedule.

Queues are the borders between kinds of work: `build` makes images, `control` takes short decisions,
`hw.<tier>` is served by the workers of that hardware tier, `hw.<tier>@<node>` by one node's worker.
A message is only ever a hint: rows and Redis hold the truth, so it may be lost or come twice.
"""

import os
from typing import Any

from celery import Celery
from celery.signals import worker_ready
from kombu import Queue

from infra.notify import READY, notify

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "spaceport.settings")

app = Celery("spaceport", fixups=["spaceport.celery_connections:fixup"])
# The broker is CELERY_BROKER_URL there, read on first use: embedded servers have their address late.
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.update(
    broker_connection_retry_on_startup=True,
    broker_transport_options={"visibility_timeout": 6 * 3600},
    task_ignore_result=True,
    task_serializer="json",
    accept_content=["json"],
    task_acks_late=False,
    task_default_queue="control",
    task_create_missing_queues=True,
    task_queues=[Queue("control"), Queue("build")],
    task_routes={"spaces.tasks.build": {"queue": "build"}},
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
    worker_send_task_events=False,
    enable_utc=True,
    beat_schedule={
        "reap": {"task": "queueing.tasks.reap", "schedule": 4.0, "options": {"expires": 8}},
        "follow": {"task": "spaces.tasks.follow_spaces", "schedule": 5.0, "options": {"expires": 10}},
        "sleep": {"task": "spaces.tasks.put_to_sleep", "schedule": 10.0, "options": {"expires": 10}},
        "minutes": {
            "task": "queueing.tasks.store_minutes",
            "schedule": 30.0,
            "options": {"expires": 30},
        },
        "webhooks": {
            "task": "spaces.tasks.deliver_webhooks",
            "schedule": 10.0,
            "options": {"expires": 10},
        },
        "full": {"task": "spaces.tasks.notice_full_queues", "schedule": 30.0, "options": {"expires": 30}},
        "rows": {"task": "spaces.tasks.forget_old_rows", "schedule": 3600.0, "options": {"expires": 600}},
        "forget": {"task": "queueing.tasks.forget_minutes", "schedule": 3600.0, "options": {"expires": 600}},
    },
)
app.autodiscover_tasks(["spaces", "queueing", "hardware"])


@worker_ready.connect
def say_ready(**_: Any) -> None:
    """A new worker takes work: its predecessor may end."""
    notify(READY)
