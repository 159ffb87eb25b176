"""Which calls are sent to the app ahead of their turn: those of functions whose calls were short, several in
a row. What lies between two of them weighs, and nobody waits long outside the line."""

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
    """What one dispatcher sends ahead, by the direct way."""

    def __init__(self, direct: LauncherClient | None, *, gate: bool) -> None:
        """`gate`: whether the app holds back what is sent ahead of its turn."""
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
        """The lines in which something runs that may take long: nobody is to wait behind it there."""
        return {line for line, fn in +self._busy if self._short[fn] < SHORT_CALLS}

    @property
    def short_functions(self) -> list[str]:
        """The functions whose calls may be among them."""
        return [fn for fn, calls in self._short.items() if calls >= SHORT_CALLS]

    @contextlib.contextmanager
    def busy(self, call: Call) -> Iterator[None]:
        """The call is worked on."""
        kind, counts = (call.line, call.events[0].fn), call.lane == MAIN
        self._busy[kind] += counts
        try:
            yield
        finally:
            self._busy[kind] -= counts

    def ended(self, fn: str, took_s: float) -> None:
        """A call of this function was so long inside it."""
        self._short[fn] = self._short[fn] + 1 if took_s <= SHORT_S else 0

    def never(self) -> None:
        """Some function here has no direct way: its calls take places that the app does not count."""
        self._never = True

    @contextlib.contextmanager
    def begun(self, call: Call) -> Iterator[Callable[[], None]]:
        """Begin it. Where it may have been sent ahead of its turn, it is taken back unless what this yields
        is called soon: the app has said something of it."""
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
        """From now on nothing is sent ahead: until it is in line again, what is claimed would overtake it."""
        assert self._direct is not None
        self._short.clear()
        self._direct.back(event_id)
