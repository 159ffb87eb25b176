"""The scheduled round over Spaces with a range of replicas: how many each wants now. It only changes the
number; what follows from it is `spaces.scaling.follow`'s. It makes the same few reads for any number of
Spaces. Those that sleep or have no range are in none of them; of one that is idle only that is read."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import F, OuterRef, Subquery
from django.utils import timezone

from hardware import logs
from hardware.models import Replica
from infra.redis_clients import sync_redis
from queueing.stats.demand import Demand, demands
from queueing.store.work import keys_of_work
from spaces import publishing
from spaces.models import ReplicaRange, ScaleStep, Sdk, Space
from spaces.scaling import arrivals, beside, follow, memory, starts, words
from spaces.scaling.load import load_of
from spaces.scaling.memory import Memory
from spaces.scaling.wanted import Decision, Range, Replicas, decide

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from queueing.routes import Route

logger = logging.getLogger(__name__)

State = Replica.State
#: One that is late is expected in this part of the usual time.
LATE = 0.1
STEPS_KEPT = 50  # of each Space


def scale() -> None:
    """Decide for all of them."""
    _forget_need()
    if not (at_work := _at_work()):
        return
    found = ReplicaRange.objects.filter(space__in=at_work, space__replica__state=State.READY)
    rows = list(
        found.select_related("space__replica").defer(
            "space__card", "space__replica__spec", "space__replica__report"
        )
    )
    ids = [row.space_id for row in rows]
    asked, routes, known = demands(ids), publishing.published_of(ids), memory.of(ids)
    others, leads_s = beside.of_all(ids), starts.usual_s(ids)
    kept = {}
    for row in rows:
        space_id = row.space_id
        try:
            kept[space_id] = _scale(
                row, asked[space_id], routes[space_id], known[space_id], others[space_id], leads_s[space_id]
            )
        except Exception:  # the others must not wait for it
            logger.exception("space %s", space_id)
    memory.keep(kept)


def _forget_need() -> None:
    """One that was stopped begins with the least again."""
    least = ReplicaRange.objects.filter(space=OuterRef("pk")).values("least")[:1]
    stopped = Space.objects.filter(replica=None, replica_count__gt=F("replica_range__least"))
    stopped.update(replica_count=Subquery(least))


def _at_work() -> list[int]:
    """Spaces that run, with a range, and have events or more replicas than the least."""
    found = ReplicaRange.objects.filter(space__replica__state=State.READY).exclude(space__sdk=Sdk.STATIC)
    rows = list(found.values_list("space_id", "least", "space__replica_count"))
    pipe = sync_redis().pipeline(transaction=False)
    for space_id, _, _ in rows:
        pipe.exists(*keys_of_work(space_id))
    works = pipe.execute()
    return [
        space_id
        for (space_id, least, count), there in zip(rows, works, strict=True)
        if there or count > least
    ]


def _scale(
    row: ReplicaRange,
    demand: Demand,
    route: Route | None,
    before: Memory,
    others: Sequence[Replica],
    lead_s: float,
) -> Memory:
    space, lead = row.space, row.space.replica
    assert lead is not None
    if route is None or not demand.serving or demand.now <= before.at:
        return before
    came = arrivals.since(before.counted, demand.came)
    passed_s = demand.now - max(before.at, 60.0 * min(demand.came))
    a_second = arrivals.rates(before.a_second, came, passed_s)
    planned = beside.plan(space.replica_count, lead, others, timezone.now())
    decision = decide(
        load_of(demand, route.app, a_second),
        replicas_of(space.replica_count, planned, demand.serving, lead_s, timezone.now()),
        Range(least=row.least, most=row.most, goal_s=row.goal_s),
        now=demand.now,
        needed_at=before.needed_at,
        quiet_s=row.quiet_s,
    )
    if decision.wanted != space.replica_count:
        _step(row, decision)
    return Memory(
        at=demand.now,
        counted={minute: dict(counts) for minute, counts in demand.came.items()},
        a_second=a_second,
        needed_at=dict(decision.needed_at),
        wait_s=decision.wait_s,
    )


def replicas_of(
    ordered: int, planned: beside.Plan, serving: Sequence[str], lead_s: float, now: datetime
) -> Replicas:
    """Which serve and which come. One that found no room, or failed, is not to be followed by another one."""
    coming = [lead_s] * planned.missing
    stuck = False
    for one in planned.stay:
        if str(one.pk) in serving:
            continue
        if one.state == State.FAILED or (one.state == State.PENDING and one.waits):
            stuck = True
        else:
            left_s = lead_s - (now - one.created_at).total_seconds()
            coming.append(0.0 if one.state == State.READY else max(left_s, LATE * lead_s))
    there = 1 + len(planned.stay) + planned.missing
    return Replicas(
        ordered=ordered, serving=len(serving), coming=coming, lead_s=lead_s, room=there if stuck else None
    )


@transaction.atomic
def _step(row: ReplicaRange, decision: Decision) -> None:
    """Change the number, unless another scheduler or the owner did meanwhile."""
    before, after = row.space.replica_count, decision.wanted
    unchanged = Space.objects.filter(pk=row.space_id, replica_count=before, replica_range__pk=row.pk)
    within = unchanged.filter(replica_range__least__lte=after, replica_range__most__gte=after)
    if not within.update(replica_count=after):
        return
    change = (
        {"added": F("added") + after - before}
        if after > before
        else {"removed": F("removed") + before - after}
    )
    ReplicaRange.objects.filter(pk=row.pk).update(**change)
    reason = words.reason(row, before, after, decision.wait_s)
    ScaleStep.objects.create(space=row.space, before=before, after=after, reason=reason)
    kept = ScaleStep.objects.filter(space=row.space).order_by("-pk").values("pk")[:STEPS_KEPT]
    ScaleStep.objects.filter(space=row.space).exclude(pk__in=list(kept.values_list("pk", flat=True))).delete()
    transaction.on_commit(partial(logs.append, "run", row.space_id, [f"Spaceport: {reason}"]))
    transaction.on_commit(partial(follow.follow, row.space_id))
