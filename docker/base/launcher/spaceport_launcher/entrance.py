"""Where Gradio has decided how a function runs, a call of the platform's needs a slot.

Nothing is decided here. `get_function_with_locals` makes the function that Gradio is about to call, and
Gradio next inspects this very object: it awaits a coroutine function and calls anything else in a thread.
`async_iteration` is called for each step of what Gradio has found to be a generator.
"""

from __future__ import annotations

import asyncio
import inspect
from contextvars import ContextVar
from functools import wraps
from typing import TYPE_CHECKING, Any

from spaceport_launcher.untraced import untraced

if TYPE_CHECKING:
    from collections.abc import Callable

    from spaceport_launcher.call_log import Work
    from spaceport_launcher.slot_limiter import SlotLimiter

#: The entry of the work that the running task does.
entry: ContextVar[Entry | None] = ContextVar("entry", default=None)
_guarded = False


class Entry:
    """One work's way into its function. What the function calls by itself, other functions of the app too, is
    inside already: only the first one in the work's context takes a slot."""

    def __init__(self, work: Work, slots: SlotLimiter, started: Callable[[Work], None]) -> None:
        """`started`: called in the event loop once the work is in its function."""
        self._work, self._slots, self._started = work, slots, started
        self._loop = asyncio.get_running_loop()
        self._used = False

    def into(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """What Gradio is to call instead of this function."""
        if self._used or inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            return function
        self._used = True
        return self._awaited(function) if inspect.iscoroutinefunction(function) else self._threaded(function)

    async def first_step(self) -> None:
        """A generator stays inside from its first step to the work's end."""
        if not self._used:
            self._used = True
            await self._enter()

    async def _enter(self) -> None:
        await self._slots.enter(self._work.ticket)
        self._started(self._work)

    def _awaited(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def awaited(*args: Any, **kwargs: Any) -> Any:
            with untraced:
                await self._enter()
                try:
                    return await function(*args, **kwargs)
                finally:
                    self._slots.leave(self._work.ticket)

        return awaited

    def _threaded(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """It takes its slot in its thread, and cannot be ended there."""
        work = self._work
        work.stoppable = False

        def threaded(*args: Any, **kwargs: Any) -> Any:
            with untraced:
                self._slots.enter_thread(work.ticket)
                try:
                    if work.starts:
                        self._loop.call_soon_threadsafe(self._started, work)
                    return function(*args, **kwargs)
                finally:
                    self._slots.leave(work.ticket)

        return threaded


def guard(utils: Any) -> None:
    """Let nothing that the platform calls into its function without a slot. `utils`: Gradio's."""
    global _guarded
    if _guarded:
        return
    _guarded = True
    with_locals, iteration = utils.get_function_with_locals, utils.async_iteration

    @wraps(with_locals)
    def get_function_with_locals(*args: Any, **kwargs: Any) -> Any:
        function, mine = with_locals(*args, **kwargs), entry.get()
        return function if mine is None else mine.into(function)

    @wraps(iteration)
    async def async_iteration(iterator: Any) -> Any:
        with untraced:
            if (mine := entry.get()) is not None:
                await mine.first_step()
            return await iteration(iterator)

    utils.get_function_with_locals, utils.async_iteration = get_function_with_locals, async_iteration
