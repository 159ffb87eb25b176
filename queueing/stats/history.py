"""What a queue did over the last hour, day, week or month: rows of stored minutes, Redis for the newest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.db import connection

from infra.redis_clients import sync_redis
from queueing.routes import Route, decode
from queueing.stats.counters import COUNTS, Fn, Minute, Tally, parse_minute
from queueing.stats.rollup import names_of
from queueing.store.keys import SpaceKeys

#: Name to (seconds back, seconds of one point in the charts).
RANGES = {
    "1h": (3600, 60),
    "24h": (24 * 3600, 300),
    "7d": (7 * 24 * 3600, 3600),
    "30d": (30 * 24 * 3600, 4 * 3600),
}


@dataclass
class Bin:
    """One point of the charts: the counters of its minutes, of the main lane and of all, and the highest
    numbers in it."""

    main: Tally = field(default_factory=Tally)
    all: Tally = field(default_factory=Tally)
    pending: int = 0
    running: int = 0
    calls: int = 0


@dataclass
class History:
    """A Space's queue from `start` to `end` (Unix seconds), in bins of `step_s`; and its functions."""

    start: int
    end: int
    step_s: int
    bins: dict[int, Bin] = field(default_factory=lambda: defaultdict(Bin))  # by their start
    functions: dict[Fn, Tally] = field(default_factory=lambda: defaultdict(Tally))
    names: dict[str, str] = field(default_factory=dict)
    route: Route | None = None

    @property
    def total(self) -> Tally:
        """Everything counted."""
        return _sum(self.functions)

    @property
    def main(self) -> Tally:
        """What was counted in the main lane, where visitors wait."""
        return _sum({fn: tally for fn, tally in self.functions.items() if fn[0] == "main"})

    def points(self) -> Iterator[tuple[int, Bin]]:
        """Every bin in order, also those in which nothing happened."""
        for at in range(self.start, self.end, self.step_s):
            yield at, self.bins.get(at) or Bin()

    def peak(self, what: str) -> int:
        """The highest number of `pending`, `running` or `calls`."""
        return max((getattr(one, what) for one in self.bins.values()), default=0)

    def take(self, fn: Fn, at: float, tally: Tally) -> None:
        """Count what a function did at a time."""
        one = self.bins[int(at) // self.step_s * self.step_s]
        one.all.add(tally)
        if fn[0] == "main":
            one.main.add(tally)
        self.functions[fn].add(tally)

    def take_peaks(self, at: float, pending: int, running: int, calls: int) -> None:
        """Note the highest numbers of a time."""
        one = self.bins[int(at) // self.step_s * self.step_s]
        one.pending, one.running = max(one.pending, pending), max(one.running, running)
        one.calls = max(one.calls, calls)


def history(space_id: int, name: str) -> History:
    """The range `name` of RANGES, up to now, of this Space."""
    back_s, step_s = RANGES[name]
    redis, k = sync_redis(), SpaceKeys(space_id)
    pipe = redis.pipeline(transaction=False)
    pipe.time()
    pipe.get(k.route)
    pipe.smembers(k.minutes)
    (now, _), route, numbers = pipe.execute()
    # The last bin is the one that goes on now.
    end = now // step_s * step_s + step_s
    found = History(end - back_s, end, step_s)
    newest = _newest(k, [int(number) for number in numbers])
    _take_stored(found, space_id, newest)
    for number, minute in newest.items():
        at = number * 60
        if found.start <= at < found.end:
            for fn, tally in minute.functions.items():
                found.take(fn, at, tally)
            found.take_peaks(at, minute.pending, minute.running, minute.calls)
    found.route = decode(route) if route else None
    found.names |= names_of(found.route)
    return found


def unstored(space_id: int) -> dict[int, Minute]:
    """The minutes since 1970 that Redis has and PostgreSQL does not."""
    k = SpaceKeys(space_id)
    return _newest(k, [int(number) for number in sync_redis().smembers(k.minutes)])


def _newest(k: SpaceKeys, numbers: list[int]) -> dict[int, Minute]:
    """The minutes not stored yet. One that is stored at this moment is empty here, and a row by then."""
    pipe = sync_redis().pipeline(transaction=False)
    for number in numbers:
        pipe.hgetall(k.minute(number))
    hashes = zip(numbers, pipe.execute(), strict=True)
    return {number: parse_minute(fields) for number, fields in hashes if fields}


# --- rows, added up by the database: a month may have a million ---------------------------------------

_COUNTS = """
select floor(extract(epoch from minute) / %(step)s)::bigint * %(step)s, lane, fn, max(api_name),
       sum(page), sum(api), sum("full"), sum(closed), sum(refused),
       sum(completed), sum(failed), sum(cancelled), sum(retried),
       max(pending), max(running), max(calls)
from queueing_queueminute
where space_id = %(space)s and minute >= %(start)s and minute < %(end)s and not minute = any(%(without)s)
group by 1, 2, 3
"""
_HISTOGRAMS = """
select floor(extract(epoch from minute) / %(step)s)::bigint * %(step)s, lane, fn, what, key::int,
       sum(value::bigint)
from queueing_queueminute
cross join lateral (
    select 'wait' as what, key, value from jsonb_each_text(wait)
    union all select 'service', key, value from jsonb_each_text(service)
    union all select 'left', key, value from jsonb_each_text("left")
    union all select 'batch', key, value from jsonb_each_text(batch)
) as counted
where space_id = %(space)s and minute >= %(start)s and minute < %(end)s and not minute = any(%(without)s)
group by 1, 2, 3, 4, 5
"""


def _take_stored(found: History, space_id: int, newest: dict[int, Minute]) -> None:
    values: dict[str, Any] = {
        "step": found.step_s,
        "space": space_id,
        "start": datetime.fromtimestamp(found.start, UTC),
        "end": datetime.fromtimestamp(found.end, UTC),
        # A minute may be in both places for a moment: it counts once.
        "without": [datetime.fromtimestamp(number * 60, UTC) for number in newest],
    }
    tallies: dict[tuple[int, Fn], Tally] = defaultdict(Tally)
    with connection.cursor() as cursor:
        cursor.execute(_COUNTS, values)
        for at, lane, fn, name, *numbers in cursor.fetchall():
            counts, peaks = numbers[: len(COUNTS)], numbers[len(COUNTS) :]
            if fn or lane:
                tally = tallies[int(at), (lane, fn)]
                tally.counts.update(dict(zip(COUNTS, map(int, counts), strict=True)))
                tally.running = peaks[1]
                found.names.setdefault(fn, name)
            found.take_peaks(int(at), *peaks)
        cursor.execute(_HISTOGRAMS, values)
        for at, lane, fn, what, bucket, count in cursor.fetchall():
            getattr(tallies[int(at), (lane, fn)], what)[bucket] += int(count)
    for (at, fn_of), tally in tallies.items():
        found.take(fn_of, at, tally)


def _sum(functions: dict[Fn, Tally]) -> Tally:
    total = Tally()
    for tally in functions.values():
        total.add(tally)
    return total
