"""Hours on hardware are counted once, at the price of when they were ordered."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from django.utils import timezone

from accounts.models import Owner
from hardware.models import HardwareUse, Replica
from hardware.tiers import metering
from spaces import housekeeping
from spaces.models import Space

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def row(monkeypatch: pytest.MonkeyPatch) -> Replica:
    """It has served for an hour and a half, at 2 an hour."""
    at(monkeypatch, NOON)
    space = Space.objects.create(
        owner=Owner.objects.create(name="alice"), name="demo", subdomain="alice-demo"
    )
    ready = NOON - timedelta(hours=1.5)
    return Replica.objects.create(space=space, tier="t4", spec={}, ready_at=ready, price_per_hour=2)


def at(monkeypatch: pytest.MonkeyPatch, now: datetime) -> None:
    monkeypatch.setattr(timezone, "now", lambda: now)


def used(row: Replica) -> tuple[float, float]:
    (use,) = metering.of_space(row.space_id)
    return use.hours, float(use.cost)


def test_what_runs_is_counted_up_to_now_and_never_twice(
    row: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert used(row) == used(row) == (1.5, 3)
    at(monkeypatch, NOON + timedelta(hours=1))
    Replica.objects.filter(pk=row.pk).update(ended_at=NOON + timedelta(hours=0.5))
    assert used(row) == used(row) == (2, 4)


def test_what_ended_is_counted_before_its_row_is_deleted_and_outlives_its_space(
    row: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    long_ago = NOON - timedelta(days=2)
    Replica.objects.filter(pk=row.pk).update(
        ready_at=long_ago - timedelta(hours=3), ended_at=long_ago, wanted=False, state=Replica.State.STOPPED
    )
    housekeeping.forget_old_rows()
    assert not Replica.objects.exists()
    row.space.delete()
    (use,) = metering.of_all()
    assert (use.space_name, use.hours, float(use.cost)) == ("alice/demo", 3, 6)
    assert metering.of_all(owner_ids=[]) == []
    at(monkeypatch, NOON + timedelta(days=500))
    metering.forget()
    assert not HardwareUse.objects.exists()


def test_one_that_was_never_ready_costs_nothing(row: Replica) -> None:
    Replica.objects.filter(pk=row.pk).update(ready_at=None)
    assert metering.of_space(row.space_id) == []


def test_months_are_counted_apart() -> None:
    began, ended = datetime(2026, 11, 30, 23, tzinfo=UTC), datetime(2027, 1, 1, 0, 30, tzinfo=UTC)
    assert list(metering.by_month(began, ended)) == [
        (date(2026, 11, 1), 3600), (date(2026, 12, 1), 31 * 86400), (date(2027, 1, 1), 1800)
    ]  # fmt: skip
    assert list(metering.by_month(ended, began)) == []
