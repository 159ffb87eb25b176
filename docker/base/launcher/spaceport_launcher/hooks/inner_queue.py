"""Gradio's own queue sleeps while nobody is in it.

Two loops poll all the time: one for events that wait, one for progress of those that run. Gradio 6 polls a
thousand and a hundred times a second, older releases twenty and ten times. But whatever enters a queue calls
one of its methods, so until then the loops may sleep.

They stay Gradio's own. Only their `asyncio.sleep` is another one, for the two times that they sleep for: a
release whose loops sleep in another way polls as before.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import types
from typing import TYPE_CHECKING, Any

from spaceport_launcher.untraced import untraced

if TYPE_CHECKING:
    from collections.abc import Callable

#: While a queue is not empty, it checks this often whether the next event may run.
POLL_S = 0.02
#: And this often while it is empty, in case a release has a way in that is not known here.
CHECK_S = 1.0
#: What brings events, runs them, and ends the loops.
METHODS = ("start", "push", "process_events", "close")


class _Time(float):
    """How long a loop of a queue sleeps while the queue is not empty."""

    loops: _Loops


class _Loops:
    """The loops of one queue that sleep because it is empty."""

    def __init__(self, queue: Any) -> None:
        self._queue = queue
        self._asleep: set[asyncio.Future[None]] = set()

    async def sleep(self, seconds: float) -> None:
        """Sleep for this time; while the queue is empty, until `wake`."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._asleep.add(future)  # before the check: another thread may end the loops meanwhile
        if not (idle := self._is_idle()):
            self._asleep.discard(future)
        timer = loop.call_later(CHECK_S if idle else seconds, _end, future)
        try:
            await future
        finally:
            timer.cancel()
            self._asleep.discard(future)

    def wake(self) -> None:
        """From any thread."""
        for future in tuple(self._asleep):
            with contextlib.suppress(RuntimeError):  # its event loop has ended
                future.get_loop().call_soon_threadsafe(_end, future)

    def _is_idle(self) -> bool:
        queue = self._queue
        waiting = queue.event_queue if hasattr(queue, "event_queue") else queue  # in Gradio 3, and since
        running = any(job is not None for job in queue.active_jobs)
        return not (queue.stopped or len(waiting) or running or getattr(queue, "continuous_tasks", ()))


def _end(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class _Asyncio(types.ModuleType):
    """`asyncio`, as the queue's module sees it."""

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    @staticmethod
    async def sleep(delay: float, result: Any = None) -> Any:
        if not isinstance(delay, _Time):
            return await asyncio.sleep(delay, result)
        await delay.loops.sleep(delay)
        return result


def patch(module: Any) -> None:
    """Let the queues of this module, `gradio.queueing`, sleep."""
    queue: Any = getattr(module, "Queue", None)
    if not all(hasattr(queue, name) for name in METHODS):
        return
    queue.start = _start(queue.start)
    queue.push = _push(queue.push)
    queue.process_events = _process_events(queue.process_events)
    queue.close = _close(queue.close)
    module.asyncio = _Asyncio("asyncio")


def _wake(queue: Any) -> None:
    time = getattr(queue, "sleep_when_free", None)
    if isinstance(time, _Time):
        time.loops.wake()


def _start(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def start(self: Any) -> None:
        loops = _Loops(self)
        for name, seconds in (("sleep_when_free", POLL_S), ("progress_update_sleep_when_free", None)):
            if not isinstance(kept := getattr(self, name, None), _Time) and kept is not None:
                time = _Time(seconds or kept)
                time.loops = loops
                setattr(self, name, time)
        original(self)

    return start


def _push(original: Callable[..., Any]) -> Callable[..., Any]:
    if not inspect.iscoroutinefunction(original):  # Gradio 3

        @functools.wraps(original)
        def push(self: Any, *args: Any, **kwargs: Any) -> Any:
            with untraced:
                pushed = original(self, *args, **kwargs)
            _wake(self)
            return pushed

        return push

    @functools.wraps(original)
    async def push_in_turn(self: Any, *args: Any, **kwargs: Any) -> Any:
        with untraced:
            pushed = await original(self, *args, **kwargs)
        _wake(self)
        return pushed

    return push_in_turn


def _process_events(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def process_events(self: Any, *args: Any, **kwargs: Any) -> Any:
        _wake(self)  # they are in its list already
        return original(self, *args, **kwargs)

    return process_events


def _close(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def close(self: Any) -> None:
        original(self)
        _wake(self)

    return close
