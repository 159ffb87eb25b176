"""The tiers as rows."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from django.apps import apps as all_apps
from django.apps.registry import Apps

from hardware.tiers import BUILT_IN, Tier

if TYPE_CHECKING:
    from hardware.models import HardwareTier

FIELDS = tuple(Tier.__dataclass_fields__)


def load() -> dict[str, Tier]:
    """All of them, in the order in which they were made."""
    from hardware.models import HardwareTier

    return {row.name: of(row) for row in HardwareTier.objects.order_by("pk")}


def of(row: HardwareTier) -> Tier:
    """The tier of this row."""
    values = {name: getattr(row, name) for name in FIELDS}
    return Tier(**{**values, "aliases": tuple(row.aliases)})


def fill(*, apps: Apps = all_apps, **_: Any) -> None:
    """Make those of a new platform, after a migration that finds none."""
    try:
        model = apps.get_model("hardware", "HardwareTier")
    except LookupError:  # migrated to a version before it
        return
    if not model.objects.exists():
        there = {field.name for field in model._meta.fields}
        for tier in BUILT_IN.values():
            model.objects.create(**{name: value for name, value in asdict(tier).items() if name in there})
