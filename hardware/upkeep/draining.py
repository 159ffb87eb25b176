"""Draining a node, and removing it: an administrator's orders, which the scheduler carries out. A drained
node takes nothing new, even when its worker was started again. What cannot move stays, and is tried again."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from hardware import nodes
from hardware.models import Node, Replica
from hardware.upkeep import moving


class Refused(Exception):
    """The node cannot be removed; the message gives the reason and what to do."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far it is: `moved` of the `of` Spaces that ran there at its beginning are elsewhere, or ended.
    `stays`: why others cannot move now, by the id of the Space. `is_empty`: nothing runs there any more."""

    moved: int
    of: int
    stays: dict[int, str]
    is_empty: bool


def drain(node: Node) -> str:
    """Send nothing new there, and move what runs there. Again: try once more what failed elsewhere. Returns
    what happens, in a sentence, as the others do."""
    here = sorted({row.space_id for row in moving.here(node.pk)} | set(node.drain.get("spaces", ())))
    Node.objects.filter(pk=node.pk, draining_since=None).update(draining_since=timezone.now())
    Node.objects.filter(pk=node.pk).update(drain={"spaces": here})
    some = f"{len(here)} Space{'s move' if len(here) != 1 else ' moves'}"
    return f"{node} takes nothing new. {some} to other nodes."


def undrain(node: Node) -> str:
    """It takes replicas again. What has moved does not come back by itself."""
    Node.objects.filter(pk=node.pk).update(draining_since=None, drain={})
    return f"{node} takes replicas again."


def go_on() -> None:
    """One round for each node that is drained, and for each that joined and leaves: those cannot order."""
    leaves = Q(leaving=True, joined__isnull=False)
    for node in Node.objects.filter(Q(draining_since__isnull=False) | leaves):
        if nodes.is_up(node):
            failed = {int(space): why for space, why in node.drain.get("failed", {}).items()}
            found = moving.move_on(node.pk, failed)
            drain = {**node.drain, "failed": failed, "stays": found.stays}
            # Not over an order that came meanwhile.
            Node.objects.filter(pk=node.pk, drain=node.drain).update(drain=drain)


def progress(node: Node) -> Progress:
    """How far the drain of this node is."""
    spaces = set(node.drain.get("spaces", ()))
    there = {row.space_id for row in moving.here(node.pk)}
    stays = {int(space): why for space, why in node.drain.get("stays", {}).items() if int(space) in there}
    is_empty = not node.replicas.filter(state__in=nodes.ACTIVE).exists()
    return Progress(moved=len(spaces - there), of=len(spaces), stays=stays, is_empty=is_empty)


def describe(node: Node) -> str:
    """Its state in words: "up", "down", "leaving", "draining, 3 of 5 moved", "drained"."""
    state = "leaving" if node.leaving else "up"
    if not nodes.is_up(node):
        state = "down"
    if node.draining_since is None:
        return state
    now = progress(node)
    drain = "drained" if now.is_empty else f"draining, {now.moved} of {now.of} moved"
    return drain if state == "up" else f"{state}, {drain}"


@transaction.atomic
def remove(node: Node) -> str:
    """Forget a node that is down, or drained, and runs nothing. A worker that still runs ends.

    Raises:
        Refused
    """
    node = Node.objects.select_for_update().get(pk=node.pk)
    left = Replica.objects.filter(node=node, state__in=nodes.ACTIVE).count()
    if nodes.is_up(node) and node.draining_since is None:
        raise Refused(f"{node} is up and takes Spaces. Drain it first.")
    if left and nodes.is_up(node):
        raise Refused(f"{node} still runs {left} replica{'s'[: left != 1]}. Wait until it is empty.")
    if left:
        raise Refused(f"{node} is down, and what it ran is being freed. Try again in half a minute.")
    node.delete()
    return f"{node} is removed."


#: What an administrator may do with a node.
ACTIONS = {"drain": drain, "undrain": undrain, "remove": remove}
