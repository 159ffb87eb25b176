"""The facts behind the advice: the last 24 hours of a queue, and of its containers."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from statistics import median

from django.utils import timezone

from hardware import usage
from hardware.tiers import tier
from queueing import queue_settings
from queueing.lines import MAIN
from queueing.models import QueueMinute
from queueing.stats import history
from queueing.stats.advice import FEWEST_MINUTES, Facts, GroupUse, Used, advice
from queueing.stats.counters import Tally
from queueing.stats.histograms import added


def facts(space_id: int) -> Facts:
    """What was measured of this Space."""
    day = history.history(space_id, "24h")
    batch_functions = (
        {number for number, f in day.route.app.every().items() if f.batch} if day.route else set()
    )
    return Facts(
        main=day.main,
        groups=_groups(space_id, day),
        batches=added(tally.batch for tally in day.functions.values()),
        most_pending=day.peak("pending"),
        most_running=day.peak("running"),
        most_calls=day.peak("calls"),
        has_batch_function=bool(batch_functions),
        used=_used(space_id),
    )


def _groups(space_id: int, day: history.History) -> dict[str, GroupUse]:
    """Of the app as it is now: a function is identified by its number."""
    tallies: dict[str, Tally] = defaultdict(Tally)
    every = day.route.app.every() if day.route else {}
    of = {number: function.group for number, function in every.items()}
    for (lane, fn), tally in day.functions.items():
        if lane == MAIN:
            tallies[of.get(fn, "")].add(tally)
    return {
        group.group: GroupUse(limit=group.limit, source=group.source, tally=tallies[group.group])
        for group in queue_settings.groups(space_id)
    }


def _used(space_id: int) -> Used | None:
    """Of the minutes in which it worked and somebody waited; where they are few, of all it worked in."""
    since = timezone.now() - timedelta(days=1)
    rows = QueueMinute.objects.filter(space_id=space_id, minute__gte=since, fn="", running__gt=0)
    waiting = {int(m.timestamp()) // 60: pending > 0 for m, pending in rows.values_list("minute", "pending")}
    worked = [use for use in usage.of(space_id) if use.minute in waiting]
    crowded = [use for use in worked if waiting[use.minute]]
    sampled = crowded if len(crowded) >= FEWEST_MINUTES else worked
    if not sampled:
        return None
    return Used(
        minutes=len(sampled),
        memory_bytes=max(use.memory_bytes for use in worked),
        cores=median(use.cores for use in sampled),
    )


def sentences(space_id: int, hardware: str) -> dict[str, str]:
    """The advice on this Space's queue settings, by setting; most settings have none."""
    return advice(facts(space_id), queue_settings.effective(space_id), tier(hardware))
