"""How long Spaces used which hardware, and what that costs. Counted from when a replica can be called to its
end, hourly and whenever somebody looks; replicas' rows are kept for a day after that."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from hardware.models import HardwareUse, Replica

if TYPE_CHECKING:
    from django.db.models import QuerySet

#: Months that are kept.
KEPT = timedelta(days=400)


@transaction.atomic
def count(only: Q | None = None) -> None:
    """Add what was not counted yet, of all Spaces or of these."""
    now = timezone.now()
    running = Q(ended_at=None) | Q(counted_at=None) | Q(counted_at__lt=F("ended_at"))
    rows = Replica.objects.filter(running, only or Q(), ready_at__isnull=False).select_related("space__owner")
    for row in rows.select_for_update(of=("self",), skip_locked=True).defer("spec", "report"):
        assert row.ready_at is not None
        end = row.ended_at or now
        for month, seconds in by_month(row.counted_at or row.ready_at, end):
            _add(row, month, seconds)
        Replica.objects.filter(pk=row.pk).update(counted_at=max(end, row.ready_at))


def by_month(began: datetime, ended: datetime) -> Iterator[tuple[date, float]]:
    """The seconds between two moments, by the first day of the month (UTC) in which they are."""
    while began < ended:
        first = date(began.year, began.month, 1)
        following = (first + timedelta(days=32)).replace(day=1)
        cut = min(ended, datetime(following.year, following.month, 1, tzinfo=UTC))
        yield first, (cut - began).total_seconds()
        began = cut


def _add(row: Replica, month: date, seconds: float) -> None:
    use, _ = HardwareUse.objects.get_or_create(
        owner_id=row.space.owner_id, space_id=row.space_id, tier=row.tier, month=month
    )
    HardwareUse.objects.filter(pk=use.pk).update(
        space_name=str(row.space),
        seconds=F("seconds") + seconds,
        cost=F("cost") + row.price_per_hour * Decimal(seconds) / 3600,
    )


def of_space(space_id: int) -> list[HardwareUse]:
    """What a Space used this month, up to now."""
    count(Q(space_id=space_id))
    return list(_this_month().filter(space_id=space_id).order_by("tier"))


def of_all(month: date | None = None, owner_ids: list[int] | None = None) -> list[HardwareUse]:
    """What all Spaces used in a month (this one), or those of these owners."""
    count()
    rows = HardwareUse.objects.filter(month=month) if month else _this_month()
    if owner_ids is not None:
        rows = rows.filter(owner_id__in=owner_ids)
    return list(rows.select_related("owner").order_by("owner__name", "space_name", "tier"))


def forget() -> None:
    """Delete months that nobody asks for any more."""
    HardwareUse.objects.filter(month__lt=(timezone.now() - KEPT).date()).delete()


def _this_month() -> QuerySet[HardwareUse]:
    return HardwareUse.objects.filter(month=timezone.now().date().replace(day=1))
