"""How long a start of a Space's replica takes: from those of the last day."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable

from hardware.models import Replica

#: Where none was measured.
UNKNOWN_S = 10.0
LAST = 5  # that count


def usual_s(space_ids: Iterable[int]) -> defaultdict[int, float]:
    """Seconds from an order until the replica could be called, by Space. One that was started anew in its
    place does not tell."""
    rows = Replica.objects.filter(
        space_id__in=space_ids, ready_at__isnull=False, restarts=0, shadow=False
    ).order_by("-pk")
    took: defaultdict[int, list[float]] = defaultdict(list)
    for space_id, created_at, ready_at in rows.values_list("space_id", "created_at", "ready_at"):
        assert ready_at is not None
        if len(took[space_id]) < LAST:
            took[space_id].append((ready_at - created_at).total_seconds())
    medians = {space_id: statistics.median(one) for space_id, one in took.items() if one}
    return defaultdict(lambda: UNKNOWN_S, medians)
