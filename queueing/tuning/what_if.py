"""What the same visitors would have met under other settings: the present settings and the proposed ones, run
through the same model with the same events, beside what was measured."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.utils import timezone

from hardware import usage
from hardware.tiers import Tier
from infra.redis_clients import sync_redis
from queueing import queue_settings
from queueing.eta import quantile
from queueing.queue_settings import GroupLimit
from queueing.routes import App, decode
from queueing.setting_fields import Settings
from queueing.stats.histograms import quantile as histogram_quantile
from queueing.stats.patience import patience
from queueing.store.keys import SpaceKeys
from queueing.tuning import traffic
from queueing.tuning.model import Arrival, Limits, Line, Outcome, simulate

#: Minutes of use below which nothing is said about the cores that a call takes.
FEWEST_MINUTES = 3
POINTS = 120


class NothingMeasured(ValueError):
    """Too little was counted to ask anything of; the message says what is missing."""


@dataclass(frozen=True, kw_only=True)
class Crowd:
    """People who come together, each with some events spread over the time, in minutes."""

    people: int
    events_each: int = 1
    minutes: int = 60


@dataclass(frozen=True, kw_only=True)
class Question:
    """`settings`: queue settings to propose, as `queue_settings.change` takes them; `speed`: how many times
    as fast a call is; `crowd`: other visitors than those of the time `back`."""

    settings: dict[str, Any] = field(default_factory=dict)
    replicas: int = 1
    speed: float = 1.0
    back: timedelta = timedelta(days=1)
    crowd: Crowd | None = None


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Settings under which the events are run."""

    settings: Settings
    groups: Sequence[GroupLimit]
    replicas: int = 1
    speed: float = 1.0


def present(space_id: int) -> Scenario:
    """The Space as it is set now."""
    settings, groups = queue_settings.proposed(space_id, {})
    return Scenario(settings=settings, groups=groups)


def answer(space_id: int, tier: Tier, question: Question) -> dict[str, Any]:
    """The figures of both, as `spaces.api.what_if` documents them.

    Raises:
        NothingMeasured
        queueing.queue_settings.BadSetting: of the proposed ones.
    """
    now = present(space_id)
    settings, groups = queue_settings.proposed(space_id, question.settings)
    then = Scenario(settings=settings, groups=groups, replicas=question.replicas, speed=question.speed)
    demand = traffic.recorded(space_id, timezone.now() - question.back)
    replay = replay_of(space_id, tier, demand, question.crowd)
    start, end = replay.span
    ran = [replay.run(scenario) for scenario in (now, then)]
    return {
        "from": start,
        "to": end,
        "events": len(replay.arrivals),
        "measured": None if question.crowd else measured(demand),
        "now": replay.figures(ran[0], now),
        "then": replay.figures(ran[1], then),
        "series": _series(ran, start, end),
        "notes": [*replay.notes, *_assumptions(replay.cores, demand, tier, settings, replay.app)],
    }


@dataclass(frozen=True, kw_only=True)
class Replay:
    """Events ready to be run, over and over. `lines`: function to the number of its line; `span`: the time
    that they fill, in Unix seconds or from 0; `cores`: what a call takes of those of `tier`."""

    app: App
    tier: Tier
    lines: dict[str, int]
    arrivals: list[Arrival]
    span: tuple[int, int]
    cores: float | None
    notes: list[str]

    def run(self, scenario: Scenario) -> Outcome:
        """Under these settings."""
        lines, limits = _limits(scenario, self.app, self.lines, self.cores, self.tier)
        return simulate(_faster(self.arrivals, scenario.speed), lines, limits)

    def figures(self, outcome: Outcome, scenario: Scenario) -> dict[str, Any]:
        """What came of it, in figures."""
        return _figures(outcome, scenario, self.tier, self.span[1] - self.span[0])


def replay_of(space_id: int, tier: Tier, demand: traffic.Demand, crowd: Crowd | None = None) -> Replay:
    """The events of this demand, or of a crowd that calls the same functions.

    Raises:
        NothingMeasured
    """
    app = _app(space_id)
    lines = _lines_of(app, demand)
    if not demand.minutes or not any(sum(one.values()) for one in demand.service.values()):
        raise NothingMeasured("No call of this time was measured. Choose a longer time, or call it first.")
    arrivals, span, notes = _arrivals(space_id, demand, lines, crowd)
    if not arrivals:
        raise NothingMeasured("The functions that were called in this time are not in the app any more.")
    return Replay(
        app=app,
        tier=tier,
        lines=lines,
        arrivals=arrivals,
        span=span,
        cores=cores_of_a_call(space_id, demand),
        notes=notes,
    )


def cores_of_a_call(space_id: int, demand: traffic.Demand) -> float | None:
    """Cores that one running call keeps busy, by the utilization law (Denning and Buzen 1978): core seconds
    of the replicas over seconds of calls, in minutes with calls. None where too little was sampled."""
    cores: defaultdict[int, float] = defaultdict(float)
    for use in usage.of(space_id):
        cores[use.minute] += use.cores
    begin = min(demand.minutes)
    calls = {minute: seconds for minute, seconds in demand.calls_s.items() if minute >= begin}
    both = [minute for minute, seconds in calls.items() if minute in cores and seconds > 1]
    if len(both) < FEWEST_MINUTES:
        return None
    return sum(60 * cores[minute] for minute in both) / sum(calls[minute] for minute in both)


def _app(space_id: int) -> App:
    raw = sync_redis().get(SpaceKeys(space_id).route)
    return decode(raw).app if raw is not None else App()


def _lines_of(app: App, demand: traffic.Demand) -> dict[str, int]:
    """Function to the number of its line; functions without a group share one."""
    groups = {number: function.group for number, function in app.every().items()}
    seen = {fn for counts in demand.minutes.values() for fn in counts}
    names = sorted({groups.get(fn, "") for fn in seen})
    return {fn: names.index(groups.get(fn, "")) for fn in seen}


def _arrivals(
    space_id: int, demand: traffic.Demand, lines: dict[str, int], crowd: Crowd | None
) -> tuple[list[Arrival], tuple[int, int], list[str]]:
    """The events, the time that they fill, in Unix seconds or from 0, and what to say of them."""
    if crowd is not None:
        wanted = crowd.people * crowd.events_each
        events = min(wanted, traffic.MOST)
        over_s = 60.0 * crowd.minutes * events / wanted
        notes = [] if events == wanted else [f"The first {round(over_s / 60)} of {crowd.minutes} minutes."]
        return traffic.crowd(demand, lines, events, over_s, space_id), (0, round(over_s)), notes
    first, last = traffic.busiest(demand.minutes)
    arrivals = traffic.replay(demand, lines, (first, last), space_id)
    notes = []
    if last - first < max(demand.minutes) - min(demand.minutes):
        notes.append(f"The busiest {last - first + 1} minutes of this time, with {len(arrivals):,} events.")
    return arrivals, (60 * first, 60 * (last + 1)), notes


def _faster(arrivals: list[Arrival], speed: float) -> list[Arrival]:
    return arrivals if speed == 1 else [one._replace(work=one.work / speed) for one in arrivals]


def _limits(
    scenario: Scenario, app: App, lines: dict[str, int], cores: float | None, tier: Tier
) -> tuple[list[Line], Limits]:
    settings, n = scenario.settings, scenario.replicas
    limit_of = {group.group: group.limit for group in scenario.groups}
    functions = app.every()
    found: dict[int, Line] = {}
    for fn, number in lines.items():
        function = functions.get(fn)
        limit = limit_of.get(function.group if function else "", settings.concurrency_count)
        batch = 1
        if settings.batch and function is not None and function.batch:
            batch = settings.max_batch_size
        before = found.get(number, Line(batch=1))
        found[number] = Line(limit=None if limit is None else limit * n, batch=max(batch, before.batch))
    total = min(settings.max_running or settings.max_threads, settings.max_threads)
    return (
        [found[number] for number in sorted(found)],
        Limits(
            max_running=total * n,
            max_size=settings.max_size,
            parallel=n * tier.cpus / cores if cores else float("inf"),
        ),
    )


def _figures(outcome: Outcome, scenario: Scenario, tier: Tier, seconds: int) -> dict[str, Any]:
    hours = scenario.replicas * seconds / 3600
    waits = sorted(wait for _, wait in outcome.waits)
    return {
        "accepted": len(waits) + len(outcome.left),
        "refused": len(outcome.refused),
        "left": len(outcome.left),
        "wait_p50_s": round(quantile(waits, 0.5), 3) if waits else None,
        "wait_p95_s": round(quantile(waits, 0.95), 3) if waits else None,
        "most_pending": outcome.most_pending,
        "mean_running": round(outcome.busy_s / max(outcome.end - _begin(outcome), seconds, 1), 3),
        "replica_hours": round(hours, 3),
        "cost": round(hours * float(tier.price_per_hour), 2),
    }


def _begin(outcome: Outcome) -> float:
    return min((at for at, _ in outcome.waits), default=outcome.end)


def measured(demand: traffic.Demand) -> dict[str, Any]:
    """What came of the events in fact."""
    p50, p95 = (histogram_quantile(demand.wait, q) for q in (0.5, 0.95))
    return {
        "accepted": demand.events - demand.refused,
        "refused": demand.refused,
        "left": sum(demand.left.values()),
        "wait_p50_s": p50,
        "wait_p95_s": p95,
        "most_pending": demand.most_pending,
    }


def _series(ran: list[Outcome], start: int, end: int) -> dict[str, list[Any]]:
    """The longest wait of those that came in each part of the time, under both; null: nobody came."""
    step = max((end - start) / POINTS, 1.0)
    count = max(round((end - start) / step), 1)
    found: dict[str, list[Any]] = {"time": [round(start + step * n) for n in range(count)]}
    for name, outcome in zip(("now", "then"), ran, strict=True):
        longest: list[float | None] = [None] * count
        for at, wait in outcome.waits:
            index = min(int((at - start) / step), count - 1)
            longest[index] = max(longest[index] or 0.0, wait)
        found[f"{name}_wait_s"] = [None if one is None else round(one, 2) for one in longest]
    return found


def _assumptions(
    cores: float | None, demand: traffic.Demand, tier: Tier, settings: Settings, app: App
) -> list[str]:
    notes = []
    if cores is None:
        notes.append("What a call takes of the cores was not measured: calls do not slow each other here.")
    elif cores > 0.05:
        at_once = tier.cpus / cores
        notes.append(
            f"A call keeps {cores:.2g} cores busy: more than {at_once:.2g} at once slow each other on the "
            f"{tier.cpus:g} cores of {tier.title}."
        )
    if settings.batch and any(one.batch for one in app.functions):
        notes.append("A batch takes as long as batches took, whatever its size.")
    half_s = patience(demand.wait, demand.left).time_of(0.5)
    if half_s is not None:
        notes.append(f"Half of the visitors give up before they have waited {half_s:.0f} s, as they did.")
    elif not demand.left:
        notes.append("Nobody gave up, so nobody does here.")
    return [*notes, "Memory is not part of it."]
