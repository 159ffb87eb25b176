"""Celery tasks for a node's agent."""

from __future__ import annotations

import time
from typing import Any

from celery import shared_task

from hardware.worker import node_worker

PASS_ON_AFTER_S, PASSED_ON_AT_MOST = 0.25, 40


@shared_task(name="hardware.tasks.reconcile", ignore_result=True)
def reconcile() -> None:
    """An order changed: the agent of this node reconciles at once."""
    if (agent := node_worker.agent) is not None:
        agent.hint()


@shared_task(name="hardware.tasks.restart", bind=True, ignore_result=True)
def restart(self: Any, replica_id: int, passed_on: int = 0) -> None:
    """Restart a replica in which a call does not end. A second worker of the node has no agent: it puts the
    order back for the one that has."""
    if (agent := node_worker.agent) is not None:
        agent.restart(replica_id)
    elif passed_on < PASSED_ON_AT_MOST:
        time.sleep(PASS_ON_AFTER_S)
        self.apply_async(
            kwargs={"replica_id": replica_id, "passed_on": passed_on + 1},
            queue=self.request.delivery_info["routing_key"],
            expires=60,
        )
