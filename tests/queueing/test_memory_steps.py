"""When the number of calls at once is lowered for want of memory, and when it is raised again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queueing.stats.memory_steps import ENDS, HOLDS_MINUTES, HOLDS_S, WITHIN_S, End, Step, next_step

NOW = 1_000_000.0


def ends(*calls: int, ago_s: float = 60) -> list[End]:
    return [End(at=NOW - ago_s, calls=number) for number in calls]


def lowered(limit: int | None, ago_s: float = 3 * HOLDS_S, *, good: int = 0, failed: int = 0) -> Step:
    return Step(limit=limit, since=NOW - ago_s, good=good, failed=failed)


def begun(limit: int | None, *, good: int = 0, failed: int = 0) -> Step:
    return lowered(limit, 0, good=good, failed=failed)


@pytest.mark.parametrize(
    ("what", "step", "seen", "full_minutes", "expected"),
    [
        ("nothing happened", None, [], 0, None),
        ("twice", None, ends(4, 4), 0, None),
        ("three times", None, ends(4, 4, 4), 0, begun(2)),
        ("half of the fewest, rounded up", None, ends(8, 5, 7), 0, begun(3)),
        ("two at once", None, ends(2, 2, 2), 0, begun(1)),
        ("three times in more than ten minutes", None, ends(4, 4) + ends(4, ago_s=WITHIN_S + 1), 0, None),
        ("calls by themselves do not count", None, ends(4, 4, 1, 1), 0, None),
        ("more ran than the owner allows by now", None, ends(40, 40, 40), 0, None),
        ("those before the step do not count again", lowered(4, 30), ends(6, 6, 6), 0, lowered(4, 30)),
        ("three times more", lowered(4), ends(4, 4, 4), 9, begun(2)),
        ("one is the least", lowered(1), ends(1, 1, 1), 0, lowered(1)),
        ("it held", lowered(2), [], HOLDS_MINUTES, begun(3, good=2)),
        ("it held, and half as many more are tried", lowered(4), [], HOLDS_MINUTES, begun(6, good=4)),
        ("it was not needed", lowered(2), [], HOLDS_MINUTES - 1, lowered(2)),
        ("it stood too short", lowered(2, HOLDS_S - 1), [], 9, lowered(2, HOLDS_S - 1)),
        ("after two failed probes it stands four times as long", lowered(2, failed=2), [], 30,
         lowered(2, failed=2)),
        ("and then is tried again", lowered(2, 4 * HOLDS_S, failed=2), [], 30, begun(3, good=2, failed=2)),
        ("a probe failed once", lowered(3, good=2), ends(3), 9, begun(2, failed=1)),
        ("an end with what had held says nothing of the probe", lowered(6, 70, good=4), ends(4), 0,
         lowered(6, 70, good=4)),
        ("the next one is the owner's number", lowered(8), [], 9, begun(None, good=8)),
        ("and so it is where it is just that", lowered(7), [], 9, begun(None, good=7)),
        ("the owner's number fails", lowered(None, good=8), ends(10), 0, begun(8, failed=1)),
        ("the owner's number is on probation", lowered(None, 60, good=8), [], 1, lowered(None, 60, good=8)),
        ("the owner's number holds", lowered(None, good=8), [], HOLDS_MINUTES, None),
        ("the owner's number was never needed for a day", lowered(None, 86_400, good=8), [], 0, None),
        ("the owner allows no more", lowered(10), [], 0, None),
    ],
)  # fmt: skip
def test_the_next_step(
    what: str, step: Step | None, seen: list[End], full_minutes: int, expected: Step | None
) -> None:
    found = next_step(step, seen, owners=10, now=NOW, full_minutes=full_minutes)
    assert found == expected, what


@given(owners=st.integers(2, 60), fit=st.integers(1, 60), hours=st.integers(6, 48))
def test_a_busy_space_settles_at_what_fits_and_is_rarely_probed(owners: int, fit: int, hours: int) -> None:
    """A minute at a time; as many run as may. Of those that fit, none end."""
    step: Step | None = None
    seen: list[End] = []
    full_minutes = 0
    for minute in range(hours * 60):
        now = NOW + 60 * minute
        limit = owners if step is None or step.limit is None else step.limit
        assert 1 <= limit <= owners
        if limit > fit:
            seen.append(End(at=now, calls=limit))
        else:
            full_minutes += 1
        new = next_step(step, seen, owners=owners, now=now, full_minutes=full_minutes)
        if new != step:
            step, full_minutes = new, 0
    if fit >= owners:
        assert step is None
        assert seen == []
    else:
        # At most six halvings, of three ends each; then probes that are twice as far apart each time.
        assert len(seen) <= 6 * ENDS + 10
        assert step is not None
        assert step.limit is not None
        assert min(step.limit, step.good or step.limit) <= fit


@given(owners=st.integers(2, 200), fit=st.integers(1, 100))
def test_all_is_as_the_owner_says_again_once_nothing_ends_any_more(owners: int, fit: int) -> None:
    """The app was mended."""
    step = Step(limit=min(fit, owners - 1), since=NOW)
    for minute in range(10 * 24 * 60):
        now = NOW + 60 * minute
        new = next_step(step, [], owners=owners, now=now, full_minutes=int(now - step.since) // 60)
        if new is None:
            return
        assert (new.limit or owners) >= (step.limit or owners)
        step = new
    raise AssertionError("it is still lowered")
