"""Nodes that are lost: their replicas are freed for other nodes. The scheduler checks this, not the nodes: a
tier may have only one."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from django.utils import timezone

from hardware import nodes, redis_keys, replicas
from hardware.models import Node, Replica
from hardware.tiers import queue_of
from infra.redis_clients import sync_redis

if TYPE_CHECKING:
    from collections.abc import Iterable

#: A node is lost when checks this far apart found it down. After a pause of the checks themselves (PostgreSQL
#: was away, the machine slept) they begin anew: then nodes could not report either.
CONFIRMED_AFTER_S = 4.0
REMEMBERED_S = 15


def release_lost() -> None:
    """Free what runs on lost nodes, have it started elsewhere, and drop the hints that nobody there reads."""
    lost = _confirmed([node for node in Node.objects.all() if not nodes.is_up(node)])
    for node in lost:
        for row in node.replicas.filter(state__in=nodes.ACTIVE).defer("spec", "report"):
            _release(row)
    queues = [f"{queue_of(tier)}@{node.name}" for node in lost for tier in node.tiers]
    if queues:
        sync_redis().delete(*queues)


def _confirmed(down: Iterable[Node]) -> list[Node]:
    """Those of the nodes that an earlier check found down as well, and that have not reported in between."""
    client, now = sync_redis(), time.time()
    seen: dict[str, float] = json.loads(client.get(redis_keys.down()) or b"{}")
    marks = {f"{node.pk} {node.heartbeat_at.isoformat()}": node for node in down}
    if marks:
        since = {mark: seen.get(mark, now) for mark in marks}
        client.set(redis_keys.down(), json.dumps(since), ex=REMEMBERED_S)
    return [node for mark, node in marks.items() if now - seen.get(mark, now) >= CONFIRMED_AFTER_S]


def _release(row: Replica) -> None:
    """Should the node come back, its agent takes it again, or stops what it still runs of it."""
    there = Replica.objects.filter(pk=row.pk, node=row.node, state__in=nodes.ACTIVE)
    if not row.wanted or row.set_aside_at is not None:
        there.update(wanted=False, state=Replica.State.STOPPED, address="", ended_at=timezone.now())
        return
    elsewhere = nodes.absence(row.tier, row.volumes) or "It is started on another one."
    freed = there.update(
        node=None,
        state=Replica.State.PENDING,
        address="",
        runtime_id="",
        devices=[],
        reason=f"Its node was lost. {elsewhere}",
    )
    if freed:
        replicas.hint(Replica.objects.get(pk=row.pk))
        replicas.publish_change(row.pk)
