"""The events of the model: as they came, minute by minute, or as many people would bring them. The statistics
have counts by the minute and histograms of service times; moments and times within those are drawn at random,
always the same ones, so that two settings meet the same visitors."""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from queueing.lines import MAIN
from queueing.models import QueueMinute
from queueing.stats import history
from queueing.stats.counters import Tally
from queueing.stats.histograms import Histogram, seconds_in, within
from queueing.stats.patience import patience
from queueing.tuning.model import Arrival

#: Events that the model is given at most; it answers while a slider moves.
MOST = 20_000


@dataclass(kw_only=True)
class Demand:
    """What visitors asked of one Space. `minutes`: {minute since 1970: {fn: events}}, refused ones of a full
    queue included; `service`, `wait`, `left`: histograms of seconds; `batches`: {fn: {size: calls}};
    `refused`: events that found the queue full; `calls_s`: {minute: seconds of calls, of all lines}."""

    minutes: dict[int, Counter[str]] = field(default_factory=dict)
    calls_s: defaultdict[int, float] = field(default_factory=lambda: defaultdict(float))
    service: dict[str, Counter[int]] = field(default_factory=dict)
    batches: dict[str, Counter[int]] = field(default_factory=dict)
    wait: Counter[int] = field(default_factory=Counter)
    left: Counter[int] = field(default_factory=Counter)
    refused: int = 0
    most_pending: int = 0

    def take(self, minute: int, lane: str, fn: str, tally: Tally) -> None:
        """Count what a function did in a minute."""
        self.calls_s[minute] += seconds_in(tally.service) / (tally.mean_batch or 1)
        if lane != MAIN:
            return
        if events := tally.arrivals + tally.counts["full"]:
            self.minutes.setdefault(minute, Counter())[fn] += events
        self.service.setdefault(fn, Counter()).update(tally.service)
        self.batches.setdefault(fn, Counter()).update(tally.batch)
        self.wait.update(tally.wait)
        self.left.update(tally.left)
        self.refused += tally.counts["full"]

    @property
    def events(self) -> int:
        """All of them."""
        return sum(sum(counts.values()) for counts in self.minutes.values())


def recorded(space_id: int, begin: datetime, end: datetime | None = None) -> Demand:
    """Of the queue's main line, where visitors wait, in the minutes that begin from `begin` on and before
    `end`, or until now."""
    newest = history.unstored(space_id)
    rows = QueueMinute.objects.filter(space_id=space_id, minute__gte=begin)
    rows = rows.exclude(minute__in=[datetime.fromtimestamp(60 * minute, UTC) for minute in newest])
    if end is not None:
        rows = rows.filter(minute__lt=end)
    found = Demand()
    found.most_pending = max(rows.filter(fn="").values_list("pending", flat=True), default=0)
    fields = ("minute", "lane", "fn", "page", "api", "full", "wait", "service", "left", "batch")
    for at, lane, fn, page, api, full, *histograms in rows.exclude(fn="").values_list(*fields):
        wait, service, left, batch = (
            Counter({int(bucket): count for bucket, count in one.items()}) for one in histograms
        )
        counts = Counter(page=page, api=api, full=full)
        tally = Tally(counts=counts, wait=wait, service=service, left=left, batch=batch)
        found.take(int(at.timestamp()) // 60, lane, fn, tally)
    for minute, now in newest.items():
        if begin.timestamp() <= 60 * minute < (end.timestamp() if end else math.inf):
            found.most_pending = max(found.most_pending, now.pending)
            for (lane, fn), tally in now.functions.items():
                found.take(minute, lane, fn, tally)
    return found


def busiest(minutes: Mapping[int, Counter[str]], most: int = MOST) -> tuple[int, int]:
    """The first and the last minute of a stretch around the busiest one, of at most so many events, or that
    minute alone."""
    sums = {minute: sum(counts.values()) for minute, counts in minutes.items()}
    low = high = max(sums, key=lambda minute: (sums[minute], minute))
    first, last = min(sums), max(sums)
    total = sums[low]
    while low > first or high < last:
        before, after = sums.get(low - 1, 0), sums.get(high + 1, 0)
        grows_back = low > first and (before >= after or high == last)
        total += before if grows_back else after
        if total > most:
            break
        low, high = (low - 1, high) if grows_back else (low, high + 1)
    return low, high


def replay(demand: Demand, lines: Mapping[str, int], span: tuple[int, int], seed: int) -> list[Arrival]:
    """The events of these minutes. `lines`: function to the number of its line. Functions whose calls were
    never measured are left out."""
    rng = random.Random(seed)  # noqa: S311  (a model's dice)
    times, bears = _Times(demand.service, rng), patience(demand.wait, demand.left)
    found = []
    for minute in range(span[0], span[1] + 1):
        for fn, count in demand.minutes.get(minute, {}).items():
            if fn in lines and fn in times:
                found += [
                    Arrival(
                        60.0 * minute + 60 * rng.random(),
                        lines[fn],
                        times.draw(fn),
                        bears.drawn(rng.random()),
                    )
                    for _ in range(count)
                ]
    found.sort()
    return found


def crowd(demand: Demand, lines: Mapping[str, int], events: int, over_s: float, seed: int) -> list[Arrival]:
    """So many events, spread at random over some seconds from 0, of functions in the proportion in which they
    were used."""
    rng = random.Random(seed)  # noqa: S311
    times, bears = _Times(demand.service, rng), patience(demand.wait, demand.left)
    used: Counter[str] = Counter()
    for counts in demand.minutes.values():
        used.update({fn: count for fn, count in counts.items() if fn in lines and fn in times})
    if not used:
        return []
    names = rng.choices(list(used), list(used.values()), k=events)
    return sorted(
        Arrival(over_s * rng.random(), lines[fn], times.draw(fn), bears.drawn(rng.random())) for fn in names
    )


class _Times:
    """Draws service times from histograms; within a bucket evenly on its logarithmic scale."""

    def __init__(self, service: Mapping[str, Histogram], rng: random.Random) -> None:
        self._rng = rng
        self._drawn: defaultdict[str, Iterator[float]] = defaultdict(lambda: iter(()))
        self._service = {fn: histogram for fn, histogram in service.items() if sum(histogram.values()) > 0}

    def __contains__(self, fn: str) -> bool:
        return fn in self._service

    def draw(self, fn: str) -> float:
        """One service time of this function, in seconds."""
        value = next(self._drawn[fn], None)
        if value is None:
            self._drawn[fn] = self._some(fn)
            value = next(self._drawn[fn])
        return value

    def _some(self, fn: str) -> Iterator[float]:
        histogram = self._service[fn]
        for bucket in self._rng.choices(list(histogram), list(histogram.values()), k=256):
            yield within(bucket, self._rng.random())
