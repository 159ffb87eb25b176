"""Which worker builds which row. A worker holds a build by a lease that it renews; a build whose lease ran
out is open again, so another worker takes over when the first never returns. The clock is PostgreSQL's."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db.models import DateTimeField, F
from django.db.models.functions import Coalesce, Now

from spaces.models import Build

if TYPE_CHECKING:
    from collections.abc import Iterable

LEASE = timedelta(seconds=30)
#: The lease of a build that a version without leases began.
LEASE_BEFORE = timedelta(minutes=11)
#: A build that killed this many workers is not tried again.
MOST_ATTEMPTS = 3

Status = Build.Status
_ENDS = Coalesce("leased_until", F("started_at") + LEASE_BEFORE, output_field=DateTimeField())


def claim(worker: str) -> Build | None:
    """Take a build that no worker has; None when there is none. The owner with the fewest running builds is
    first, then the oldest; of one Space only one is built at a time."""
    # One query: workers poll, and mostly there is none.
    builds = Build.objects.annotate(ends=_ENDS, now=Now()).defer("log").select_related("space")
    rows = builds.filter(status__in=[Status.QUEUED, Status.RUNNING]).order_by("pk")
    leased = [row for row in rows if row.status == Status.RUNNING and row.ends >= row.now]
    spaces = {row.space_id for row in leased}
    owners = Counter(row.space.owner_id for row in leased)
    free = [row for row in rows if row.space_id not in spaces]
    for row in sorted(free, key=lambda row: owners[row.space.owner_id]):
        # Compare and set: another worker may be as quick.
        same = Build.objects.filter(pk=row.pk, status=row.status, attempts=row.attempts)
        mine = same.update(
            status=Status.RUNNING,
            started_at=Now(),
            worker=worker,
            leased_until=Now() + LEASE,
            attempts=F("attempts") + 1,
        )
        if mine:
            return Build.objects.select_related("space__owner").get(pk=row.pk)
    return None


def renew(worker: str, build_ids: Iterable[int]) -> set[int]:
    """Renew the leases of these builds; those that this worker no longer holds."""
    ids = set(build_ids)
    if not ids:
        return set()
    leased = Build.objects.filter(pk__in=ids, worker=worker, status=Status.RUNNING)
    leased.update(leased_until=Now() + LEASE)
    return ids - set(leased.values_list("pk", flat=True))


def put_back(row: Build) -> None:
    """It had no result, and no fault of its own: it is taken again once the lease has run out."""
    leased = Build.objects.filter(pk=row.pk, worker=row.worker, attempts=row.attempts, status=Status.RUNNING)
    leased.update(attempts=0, worker="", leased_until=Now() + LEASE)


def cancel(space_id: int, build_id: int) -> bool:
    """End a build that waits or runs; its worker notices within seconds. False: it has ended."""
    there = Build.objects.filter(pk=build_id, space_id=space_id, status__in=[Status.QUEUED, Status.RUNNING])
    return bool(
        there.update(
            status=Status.CANCELLED, reason="It was cancelled.", finished_at=Now(), leased_until=None
        )
    )


def call_off(space_id: int, reason: str) -> None:
    """Builds of this Space that have not begun never will."""
    Build.objects.filter(space_id=space_id, status=Status.QUEUED).update(
        status=Status.CANCELLED, reason=reason, finished_at=Now()
    )


def finish(row: Build) -> bool:
    """Write the end of a build. False: its worker has lost the lease, or its Space is gone, so its result
    belongs to nobody."""
    leased = Build.objects.filter(pk=row.pk, worker=row.worker, attempts=row.attempts, status=Status.RUNNING)
    return bool(
        leased.update(
            status=row.status,
            reason=row.reason,
            artifact=row.artifact,
            log=row.log,
            finished_at=Now(),
            leased_until=None,
        )
    )
