"""The agent inside a node's Celery worker: begins when the worker is ready, ends with it."""

from __future__ import annotations

import json
import os
import threading
from functools import partial
from typing import Any

from celery.signals import celeryd_after_setup, worker_ready, worker_shutting_down
from django.conf import settings

from hardware import worker_slots
from hardware.agent import Agent
from hardware.runtimes import choose
from infra.startup import retry_until_database_ready

#: Set by `manage.py node`: {"cpu": false, "t4": true}, tiers and whether they are simulated.
TIERS_VARIABLE = "SPACEPORT_NODE_TIERS"
#: Dispatchers hold a thread each while their Space is busy.
LEAST_THREADS = 8

_agent: Agent | None = None
_begins = threading.Lock()
_ending = threading.Event()


class BadWorker(RuntimeError):
    """The worker was started in a way that cannot work."""


def agent() -> Agent | None:
    """The agent of this process; None outside a node's worker."""
    return _agent


def tiers() -> dict[str, bool]:
    """The tiers this worker was started for; empty for other workers."""
    found: dict[str, bool] = json.loads(os.environ.get(TIERS_VARIABLE) or "{}")
    return found


@celeryd_after_setup.connect
def check_settings(instance: Any, **_: Any) -> None:
    """Refuse settings under which the agent's and the dispatchers' threads could not work."""
    if not tiers():
        return
    pool = instance.pool_cls if isinstance(instance.pool_cls, str) else instance.pool_cls.__module__
    if "thread" not in pool:
        raise BadWorker(f"A node's worker needs -P threads, not {pool}. Start it by `manage.py node`.")
    if instance.concurrency < LEAST_THREADS:
        raise BadWorker(f"A node's worker needs -c {LEAST_THREADS} or more. Start it by `manage.py node`.")
    worker_slots.note(instance.concurrency)


@worker_ready.connect
def begin(**_: Any) -> None:
    """Start the agent, in a thread: it needs PostgreSQL, and the worker's other work goes on without."""
    if tiers() and _agent is None:
        _ending.clear()
        start = partial(retry_until_database_ready, _start_agent, unless=_ending.is_set)
        threading.Thread(target=start, name="agent", daemon=True).start()


def _start_agent() -> None:
    global _agent
    made = Agent(settings.SPACEPORT_NODE, tiers(), choose(settings.SPACEPORT_RUNTIME))
    with _begins:
        if not _ending.is_set():
            _agent = made
            made.start()


@worker_shutting_down.connect
def end(**_: Any) -> None:
    """Stop the agent; replicas go on."""
    global _agent
    _ending.set()
    with _begins:
        ending, _agent = _agent, None
    if ending is not None:
        ending.stop()
