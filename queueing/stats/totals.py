"""Each queue's counters since its Space was made, and its figures now, for the metrics. Counters that never
go back are the stored minutes' sums (hash `totals`) and the minutes not stored yet, read together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from infra.redis_clients import sync_redis
from queueing.stats.counters import COUNTS, Minute, parse_minute
from queueing.store.keys import SpaceKeys
from queueing.store.scripts import Script

_totals = Script("totals")


@dataclass
class Totals:
    """One Space's queue. `oldest_s`: how long its longest call has run, in seconds; 0 when none runs."""

    pending: int = 0
    running: int = 0
    oldest_s: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    wait: Counter[int] = field(default_factory=Counter)
    service: Counter[int] = field(default_factory=Counter)

    def add(self, name: str, number: int) -> None:
        """Count a field of `changes`."""
        what, _, bucket = name.partition(":")
        if what == "wait":
            self.wait[int(bucket)] += number
        elif what == "service":
            self.service[int(bucket)] += number
        else:
            self.counts[what] += number


def changes(minute: Minute) -> dict[str, int]:
    """What a minute adds to the totals, by field: all functions together."""
    tally = minute.all()
    return {
        **{name: tally.counts[name] for name in COUNTS if tally.counts[name]},
        **{f"wait:{bucket}": count for bucket, count in tally.wait.items()},
        **{f"service:{bucket}": count for bucket, count in tally.service.items()},
    }


def load(space_ids: Iterable[int]) -> dict[int, Totals]:
    """Of all these Spaces, in one pipeline."""
    ids = list(space_ids)
    redis = sync_redis()
    script = redis.register_script(_totals.source)
    pipe = redis.pipeline(transaction=False)
    pipe.time()
    for space_id in ids:
        k = SpaceKeys(space_id)
        pipe.zcard(k.running)
        pipe.zrange(k.running, 0, 0, withscores=True)
        keys = _totals.in_order(minutes=k.minutes, totals=k.totals, lines=k.lines, fence=k.fence)
        script(keys=keys, args=[k.prefix], client=pipe)
    (seconds, micros), *answers = pipe.execute()
    now = seconds + micros / 1e6
    return {space_id: _of(answers[at * 3 : at * 3 + 3], now) for at, space_id in enumerate(ids)}


def _of(answers: list[Any], now: float) -> Totals:
    running, oldest, (pending, stored, *minutes) = answers
    totals = Totals(
        pending=pending, running=running, oldest_s=max(0.0, now - oldest[0][1]) if oldest else 0.0
    )
    for name, number in _pairs(stored):
        totals.add(name.decode(), int(number))
    for fields in minutes:
        for field_name, count in changes(parse_minute(dict(_pairs(fields)))).items():
            totals.add(field_name, count)
    return totals


def _pairs(flat: list[bytes]) -> Iterable[tuple[bytes, bytes]]:
    return zip(flat[::2], flat[1::2], strict=True)
