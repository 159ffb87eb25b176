"""How many calls a Space may run at once after it ran out of memory again and again: fewer, and step by step
more again while that holds. Pure: ends, the present step and the owner's number in, the next step out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

#: So many ends within this time lower the number.
ENDS, WITHIN_S = 3, 600.0
#: A number holds once it stood for so long, and in so many minutes all that it allows ran at once. After each
#: probe that failed it has to stand twice as long.
HOLDS_S, HOLDS_MINUTES = 600.0, 5
LONGEST_S = 24 * 3600.0


@dataclass(frozen=True, kw_only=True)
class Step:
    """What is in force. `limit` calls at once, None: as many as the owner's setting, on probation; `since`
    Unix seconds; `good`: what held before this number is probed, 0: it is no probe; `failed` probes so
    far."""

    limit: int | None
    since: float
    good: int = 0
    failed: int = 0


@dataclass(frozen=True, kw_only=True)
class End:
    """A container ran out of memory with so many calls at once. `at` in Unix seconds."""

    at: float
    calls: int


def half(calls: int) -> int:
    """A number of calls with which what ran out of memory is tried next."""
    return max(1, (calls + 1) // 2)


def next_step(
    step: Step | None, ends: Sequence[End], *, owners: int, now: float, full_minutes: int
) -> Step | None:
    """The step from now on; None: nothing is lowered.

    Args:
        ends: those of the last ten minutes at least.
        owners: the most calls at once that the owner's settings allow.
        full_minutes: minutes since the present step in which all calls that it allows ran at once.
    """
    since = step.since if step is not None else 0.0
    # One call by itself would not need less memory if fewer ran.
    calls = [end.calls for end in ends if end.at > since and now - end.at <= WITHIN_S and end.calls > 1]
    if step is not None and step.good and any(number > step.good for number in calls):
        return Step(limit=step.good, since=now, failed=step.failed + 1)
    present = owners if step is None or step.limit is None else step.limit
    if len(calls) >= ENDS and half(min(calls)) < present:
        return Step(limit=half(min(calls)), since=now, failed=step.failed if step is not None else 0)
    return _up(step, owners, now, full_minutes) if step is not None else None


def _up(step: Step, owners: int, now: float, full_minutes: int) -> Step | None:
    if step.limit is not None and step.limit >= owners:
        return None  # the owner allows no more than that
    stood_s = now - step.since
    is_held = full_minutes >= HOLDS_MINUTES and stood_s >= min(HOLDS_S * 2**step.failed, LONGEST_S)
    if step.limit is None:
        return None if is_held or stood_s >= LONGEST_S else step
    if not is_held:
        return step
    more = step.limit + max(1, step.limit // 2)
    return Step(limit=more if more < owners else None, since=now, good=step.limit, failed=step.failed)
