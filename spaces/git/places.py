"""How many may take something large at a time: in all, and from one address."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter

ASK_AGAIN_S = 0.2


class Full(RuntimeError):
    """No more now; the message says why, in a sentence. `status` is HTTP's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Places:
    """So many of these (`what`) at a time in this process."""

    def __init__(self, what: str, total: int, per_address: int) -> None:
        self._what, self._total, self._per_address = what, total, per_address
        self._taken: Counter[str] = Counter()
        # The garbage collector may give one back in the midst of taking another.
        self._lock = threading.RLock()

    def take(self, address: str) -> None:
        """Take a place, to be given back.

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

    async def taken(self, address: str, within_s: float) -> None:
        """Wait for a place so long.

        Raises:
            Full
        """
        until = time.monotonic() + within_s
        while True:
            try:
                self.take(address)
            except Full:
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(ASK_AGAIN_S)
            else:
                return

    def give_back(self, address: str) -> None:
        """It has ended."""
        with self._lock:
            self._taken[address] -= 1
            if not self._taken[address]:
                del self._taken[address]

    def __len__(self) -> int:
        return self._taken.total()
