"""Who builds which row. A worker holds a build by a lease that it renews; a build whose lease ran out is open
again, so one whose worker never returns is taken up by another. The clock is PostgreSQL's."""

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
#: How long a build has that a version without leases began.
LEASE_BEFORE = timedelta(minutes=11)
#: A build that took this many workers with it is not tried again.
MOST_ATTEMPTS = 3

Status = Build.Status
_ENDS = Coalesce("leased_until", F("started_at") + LEASE_BEFORE, output_field=DateTimeField())


def claim(worker: str) -> Build | None:
    """Take a build that nobody builds; None when there is none. First is the owner for whom fewest are built,
    then the oldest; of one Space only one is built at a time."""
    # One query: it is asked again and again, and mostly there is none.
    builds = Build.objects.annotate(ends=_ENDS, now=Now()).defer("log").select_related("space")
    rows = builds.filter(status__in=[Status.QUEUED, Status.RUNNING]).order_by("pk")
    held = [row for row in rows if row.status == Status.RUNNING and row.ends >= row.now]
    spaces = {row.space_id for row in held}
    owners = Counter(row.space.owner_id for row in held)
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
    asked = set(build_ids)
    if not asked:
        return set()
    held = Build.objects.filter(pk__in=asked, worker=worker, status=Status.RUNNING)
    held.update(leased_until=Now() + LEASE)
    return asked - set(held.values_list("pk", flat=True))


def put_back(row: Build) -> None:
    """Nothing came of it, and it was nobody's fault: it is taken again once the lease has run out."""
    held = Build.objects.filter(pk=row.pk, worker=row.worker, attempts=row.attempts, status=Status.RUNNING)
    held.update(attempts=0, worker="", leased_until=Now() + LEASE)


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
    """Write the end of a build. False: its worker holds it no longer, or its Space is gone, and what it made
    is nobody's."""
    held = Build.objects.filter(pk=row.pk, worker=row.worker, attempts=row.attempts, status=Status.RUNNING)
    return bool(
        held.update(
            status=row.status,
            reason=row.reason,
            artifact=row.artifact,
            log=row.log,
            finished_at=Now(),
            leased_until=None,
        )
    )
