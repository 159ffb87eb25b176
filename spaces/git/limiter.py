"""Limits how many large transfers run at a time: in all, and for one address."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter

RETRY_EVERY_S = 0.2


class Full(RuntimeError):
    """No more now; the message is a sentence with the reason. `status` is HTTP's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Limiter:
    """Allows so many of these (`what`) at a time in this process."""

    def __init__(self, what: str, total: int, per_address: int) -> None:
        self._what, self._total, self._per_address = what, total, per_address
        self._taken: Counter[str] = Counter()
        # The garbage collector may release one while another is being acquired.
        self._lock = threading.RLock()

    def acquire(self, address: str) -> None:
        """Take a slot, to be released.

        Raises:
            Full
        """
        with self._lock:
            if self._taken[address] >= self._per_address:
                text = f"{self._per_address} {self._what} from your address are under way; try again soon."
                raise Full(429, text)
            if self._taken.total() >= self._total:
                raise Full(503, f"Too many {self._what} are under way here; try again soon.")
            self._taken[address] += 1

    async def acquire_within(self, address: str, within_s: float) -> None:
        """Take a slot, waiting up to this long.

        Raises:
            Full
        """
        until = time.monotonic() + within_s
        while True:
            try:
                self.acquire(address)
            except Full:
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(RETRY_EVERY_S)
            else:
                return

    def release(self, address: str) -> None:
        """Give a slot back."""
        with self._lock:
            self._taken[address] -= 1
            if not self._taken[address]:
                del self._taken[address]

    def __len__(self) -> int:
        return self._taken.total()
