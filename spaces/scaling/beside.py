"""The replicas beside the one that leads a Space: which serve, which end, and how many are missing."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from django.utils import timezone

from hardware.models import Replica
from hardware.tiers import queue_of
from queueing.routes import Place

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from spaces.models import Space

State = Replica.State

#: One that failed is ordered anew after this long.
AGAIN_AFTER = timedelta(minutes=5)
_ORDER = (State.READY, State.STARTING, State.PENDING, State.FAILED)


class Plan(NamedTuple):
    """Those that stay, best first, those that are to end, and how many are to be ordered."""

    stay: list[Replica]
    end: list[Replica]
    missing: int


def of(space: Space) -> list[Replica]:
    """All that serve beside its lead, or were ordered for that, without those set aside."""
    return of_all([space.pk])[space.pk]


def of_all(space_ids: Iterable[int]) -> defaultdict[int, list[Replica]]:
    """The same of several Spaces."""
    rows = Replica.objects.filter(
        space_id__in=space_ids, wanted=True, set_aside_at=None, beside__isnull=False, shadow=False
    ).select_related("node")
    found: defaultdict[int, list[Replica]] = defaultdict(list)
    for row in rows.defer("spec", "report").order_by("pk"):
        found[row.space_id].append(row)
    return found


def plan(wanted: int, lead: Replica, others: Sequence[Replica], now: datetime) -> Plan:
    """What is to become of those beside this lead, where `wanted` replicas are to run with it."""
    alike = [one for one in others if is_alike(one, lead) and not _is_to_try_again(one, now)]
    stay = sorted(alike, key=lambda one: (_ORDER.index(State(one.state)), one.pk))[: wanted - 1]
    end = [one for one in others if one not in stay]
    # While it has code in it that no build has made yet, another one would not be the same.
    missing = 0 if lead.reloaded_to else wanted - 1 - len(stay)
    return Plan(stay, end, missing)


def is_alike(one: Replica, lead: Replica) -> bool:
    """Whether it runs what this lead runs, and for its Space's visitors."""
    return one.beside == lead.pk and one.build_id == lead.build_id and not lead.reloaded_to


def _is_to_try_again(one: Replica, now: datetime) -> bool:
    return one.state == State.FAILED and (one.ended_at is None or now - one.ended_at > AGAIN_AFTER)


def places(space: Space, lead: Replica | None) -> tuple[tuple[Place, ...], tuple[int, ...]]:
    """Where else visitors are sent, and which replicas are to serve too and cannot be called now."""
    if lead is None or space.replica_count == 1:
        return (), ()
    return places_of(plan(space.replica_count, lead, of(space), timezone.now()))


def places_of(planned: Plan) -> tuple[tuple[Place, ...], tuple[int, ...]]:
    """The same of a plan."""
    ready = [one for one in planned.stay if one.state == State.READY]
    coming = [one.pk for one in planned.stay if one.state in (State.STARTING, State.PENDING)]
    return tuple(map(place_of, ready)), tuple(coming)


def place_of(replica: Replica) -> Place:
    """Where it is, and where its node's worker is told of work for it."""
    queue = f"{queue_of(replica.tier)}@{replica.node.name}" if replica.node else ""
    return Place(replica.pk, replica.address, queue)
