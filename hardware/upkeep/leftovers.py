"""What deleted Spaces and volumes leave on nodes: images, code and data. Each node removes its own, as soon
as nothing uses it any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hardware.models import Deleted

if TYPE_CHECKING:
    from hardware.runtimes.base import Runtime

CHECK_EVERY_S = 15.0


def clear(node: str, runtime: Runtime) -> None:
    """Remove what this node has of those that were deleted. What is still in use waits for the next check."""
    for gone in Deleted.objects.exclude(cleared_by__contains=[node]):
        if _forget(gone, runtime):
            gone.cleared_by.append(node)
            gone.save(update_fields=["cleared_by"])


def _forget(gone: Deleted, runtime: Runtime) -> bool:
    if gone.space_id is not None:
        return runtime.forget_space(gone.space_id)
    return gone.volume_id is None or runtime.forget_volume(gone.volume_id)
