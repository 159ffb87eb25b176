"""When there will be room on a tier: from when idle Spaces sleep, and from how long Spaces ran there lately.
Pure: nothing is read here, and where too little is known there is no answer."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

#: So many Spaces must have run longer than this one has, for its end to be foreseen.
LEAST = 5
#: A Space that starts again within this time has held its room all along.
PAUSE_S = 60.0


class Ran(NamedTuple):
    """A replica of a Space: when it began to serve and when it ended, in Unix seconds; None: it runs."""

    space_id: int
    began: float
    ended: float | None


class Runner(NamedTuple):
    """A Space that holds room: for how long it has, and seconds until it sleeps, if it is idle and may."""

    age_s: float
    until_asleep_s: float | None


def stints(rows: Iterable[Ran], now: float) -> tuple[list[float], dict[int, float]]:
    """How long Spaces held room before they gave it up, in seconds; and those that hold some -> for how long.
    A Space whose replicas follow upon each other (a push, a move) has held it all along."""
    held: list[float] = []
    ages: dict[int, float] = {}
    for space_id, its in groupby(sorted(rows, key=lambda row: row[:2]), key=lambda row: row.space_id):
        began, end = None, 0.0
        for row in its:
            if began is not None and row.began > end + PAUSE_S:
                held.append(end - began)
                began = None
            began = row.began if began is None else began
            end = max(end, math.inf if row.ended is None else row.ended)
        assert began is not None
        if end == math.inf:
            ages[space_id] = now - began
        else:
            held.append(end - began)
    return held, ages


def until_room_s(place: int, runners: Iterable[Runner], held: Sequence[float]) -> float | None:
    """Seconds until the one at this place in line (from 1) likely has room: when as many are expected to have
    ended. None: that is not foreseen."""
    expected = 0.0
    for at, weight in sorted(end for runner in runners for end in _ends(runner, held)):
        expected += weight
        if expected >= place - 0.5:
            return at
    return None


def _ends(runner: Runner, held: Sequence[float]) -> Iterator[tuple[float, float]]:
    """When it may end, with the likelihood of each."""
    if runner.until_asleep_s is not None:
        yield runner.until_asleep_s, 1.0
        return
    longer = [one - runner.age_s for one in held if one > runner.age_s]
    if len(longer) >= LEAST:
        yield from ((left, 1 / len(longer)) for left in longer)
