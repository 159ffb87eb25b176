"""How accurate the promised times were: figures that `claim` keeps for a sample of waiters.

A web process notes the first promise to some waiters (`Positions`). When the event is claimed, the script
counts by which share of the wait (or of a second, for shorter waits) the likely time was off, and whether the
wait stayed within the upper bound."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from queueing.store.constants import ERROR_BOUNDS
from queueing.store.keys import SpaceKeys
from queueing.store.queue import day

if TYPE_CHECKING:
    import redis

DAY_S = 24 * 3600


@dataclass(frozen=True, kw_only=True)
class EtaAccuracy:
    """`count` promises compared; `median_error` as a share of the wait, `within` the share of waiters whose
    wait stayed within the upper bound; both None where nothing was compared."""

    count: int = 0
    median_error: float | None = None
    within: float | None = None


def load(client: redis.Redis, space_ids: Iterable[int], days: int = 1) -> dict[int, EtaAccuracy]:
    """The figures of several Spaces over this many UTC days up to today, in one round trip."""
    ids = list(space_ids)
    pipe = client.pipeline(transaction=False)
    for space_id in ids:
        for back in range(days):
            pipe.hgetall(SpaceKeys(space_id).honesty(day(back)))
    answers = pipe.execute()
    return {space_id: of_days(answers[at * days : (at + 1) * days]) for at, space_id in enumerate(ids)}


def of_days(days: Iterable[Mapping[bytes, bytes]]) -> EtaAccuracy:
    """The figures of some days together."""
    total: Counter[str] = Counter()
    for figures in days:
        total.update({name.decode(): int(value) for name, value in figures.items()})
    count = total["count"]
    if not count:
        return EtaAccuracy()
    return EtaAccuracy(count=count, median_error=_median(total), within=total["within"] / count)


def _median(total: Counter[str]) -> float:
    """The middle error, by straight line within its bucket (the last, "more", counts with its lower
    bound)."""
    half = total["count"] / 2
    below, low = 0, 0.0
    for bound in ERROR_BOUNDS:
        n = total[f"off:{bound:g}"]
        if n and below + n >= half:
            return low + (bound - low) * (half - below) / n
        below, low = below + n, bound
    return low
