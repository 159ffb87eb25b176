"""A node that is leaving: other nodes of its tiers start its replicas before it ends."""

from __future__ import annotations

import contextlib
import logging
import time
from typing import TYPE_CHECKING

from django.conf import settings

from hardware import nodes, replicas
from hardware.models import Node, Replica
from hardware.placement import taking
from infra.file_locks import try_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from django.db.models import QuerySet

logger = logging.getLogger(__name__)

HANDOVER_S = 180.0  # for starts elsewhere and for the last calls here
CHECK_EVERY_S = 0.5

State = Replica.State


def hand_over(node_id: int, is_over: Callable[[], bool]) -> None:
    """Order a replacement of each replica here that another node can run, and wait until it serves and the
    one here has ended. Gives up after `HANDOVER_S`, or once `is_over`."""
    Node.objects.filter(pk=node_id).update(leaving=True)
    moving = {row.pk: new.pk for row in _here(node_id) if (new := _replacement(row)) is not None}
    deadline = time.monotonic() + HANDOVER_S
    while moving and time.monotonic() < deadline and not is_over():
        time.sleep(CHECK_EVERY_S)
        moving = {old: new for old, new in moving.items() if not _has_moved(old, new)}
    if moving:
        logger.warning("%d replicas were not handed over in time", len(moving))


def _here(node_id: int) -> list[Replica]:
    return list(_to_serve().filter(node_id=node_id, state__in=nodes.ACTIVE))


def _to_serve() -> QuerySet[Replica]:
    return Replica.objects.filter(wanted=True, set_aside_at=None)


def _replacement(row: Replica) -> Replica | None:
    """A new replica like it; None where no node has room for it, or a newer one is on its way."""
    if taking.node_for(row) is None or _to_serve().filter(space_id=row.space_id, pk__gt=row.pk):
        return None
    return replicas.order(space_id=row.space_id, build_id=row.build_id, spec=replicas.spec_of(row.pk))


def _has_moved(old: int, new: int) -> bool:
    """Whether nothing is left to wait for. A replacement that fails is taken back: the old one may go on."""
    failed = Replica.objects.filter(pk=new, wanted=True, state=State.FAILED).first()
    if failed is not None:
        replicas.order_stop(failed)
        return True
    return not Replica.objects.filter(pk=old, state__in=nodes.ACTIVE).exists()


# --- the next worker of the same node ---------------------------------------------------------------


@contextlib.contextmanager
def waiting(name: str) -> Iterator[None]:
    """This worker waits to be the node's next one."""
    with _file(name).open("w") as mark:
        try_lock(mark)  # another may wait as well
        yield


def has_successor(name: str) -> bool:
    """Whether another worker of this node waits to go on with what runs here."""
    with _file(name).open("w") as mark:
        return not try_lock(mark)


def _file(name: str) -> Path:
    path: Path = settings.SPACEPORT_HOME / f"node-{name}.next"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
