"""How many of this worker's slots are taken. A dispatcher takes one while its Space is busy."""

from __future__ import annotations

from celery.worker.state import active_requests

_slots = 0  # 0 outside a node's worker


def note(slots: int) -> None:
    """This process is a node's worker with so many slots."""
    global _slots
    _slots = slots


def usage() -> tuple[int, int] | None:
    """(busy, all) of them; None outside a node's worker."""
    return (len(active_requests), _slots) if _slots else None
