"""The Celery app: queues, routes, schedule.

Queues are the borders between kinds of work: `build` makes images, `control` takes short decisions,
`hw.<tier>` is served by the workers of that hardware tier, `hw.<tier>@<node>` by one node's worker.
A message is only ever a hint: rows and Redis are the truth, so it may be lost or come twice.
"""

import os
from typing import Any

from celery import Celery
from celery.signals import worker_ready
from kombu import Queue

from infra.notify import READY, notify

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "spaceport.settings")

#: Which tasks run every so many seconds. Those that are due together share a message: its way to the worker
#: takes longer than most of them.
SCHEDULE = {
    4: [
        "queueing.tasks.reap",
        "spaces.tasks.scale_replicas",
        "spaces.tasks.follow_spaces",
        "queueing.tasks.follow_tuning",
    ],
    10: ["spaces.tasks.put_to_sleep", "spaces.tasks.deliver_webhooks"],
    30: ["queueing.tasks.store_minutes", "queueing.tasks.follow_memory", "spaces.tasks.notice_full_queues"],
    3600: ["spaces.tasks.forget_old_rows", "queueing.tasks.forget_minutes"],
}
MOST_LATE_S = 600

app = Celery("spaceport", fixups=["spaceport.celery_connections:fixup"])
# The broker is CELERY_BROKER_URL there, read on first use: embedded servers have their address late.
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.update(
    broker_connection_retry_on_startup=True,
    # A wait for messages (BRPOP) lasts 2 s: kombu's 1 s wakes each worker, and the server, for nothing, and a
    # worker that ends waits for it. A connection that has gone silent is given up within 2 + 2 * 20 s.
    broker_transport_options={
        "visibility_timeout": 6 * 3600,
        "polling_interval": 2,
        "health_check_interval": 20,
    },
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
        f"every {every_s} s": {
            "task": "spaceport.tasks.run_due",
            "schedule": float(every_s),
            "kwargs": {"every_s": every_s},
            "options": {"expires": min(2 * every_s, MOST_LATE_S)},
        }
        for every_s in SCHEDULE
    },
)
app.autodiscover_tasks(["spaceport", "spaces", "queueing", "hardware"])


@worker_ready.connect
def notify_ready(**_: Any) -> None:
    """Notify that a new worker takes work: its predecessor may end."""
    notify(READY)
