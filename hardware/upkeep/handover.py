"""A node that is leaving: other nodes of its tiers start its replicas before it ends."""

from __future__ import annotations

import contextlib
import logging
import time
from typing import TYPE_CHECKING

from django.conf import settings

from hardware import nodes
from hardware.hop import here
from hardware.models import Node, Replica
from hardware.upkeep.moving import move_on
from infra.file_locks import try_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

logger = logging.getLogger(__name__)

HANDOVER_S = 180.0  # for starts elsewhere and for the last calls here
CHECK_EVERY_S = 0.5


def hand_over(node_id: int, is_over: Callable[[], bool]) -> None:
    """Have other nodes replace what runs here, where they can, and wait until that serves and what ran here
    has ended. Gives up after `HANDOVER_S`, or once `is_over`."""
    Node.objects.filter(pk=node_id).update(leaving=True)
    deadline, moving, failed = time.monotonic() + HANDOVER_S, set[int](), dict[int, str]()
    joined = here.membership() is not None
    ours = _serving(node_id) if joined else set[int]()
    while not is_over():
        if joined:
            moving = _left_by_the_platform(node_id, ours)
        else:
            moving |= move_on(node_id, failed).moving
            left = Replica.objects.filter(pk__in=moving, state__in=nodes.ACTIVE).exclude(space_id__in=failed)
            moving = set(left.values_list("pk", flat=True))
        if not moving:
            return
        if time.monotonic() > deadline:
            logger.warning("%d replicas were not handed over in time", len(moving))
            return
        time.sleep(CHECK_EVERY_S)


def _serving(node_id: int) -> set[int]:
    rows = Replica.objects.filter(node_id=node_id, wanted=True, set_aside_at=None, state__in=nodes.ACTIVE)
    return set(rows.values_list("pk", flat=True))


def _left_by_the_platform(node_id: int, ours: set[int]) -> set[int]:
    """Which of these still run here and can move. A node that joined orders nothing: the scheduler does it
    (`draining.go_on`), and notes what stays."""
    stays = map(int, Node.objects.get(pk=node_id).drain.get("stays", {}))
    left = Replica.objects.filter(pk__in=ours, state__in=nodes.ACTIVE).exclude(space_id__in=stays)
    return set(left.values_list("pk", flat=True))


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
