"""Which calls are sent to the app ahead of their turn: those of functions whose calls were short, several in
a row. For these the gap between two calls matters, and nobody waits long outside the line."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from queueing.lines import MAIN

if TYPE_CHECKING:
    from queueing.dispatch.backends.launcher import LauncherClient
    from queueing.events import Call

SHORT_S = 0.5
SHORT_CALLS = 5
MOST_PREFETCHED = 8  # calls of a line in the app beyond its limit
BACK_S = 1.0  # one that waits longer there goes back in line


class PrefetchPolicy:
    """Which calls one dispatcher prefetches, by the direct way."""

    def __init__(self, direct: LauncherClient | None, *, gate: bool) -> None:
        """`gate`: whether the app delays prefetched calls until their turn."""
        self._direct = direct
        self._never = direct is None or not gate
        self._short: Counter[str] = Counter()  # calls in a row, by function
        self._busy: Counter[tuple[str, str]] = Counter()  # the main lane's calls now, by line and function

    @property
    def limit(self) -> int:
        """How many calls of a line may be in the app beyond those that may run there."""
        return 0 if self._never else MOST_PREFETCHED

    @property
    def long_lines(self) -> set[str]:
        """The lines in which a call runs that may take long: no event should wait behind it inside the
        app."""
        return {line for line, fn in +self._busy if self._short[fn] < SHORT_CALLS}

    @property
    def short_functions(self) -> list[str]:
        """The functions whose calls may be prefetched."""
        return [fn for fn, calls in self._short.items() if calls >= SHORT_CALLS]

    @contextlib.contextmanager
    def busy(self, call: Call) -> Iterator[None]:
        """Count the call as running while the block lasts."""
        kind, counts = (call.line, call.events[0].fn), call.lane == MAIN
        self._busy[kind] += counts
        try:
            yield
        finally:
            self._busy[kind] -= counts

    def ended(self, fn: str, took_s: float) -> None:
        """A call of this function has ended; it ran for so long."""
        self._short[fn] = self._short[fn] + 1 if took_s <= SHORT_S else 0

    def never(self) -> None:
        """Prefetch nothing any more: some function has no direct way, so its calls take slots that the app
        does not count."""
        self._never = True

    @contextlib.contextmanager
    def begun(self, call: Call) -> Iterator[Callable[[], None]]:
        """Begin it. A prefetched call is taken back unless the yielded function is called soon, which means
        that the app has sent a message of it."""
        assert self._direct is not None
        back = asyncio.get_running_loop().call_later(BACK_S, self._take_back, call.events[0].id)
        if not self.limit or call.line in self.long_lines:
            back.cancel()
        self._direct.begin(call)
        try:
            yield back.cancel
        finally:
            back.cancel()

    def _take_back(self, event_id: str) -> None:
        """Prefetch nothing from now on: until this call is in line again, later claims would overtake it."""
        assert self._direct is not None
        self._short.clear()
        self._direct.back(event_id)
