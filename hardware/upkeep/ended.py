"""Replicas that ended while no agent watched: with the platform, or with its machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hardware.models import Replica

if TYPE_CHECKING:
    from hardware.runtimes.base import Runtime


def forget_addresses(node: str, runtime: Runtime) -> list[int]:
    """Have those of this node started again, and clear their addresses: by the time visitors come, something
    else may listen there. Returns the ids of their Spaces."""
    there = {running.runtime_id for running in runtime.running().values()}
    ready = Replica.objects.filter(node__name=node, wanted=True, state=Replica.State.READY)
    ended = [row for row in ready.only("pk", "space_id", "runtime_id") if row.runtime_id not in there]
    for row in ended:
        runtime.stop(row.runtime_id)
    ready.filter(pk__in=[row.pk for row in ended]).update(
        state=Replica.State.STARTING, address="", reason="It is started again."
    )
    return [row.space_id for row in ended]
