"""Waiting for something to become true, instead of sleeping and hoping."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import Any

#: How long a wait sleeps for each second that looking took. Looking at a platform costs processor time
#: that what is waited for needs.
SLEEPS_FOR_EACH = 8
LONGEST_S = 0.5


def _pause(least_s: float, looked_s: float) -> float:
    return max(least_s, min(SLEEPS_FOR_EACH * looked_s, LONGEST_S))


def wait_until(predicate: Callable[[], Any], description: str, timeout_s: float = 30) -> Any:
    """The first true answer of `predicate`; fails naming what was waited for."""
    deadline = time.monotonic() + timeout_s
    while True:
        began = time.monotonic()
        if value := predicate():
            return value
        if (now := time.monotonic()) > deadline:
            raise AssertionError(f"not within {timeout_s:g} s: {description}")
        time.sleep(_pause(0.05, now - began))


async def eventually(predicate: Callable[[], Any], description: str, timeout_s: float = 30) -> Any:
    """The same on an event loop; the predicate may be a coroutine function."""
    deadline = time.monotonic() + timeout_s
    while True:
        began = time.monotonic()
        value = predicate()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        if (now := time.monotonic()) > deadline:
            raise AssertionError(f"not within {timeout_s:g} s: {description}")
        await asyncio.sleep(_pause(0.02, now - began))
