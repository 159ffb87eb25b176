"""The agent inside a node's Celery worker: begins when the worker is ready, ends with it."""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
from functools import partial
from typing import Any

from celery.signals import celeryd_after_setup, worker_ready, worker_shutting_down
from celery.worker.state import active_requests
from django.conf import settings
from django.db import connection

from hardware import nodes
from hardware.agent import Agent
from hardware.hop import here
from hardware.hop.here import Keeper
from hardware.runtimes import choose
from infra.notify import is_supervised
from infra.startup import retry_until_database_ready

logger = logging.getLogger(__name__)

#: Set by `manage.py node`: {"cpu": false, "t4": true}, tiers and whether they are simulated.
TIERS_VARIABLE = "SPACEPORT_NODE_TIERS"
#: Dispatchers use a thread each while their Space is busy.
LEAST_THREADS = 8


class BadWorker(RuntimeError):
    """The worker was started in a way that cannot work."""


def tiers() -> dict[str, bool]:
    """The tiers this worker was started for; empty for other workers."""
    found: dict[str, bool] = json.loads(os.environ.get(TIERS_VARIABLE) or "{}")
    return found


class NodeWorker:
    """A worker process as a node's: its agent and its slots, of which a dispatcher takes one while its Space
    is busy. In a process that is no node's worker it stays empty."""

    def __init__(self) -> None:
        self.agent: Agent | None = None
        self._keeper: Keeper | None = None
        self._slots = 0
        self._begins = threading.Lock()
        self._ending = threading.Event()

    def check_settings(self, instance: Any, **_: Any) -> None:
        """Refuse settings under which the agent's and the dispatchers' threads could not work."""
        if not tiers():
            return
        pool = instance.pool_cls if isinstance(instance.pool_cls, str) else instance.pool_cls.__module__
        if "thread" not in pool:
            raise BadWorker(f"A node's worker needs -P threads, not {pool}. Start it by `manage.py node`.")
        if instance.concurrency < LEAST_THREADS:
            raise BadWorker(
                f"A node's worker needs -c {LEAST_THREADS} or more. Start it by `manage.py node`."
            )
        self._slots = instance.concurrency

    def begin(self, **_: Any) -> None:
        """Start the agent, in a thread: it needs PostgreSQL, and the worker's other work goes on without."""
        if tiers() and self.agent is None:
            self._ending.clear()
            start = partial(retry_until_database_ready, self._start_agent, unless=self._ending.is_set)
            threading.Thread(target=start, name="agent", daemon=True).start()
            if not is_supervised():
                self._leave_in_order()

    def _leave_in_order(self) -> None:
        """From now on the first SIGTERM lets other nodes take over before the worker ends; a second one ends
        it at once."""
        ends = signal.getsignal(signal.SIGTERM)

        def leave(*_: object) -> None:
            signal.signal(signal.SIGTERM, ends)
            threading.Thread(target=self._hand_over, name="handover", daemon=True).start()

        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, leave)

    def _hand_over(self) -> None:
        try:
            if (agent := self.agent) is not None:
                agent.hand_over()
        except Exception:
            logger.exception("nothing was handed over")
        finally:
            connection.close()
            os.kill(os.getpid(), signal.SIGTERM)

    def _start_agent(self) -> None:
        runtime = choose(settings.SPACEPORT_RUNTIME)
        keeper = Keeper(runtime, _removed)
        try:
            made = Agent(settings.SPACEPORT_NODE, tiers(), runtime, slots=self.slots, removed=_removed)
        except nodes.Removed as error:
            logger.error("%s", error)
            _removed()
            return
        with self._begins:
            if not self._ending.is_set():
                self.agent, self._keeper = made, keeper
                keeper.start()
                made.start()

    def slots(self) -> tuple[int, int] | None:
        """(busy, all) of them; None where they are not known."""
        return (len(active_requests), self._slots) if self._slots else None

    def end(self, **_: Any) -> None:
        """Stop the agent; replicas go on."""
        self._ending.set()
        with self._begins:
            ending, self.agent = self.agent, None
            keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.stop()
        if ending is not None:
            ending.stop()


def _removed() -> None:
    if here.membership() is not None:
        here.dismissed()
        os._exit(0)  # it runs nothing, and no server takes its goodbye
    os.kill(os.getpid(), signal.SIGTERM)


#: This process's; Celery's signals and tasks find it here.
node_worker = NodeWorker()
celeryd_after_setup.connect(node_worker.check_settings, weak=False)
worker_ready.connect(node_worker.begin, weak=False)
worker_shutting_down.connect(node_worker.end, weak=False)
