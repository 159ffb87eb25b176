"""Waking a Space: its dispatcher where it runs, the Space itself where it sleeps."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from celery import current_app

from queueing.wakeup import wake_dispatcher_from_loop
from spaces.models import Stage

if TYPE_CHECKING:
    from queueing.routes import Route, Routes

START_WAIT_S = 30.0  # how long a program's request waits for a Space that is starting


async def wake(route: Route) -> None:
    """Make somebody serve this Space's queue."""
    if route.address:
        await wake_dispatcher_from_loop(route)
    elif route.stage == Stage.SLEEPING:
        await _start(route)


async def running(routes: Routes, route: Route) -> Route:
    """The route once it has an address: a sleeping Space is woken, one that starts is waited for."""
    if route.stage == Stage.SLEEPING:
        await _start(route)
    waits = {Stage.SLEEPING, Stage.APP_STARTING, Stage.RUNNING, Stage.STOPPED}
    deadline = time.monotonic() + START_WAIT_S
    while not route.address and route.stage in waits and time.monotonic() < deadline:
        await asyncio.sleep(0.5)
        route = await routes.by_id(route.space_id, fresh=True) or route
    return route


async def _start(route: Route) -> None:
    await asyncio.to_thread(
        current_app.send_task, "spaces.tasks.wake", kwargs={"space_id": route.space_id}, queue="control"
    )
