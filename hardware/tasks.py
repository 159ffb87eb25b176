"""Celery's door to a node's agent."""

from __future__ import annotations

from celery import shared_task

from hardware import worker


@shared_task(name="hardware.tasks.reconcile", ignore_result=True)
def reconcile() -> None:
    """An order changed: the agent of this node looks at once."""
    if (agent := worker.agent()) is not None:
        agent.hint()
