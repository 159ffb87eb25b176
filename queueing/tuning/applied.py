"""Settings that were applied with a forecast, and how right it was: what was measured since, and what the
model says of the visitors who came since, which are not those of the forecast."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from hardware.tiers import Tier
from queueing import queue_settings
from queueing.models import AppliedSettings
from queueing.setting_fields import GROUP
from queueing.tuning import traffic
from queueing.tuning.what_if import NothingMeasured, Question, Scenario, answer, measured, present, replay_of

#: Of one Space.
KEPT = 50
SHOWN = 5
#: Events since then below which nothing is compared.
FEWEST = 20


@dataclass(frozen=True, kw_only=True)
class Applied:
    """One change. `expected`, `measured`, `modelled`: figures as of `queueing.tuning.what_if`, None where
    there are none; `said`: what a measurement says of it. `until`: when the next change was made."""

    at: datetime
    until: datetime | None
    by: str
    before: dict[str, Any]
    after: dict[str, Any]
    expected: dict[str, Any] | None
    said: str = ""
    measured: dict[str, Any] | None = None
    modelled: dict[str, Any] | None = None

    @property
    def error(self) -> float | None:
        """By what share of the measured wait (p95) the model is wrong: 0.1 is 10 % too long."""
        if not self.measured or not self.modelled:
            return None
        actual, said = self.measured["wait_p95_s"], self.modelled["wait_p95_s"]
        return None if not actual or said is None else said / actual - 1


def apply(space_id: int, tier: Tier, question: Question, by: str, said: str = "") -> dict[str, Any]:
    """Put the settings of the question into force, and keep what they are expected to do, also what a
    measurement `said`. Answers the former values of those that changed.

    Raises:
        queueing.queue_settings.BadSetting: nothing was changed.
    """
    alone = Question(settings=question.settings, back=question.back)
    try:
        expected = answer(space_id, tier, alone)["then"]
    except NothingMeasured:
        expected = {}
    with transaction.atomic():
        before = by_name(present(space_id))
        queue_settings.change(space_id, question.settings)
        after = by_name(present(space_id))
        named = [*question.settings, *(f"{GROUP}{name}" for name in question.settings.get("groups", ()))]
        changed = [name for name in named if before.get(name) != after.get(name)]
        if changed:
            AppliedSettings.objects.create(
                space_id=space_id,
                applied_at=timezone.now(),
                applied_by=by,
                before={name: before.get(name) for name in changed},
                after={name: after.get(name) for name in changed},
                expected=expected,
                measured=said,
            )
            _forget(space_id)
    return {name: before.get(name) for name in changed}


def by_name(now: Scenario) -> dict[str, Any]:
    """The settings by their names, the numbers of groups as `group:<name>`."""
    return asdict(now.settings) | {f"{GROUP}{one.group}": one.limit for one in now.groups}


def history(space_id: int, tier: Tier) -> list[Applied]:
    """The last changes, newest first."""
    rows = list(AppliedSettings.objects.filter(space_id=space_id).order_by("-applied_at", "-pk")[:SHOWN])
    ends = [None, *(row.applied_at for row in rows)]
    return [_compared(row, end, tier) for row, end in zip(rows, ends, strict=False)]


def _compared(row: AppliedSettings, until: datetime | None, tier: Tier) -> Applied:
    demand = traffic.recorded(row.space_id, row.applied_at, until)
    found = Applied(
        at=row.applied_at,
        until=until,
        by=row.applied_by,
        before=row.before,
        after=row.after,
        expected=row.expected or None,
        said=row.measured,
    )
    if demand.events < FEWEST:
        return found
    # Only of the present settings are all known.
    modelled = _modelled(row.space_id, tier, demand) if until is None else None
    return replace(found, measured=measured(demand), modelled=modelled)


def _modelled(space_id: int, tier: Tier, demand: traffic.Demand) -> dict[str, Any] | None:
    try:
        replay = replay_of(space_id, tier, demand)
    except NothingMeasured:
        return None
    now = present(space_id)
    return replay.figures(replay.run(now), now)


def _forget(space_id: int) -> None:
    rows = AppliedSettings.objects.filter(space_id=space_id).order_by("-applied_at", "-pk")
    AppliedSettings.objects.filter(pk__in=list(rows.values_list("pk", flat=True)[KEPT:])).delete()
