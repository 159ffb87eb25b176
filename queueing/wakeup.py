"""Waking a dispatcher: a Celery message to the worker beside the replica. Only ever a hint."""

from __future__ import annotations

import asyncio
import time

from celery import current_app

from queueing.routes import Route

WAKE_AT_MOST_EVERY_S = 1.0  # a second hint for the same Space within this time is not sent


def wake_dispatcher(route: Route) -> None:
    """Wake the worker beside each replica to serve its queue; a sleeping Space is woken first."""
    places = [place for place in route.places if place.celery_queue]
    for place in places:
        _send("queueing.tasks.drain", route.space_id, place.celery_queue, replica_id=place.replica_id)
    if not places and route.stage == "SLEEPING":
        wake_space(route.space_id)


def wake_space(space_id: int) -> None:
    """Have a sleeping Space started."""
    _send("spaces.tasks.wake", space_id, "control")


def _send(task: str, space_id: int, queue: str, **more: int) -> None:
    current_app.send_task(task, kwargs={"space_id": space_id, **more}, queue=queue, expires=60)


class Wakeup:
    """The same from an event loop, at most once a second for a Space."""

    def __init__(self) -> None:
        self._sent: dict[int, float] = {}

    async def wake(self, route: Route) -> None:
        """Send the hint, unless one has just been sent."""
        now = time.monotonic()
        if now - self._sent.get(route.space_id, -WAKE_AT_MOST_EVERY_S) < WAKE_AT_MOST_EVERY_S:
            return
        self._sent[route.space_id] = now
        await asyncio.to_thread(wake_dispatcher, route)
