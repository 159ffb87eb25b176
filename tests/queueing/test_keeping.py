"""Whose stream stays open for a moment when all is over: of clients that call again at once, of no others."""

from __future__ import annotations

import pytest

from queueing.delivery import keeping
from queueing.delivery.keeping import KEEP_S, Keeping

SESSION = (1, "session")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr("queueing.delivery.keeping.time.monotonic", lambda: now[0])
    return now


def test_a_sessions_first_stream_ends_with_its_last_event(clock: list[float]) -> None:
    assert Keeping().seconds(SESSION) == 0


def test_the_stream_of_who_is_back_at_once_is_kept(clock: list[float]) -> None:
    known = Keeping()
    known.ended(SESSION, for_nothing=False)
    clock[0] += keeping.BACK_WITHIN_S / 2
    assert known.seconds(SESSION) == KEEP_S
    assert known.seconds((1, "other")) == known.seconds((2, "session")) == 0


def test_the_stream_of_who_comes_later_is_not(clock: list[float]) -> None:
    known = Keeping()
    known.ended(SESSION, for_nothing=False)
    clock[0] += 2 * keeping.BACK_WITHIN_S
    assert known.seconds(SESSION) == 0


def test_a_stream_that_was_kept_for_nothing_is_not_kept_again_for_a_while(clock: list[float]) -> None:
    """Its client reads each stream to the end before it calls again."""
    known = Keeping()
    known.ended(SESSION, for_nothing=True)
    for _ in range(3):
        assert known.seconds(SESSION) == 0
        clock[0] += keeping.NOT_AGAIN_S / 4
        known.ended(SESSION, for_nothing=False)
    clock[0] += keeping.NOT_AGAIN_S
    known.ended(SESSION, for_nothing=False)
    assert known.seconds(SESSION) == KEEP_S


def test_what_is_known_is_bounded(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "REMEMBERED", 10)
    known = Keeping()
    for n in range(100):
        known.ended((n, "session"), for_nothing=False)
    assert len(known._ended) <= 12
