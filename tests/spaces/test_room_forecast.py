"""When there will be room: a pure function of who runs, who sleeps, and how long others ran."""

from __future__ import annotations

import pytest

from spaces.room.forecast import Ran, Runner, stints, until_room_s

HOUR = 3600.0


def test_idle_spaces_free_their_room_when_they_fall_asleep() -> None:
    idle = [Runner(HOUR, 40), Runner(HOUR, 10), Runner(HOUR, None)]
    assert until_room_s(1, idle, []) == 10
    assert until_room_s(2, idle, []) == 40
    assert until_room_s(3, idle, []) is None, "nobody knows when the third ends"


def test_the_end_of_one_that_is_busy_is_foreseen_from_what_others_held() -> None:
    held = [100.0, 200, 300, 400, 500]
    assert until_room_s(1, [Runner(0, None)], held) == 300, "the median"
    assert until_room_s(1, [Runner(0, None)] * 5, held) == 100, "of five, one ends soon"
    assert until_room_s(1, [Runner(60, None)], held) == 240
    assert until_room_s(2, [Runner(0, None)], held) is None


@pytest.mark.parametrize("age", [101, 10_000])
def test_one_that_has_run_longer_than_nearly_all_is_not_foreseen(age: float) -> None:
    assert until_room_s(1, [Runner(age, None)], [100.0, 200, 300, 400, 500]) is None


def test_nothing_is_said_where_nothing_is_known() -> None:
    assert until_room_s(1, [], [100.0] * 9) is None
    assert until_room_s(1, [Runner(1, None)], [100.0] * 4) is None


def test_replicas_that_follow_upon_each_other_hold_the_same_room() -> None:
    rows = [
        Ran(1, 0, 100), Ran(1, 90, 200), Ran(1, 1000, 1300),  # a push, then a pause, then again
        Ran(2, 500, 600), Ran(2, 650, None),  # restarted, and it runs
        Ran(3, 900, None),
    ]  # fmt: skip
    held, ages = stints(rows, now=2000)
    assert sorted(held) == [200, 300]
    assert ages == {2: 1500, 3: 1100}
    assert stints([], now=5) == ([], {})
