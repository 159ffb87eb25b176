"""Which node takes a replica: a pure decision, the same on every node that asks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A node that is up and serves the tier. `load` is the number of replicas it has now."""

    name: str
    simulated: bool
    load: int


def choose(candidates: Iterable[Candidate]) -> str | None:
    """The node's name, or None when there is none: real hardware before simulated, then the least loaded,
    then by name."""
    best = min(candidates, key=lambda node: (node.simulated, node.load, node.name), default=None)
    return best.name if best else None
