"""Limits the calls that run at once, of each group and in all, by the platform's numbers and by the author's.

More calls may be here than there are slots. A slot goes to the one that came first, even if its inputs are
not ready yet; mostly they are, for they are made ready while it waits, and outputs are once it has left. So
short functions follow each other without a pause. A plain function waits in its own thread: no event loop
stands between one and the next.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

DEFAULT = "default"  # the limit of a group whose code gives none
MOST_GROUPS = 2000  # groups: no app has so many at once


class Withdrawn(Exception):
    """The call was taken back while it waited."""


class Ticket:
    """One call on its way into its function."""

    def __init__(
        self, inner: Any, session: str | None, *, limited: bool, group: str = "", limit: Any = DEFAULT
    ) -> None:
        """`inner`: Gradio's own count of the function, with the author's `concurrency_limit`; `session`: what
        it may depend on; `limited`: whether it counts for the platform's slots, those of its `group`.
        `limit`: how many of the group the code lets in at once; None is any number, or "default"."""
        self.inner, self.session, self.limited = inner, session, limited
        self.group, self.limit = group, limit
        self.inside = False
        self.wants = True  # to get in
        self.last = False  # it waits for those before it to be at their ends, not only out of their functions
        self.counted = False  # in Gradio's own count
        self.withdrawn = False
        self.wake: Callable[[], object] | None = None  # wakes the waiter when it is let in
        self.since = 0.0
        self.inside_s = 0.0  # how long it was inside


class SlotLimiter:
    """The slots of one app. Threads come and go by themselves, so all is done under a lock."""

    def __init__(self) -> None:
        self._limits: dict[str, int] = {}  # by group
        self._each = 1  # of a group without a limit of the platform or the code; 0: any number
        self._total = 0  # of all together; 0: any number
        self._lock = threading.RLock()
        self._here: list[Ticket] = []
        self._inside: list[Ticket] = []

    def arrive(self, one: Ticket) -> bool:
        """It is here, and goes in at once where a slot is free. False: it may not even have its inputs made
        ready before it is inside, for they may depend on another call of the same session."""
        with self._lock:
            one.last = one.session is not None and any(o.session == one.session for o in self._here)
            self._here.append(one)
            self.admit()
            return one.inside or not one.last

    async def enter(self, one: Ticket) -> None:
        """Go in as soon as a slot is free; at once where it is inside."""
        entered = asyncio.Event()
        loop = asyncio.get_running_loop()
        if not self._wait(one, lambda: loop.call_soon_threadsafe(entered.set)):
            return
        try:
            await entered.wait()
        finally:
            self.withdraw(one)

    def enter_thread(self, one: Ticket) -> None:
        """The same, of a thread.

        Raises:
            Withdrawn
        """
        entered = threading.Event()
        if self._wait(one, entered.set):
            entered.wait()
        if one.withdrawn:
            raise Withdrawn

    def _wait(self, one: Ticket, wake: Callable[[], object]) -> bool:
        """Whether it has to wait to be woken."""
        with self._lock:
            if not one.inside and not one.withdrawn:
                one.wake, one.wants = wake, True
                self.admit()
            return not one.inside and not one.withdrawn

    def leave(self, one: Ticket) -> None:
        """Its function has ended; the next may go in."""
        with self._lock:
            if one.inside:
                one.inside = False
                one.inside_s += time.monotonic() - one.since
                self._inside.remove(one)
                self.admit()

    def withdraw(self, one: Ticket) -> bool:
        """Take it back where it is not inside: then it never gets there."""
        with self._lock:
            if one.inside:
                return False
            one.withdrawn, one.wants = True, False
            if one.wake is not None:
                one.wake()
            return True

    def depart(self, one: Ticket) -> None:
        """It is at its end."""
        with self._lock:
            self._here.remove(one)
            self.leave(one)
            self.withdraw(one)
            self.admit()

    def allow(self, group: str, slots: int, *, each: int, total: int) -> None:
        """Set the slots from now on: of this group, of each other one that has no number, and of all."""
        with self._lock:
            if len(self._limits) > MOST_GROUPS:
                self._limits.clear()
            self._limits[group], self._each, self._total = slots, each, total
            self.admit()

    def _limit(self, one: Ticket) -> int:
        """Of its group; 0: any number."""
        if (limit := self._limits.get(one.group)) is not None:
            return limit
        if one.limit == DEFAULT:
            return self._each
        return one.limit or 0

    def admit(self) -> None:
        """Let in the calls that may enter, in the order they came."""
        with self._lock:
            for one in self._here:
                if one.wants and self._may_enter(one):
                    one.inside, one.wants, one.since = True, False, time.monotonic()
                    self._inside.append(one)
                    if one.wake is not None:
                        one.wake()

    def _may_enter(self, one: Ticket) -> bool:
        before = self._here[: self._here.index(one)] if one.last else self._inside
        if one.limited and not self._has_slot(one, [other for other in before if other.limited]):
            return False
        if one.inner is None or (limit := one.inner.concurrency_limit) is None:
            return True
        ours = sum(other.inner is one.inner for other in before)
        counted = sum(other.inner is one.inner and other.counted for other in self._here)
        # What Gradio's own queue runs under the same limit.
        others = max(one.inner.current_concurrency - counted, 0)
        return bool(ours + others < limit)

    def _has_slot(self, one: Ticket, before: list[Ticket]) -> bool:
        limit = self._limit(one)
        if limit and sum(other.group == one.group for other in before) >= limit:
            return False
        return not self._total or len(before) < self._total
