"""Moving what runs on a node to other nodes of its tiers: before its worker ends (`handover`), and where an
administrator drains it (`draining`). A replacement starts beside the old replica, which serves until then."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from django.db.models import F

from hardware import nodes, replicas
from hardware.models import Replica
from hardware.placement import taking
from hardware.tiers import TIERS

if TYPE_CHECKING:
    from django.db.models import QuerySet

State = Replica.State


class Round(NamedTuple):
    """What a round found on a node: replicas that others replace, and by Space why one stays."""

    moving: set[int]
    stays: dict[int, str]


def move_on(node_id: int, failed: dict[int, str]) -> Round:
    """Order a replacement of each replica here that another node can run. One that fails is taken back, noted
    in `failed` by its Space, and not tried again."""
    found = Round(set(), {})
    for row in here(node_id):
        if row.beside is not None:
            _move_further(row, found)
            continue
        newer = _to_serve().filter(space_id=row.space_id, pk__gt=row.pk, beside=None).order_by("-pk").first()
        if newer is not None and newer.state == State.FAILED:
            replicas.order_stop(newer)
            replicas.publish_change(row.pk)  # its Space runs
            failed[row.space_id] = f"It failed on another node: {''.join(newer.reason.splitlines()[:1])}"
            newer = None
        if newer is None and row.space_id not in failed and taking.node_for(row) is not None:
            newer = _replace(row)
        if newer is not None:
            found.moving.add(row.pk)
        else:
            found.stays[row.space_id] = failed.get(row.space_id) or _why(row)
    return found


def here(node_id: int) -> list[Replica]:
    """The replicas of this node that serve, or will."""
    rows = _to_serve().filter(node_id=node_id, state__in=nodes.ACTIVE)
    leads_first = F("beside").asc(nulls_first=True)
    return list(rows.select_related("space").defer("spec", "report").order_by(leads_first, "pk"))


def _to_serve() -> QuerySet[Replica]:
    return Replica.objects.filter(wanted=True, set_aside_at=None)


def _move_further(row: Replica, found: Round) -> None:
    """One that serves beside another: its Space orders it anew, once it has ended or the other has moved."""
    if row.beside in found.moving:
        found.moving.add(row.pk)
    elif taking.node_for(row) is not None:
        replicas.set_aside(row.pk)
        replicas.publish_change(row.pk)
        found.moving.add(row.pk)
    else:
        found.stays.setdefault(row.space_id, _why(row))


def _replace(row: Replica) -> Replica:
    spec = replicas.spec_of(row.pk)
    newer = replicas.order(space_id=row.space_id, build_id=row.build_id, spec=spec)
    if row.ready_at is None:  # nobody is served by it yet
        replicas.order_stop(row)
    return newer


def _why(row: Replica) -> str:
    title = TIERS[row.tier].title if row.tier in TIERS else row.tier
    if nodes.up(row.tier, row.volumes):
        return f"No other node with {title} hardware has room for it."
    if nodes.up(row.tier):
        return "A volume of it is kept on this machine."
    return f"No other node with {title} hardware is up."
