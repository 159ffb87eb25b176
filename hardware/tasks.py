"""Celery's door to a node's agent."""

from __future__ import annotations

from celery import shared_task

from hardware import worker


@shared_task(name="hardware.tasks.reconcile", ignore_result=True)
def reconcile() -> None:
    """An order changed: the agent of this node looks at once."""
    if (agent := worker.agent()) is not None:
        agent.hint()


@shared_task(name="hardware.tasks.restart", ignore_result=True)
def restart(replica_id: int) -> None:
    """Something in this replica does not end: stop it and start it again."""
    if (agent := worker.agent()) is not None:
        agent.restart(replica_id)
