"""What to set after a measurement, and why, in words. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from queueing.queue_settings import GroupLimit
from queueing.setting_fields import Settings
from queueing.stats.patience import Patience
from queueing.tuning.results import GroupResult, Results
from queueing.tuning.sweep import GAIN, Measured, chosen

MIB, GIB = 1024**2, 1024**3
#: A standard error of the throughput, as a share, beyond which that is said.
UNSURE = 0.05
#: Calls that keep less of a core busy than this wait, and others do not disturb them. Of those that compute,
#: so many times as many as the cores can serve keep them busy.
LEAST_CORES, ENOUGH = 0.3, 1.5


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Of one group: the chosen point, and why in sentences."""

    group: str
    functions: tuple[str, ...]
    point: Measured
    why: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Recommendation:
    """`settings`: as `queue_settings.change` takes them, only what would change; `why`: beside those of the
    groups."""

    settings: dict[str, Any] = field(default_factory=dict)
    choices: tuple[Choice, ...] = ()
    why: tuple[str, ...] = ()

    @property
    def expected(self) -> str:
        """What the chosen points measured, in a sentence or two."""
        return " ".join(
            f"{choice.functions[0]}: {_lower(_calls(choice.point))}, {choice.point.throughput:.3g} events a "
            f"second, p95 {_seconds(choice.point.p95_s)}."
            for choice in self.choices
        )


def recommend(
    results: Results, settings: Settings, groups: Sequence[GroupLimit], patience: Patience
) -> Recommendation:
    """For a Space that is set so, whose visitors have this patience."""
    points = _together(results)
    choices = tuple(
        Choice(
            group=group.group,
            functions=group.functions,
            point=points[group.group],
            why=_why(group, points[group.group], results),
        )
        for group in results.groups
        if group.group in points
    )
    if not choices:
        return Recommendation()
    wanted = _at_once(choices, groups)
    why = []
    if sizes := [points[group.group].point.batch for group in results.groups if group.is_batch]:
        wanted |= {"batch": max(sizes) > 1} | ({"max_batch_size": min(sizes)} if min(sizes) > 1 else {})
    most = max(choice.point.point.concurrency for choice in choices)
    if most > settings.max_threads:
        wanted["max_threads"] = most
    if (room := _max_size(choices, patience)) is not None:
        wanted["max_size"], bears_s = room
        why.append(
            f"Half of the visitors give up before they have waited {_seconds(bears_s)}; about "
            f"{wanted['max_size']} events are served in that time, so more need not wait."
        )
    if any(points[one.group] != _best(one, results) for one in results.groups if one.group in points):
        why.append(
            f"All groups together stay below {size(results.bound_bytes)}, 85 % of the memory: so some have "
            "fewer calls at once than would be best for them alone."
        )
    return Recommendation(settings=_changed(wanted, settings, groups), choices=choices, why=tuple(why))


def _together(results: Results) -> dict[str, Measured]:
    """The chosen points, stepped down until all groups fit into memory beside each other."""
    points = {one.group: best for one in results.groups if (best := _best(one, results)) is not None}
    while results.bound_bytes and _needed(points, results) > results.bound_bytes:
        lower = {
            one.group: smaller
            for one in results.groups
            if one.group in points and (smaller := _smaller(one, points[one.group])) is not None
        }
        if not lower:
            break
        name = max(lower, key=lambda group: points[group].memory_bytes - lower[group].memory_bytes)
        points[name] = lower[name]
    return points


def _best(group: GroupResult, results: Results) -> Measured | None:
    """Where others had the machine's cores, more calls take more of them away, which looks like a gain. Then
    no more count than the cores can serve, by the utilization law (Denning and Buzen 1978)."""
    if not any(one.crowded for one in group.points):
        return group.best
    single = {one.point.batch: one.cores for one in group.points if one.point.concurrency == 1}

    def most(batch: int) -> float:
        cores = single.get(batch, 0.0)
        return math.ceil(ENOUGH * results.cores / cores) if cores >= LEAST_CORES else math.inf

    return chosen([one for one in group.points if one.point.concurrency <= most(one.point.batch)])


def _needed(points: dict[str, Measured], results: Results) -> int:
    rest = results.rest_bytes
    return rest + sum(max(0, one.memory_bytes - rest) for one in points.values())


def _smaller(group: GroupResult, than: Measured) -> Measured | None:
    fewer = [one for one in group.points if one.is_sound and one.point.events < than.point.events]
    return max(fewer, key=lambda one: one.throughput, default=None)


def _at_once(choices: Sequence[Choice], groups: Sequence[GroupLimit]) -> dict[str, Any]:
    """Where all functions share one number, that is the setting; else each group has its own."""
    if len(choices) == 1 and (choices[0].group == "" or len(groups) <= 1):
        own = next((one for one in groups if one.group == choices[0].group), None)
        if own is None or own.source == "default":
            return {"concurrency_count": choices[0].point.point.concurrency}
    return {"groups": {choice.group: choice.point.point.concurrency for choice in choices}}


def _max_size(choices: Sequence[Choice], patience: Patience) -> tuple[int, float] | None:
    """How many can be served within the time after which half of the visitors have left, and that time."""
    bears_s = patience.time_of(0.5)
    if bears_s is None:
        return None
    slowest = min(choice.point.throughput for choice in choices)
    return max(math.floor(bears_s * slowest), 1), bears_s


def _changed(wanted: dict[str, Any], settings: Settings, groups: Sequence[GroupLimit]) -> dict[str, Any]:
    limits = {one.group: one.limit for one in groups}
    found = {
        name: value for name, value in wanted.items() if name != "groups" and getattr(settings, name) != value
    }
    if own := {name: value for name, value in wanted.get("groups", {}).items() if limits.get(name) != value}:
        found["groups"] = own
    return found


# --- in words -----------------------------------------------------------------------------------------


def _why(group: GroupResult, best: Measured, results: Results) -> tuple[str, ...]:
    alone = next((one for one in group.points if one.point.events == 1), None)
    said = []
    if alone is not None and best is not alone and alone.throughput:
        now, before = _seconds(best.p95_s), _seconds(alone.p95_s)
        said.append(
            f"{_calls(best)} serve {best.throughput / alone.throughput:.1f} times as many events as one at a "
            f"time; then a call takes {now} (p95){'' if now == before else f' instead of {before}'}."
        )
    more = [one for one in group.points if one.point.events > best.point.events]
    if beyond := min(more, key=lambda one: (one.point.events, one.point.concurrency), default=None):
        said.append(_beyond(best, beyond, results))
    elif results.bound_bytes and best.memory_bytes > results.bound_bytes / 2:
        said.append(f"More could need over {size(results.bound_bytes)}, 85 % of the memory.")
    elif best is not alone:
        said.append("More at once were not tried.")
    if any(one.crowded for one in group.points):
        said.append(
            "Other work kept the machine's cores busy meanwhile, so more may be possible: measure again when "
            "it is quieter."
        )
    elif best.error > UNSURE * best.throughput:
        off = 100 * best.error / best.throughput
        said.append(
            f"The throughput is uncertain by {off:.0f} %: calls differ, or the machine was busy. Measure "
            "again, with more seconds."
        )
    if group.ended:
        said.append(f"The measurement ended early: {_lower(group.ended)}")
    return tuple(said)


def _beyond(best: Measured, beyond: Measured, results: Results) -> str:
    """ "2 cores: a third call gains 4 % and costs 0.9 GiB." """
    cores = f"{results.cores:g} core{'' if results.cores == 1 else 's'}"
    busy = f", {best.cores:.1f} busy" if best.cores >= 0.05 else ""
    if not beyond.is_sound:
        why = "ran into the bound of memory" if beyond.stopped else "failed too often"
        return f"{_calls(beyond)} {why}."
    gain = beyond.throughput / best.throughput - 1
    what = (
        f"{'gain' if gain > 0 else 'lose'} {abs(gain) * 100:.0f} %"
        if abs(gain) > GAIN / 2
        else "gain nothing"
    )
    cost = beyond.memory_bytes - best.memory_bytes
    costs = f" and cost {size(cost)}" if cost > 8 * MIB else ""
    return f"{cores}{busy}: {_lower(_calls(beyond))} {what}{costs}."


def _calls(one: Measured) -> str:
    count, batch = one.point.concurrency, one.point.batch
    calls = "One call at a time" if count == 1 else f"{count} calls at once"
    return f"{calls} of {batch} events" if batch > 1 else calls


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def size(count: float) -> str:
    """Bytes for people: "0.9 GiB", "120 MiB"."""
    return f"{count / GIB:.1f} GiB" if count >= GIB / 2 else f"{count / MIB:.0f} MiB"


def _seconds(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
