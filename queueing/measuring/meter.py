"""What a replica uses while it is measured: sampled in a thread, many times a second."""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from hardware import devices, load
from hardware.runtimes.base import EngineUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hardware.runtimes.base import Runtime, Stats

logger = logging.getLogger(__name__)

EVERY_S = 0.1
#: A device is asked every so many samples: that takes longer.
DEVICE_EVERY = 5
#: Of the machine's cores, the shares above which all are busy, and others have a part of them.
FULL, CROWD = 0.85, 0.2


class Spent(NamedTuple):
    """Over a while: the most memory in bytes, cores busy on average; whether all cores of the machine were,
    and others had a part of them; of its devices, part of the time in which they worked and the most bytes,
    None where there is none or it does not say."""

    memory_bytes: int
    cores: float
    is_crowded: bool
    gpu_busy: float | None
    gpu_memory_bytes: int | None


class Meter:
    """Of one replica. `most_bytes`: memory beyond which `is_over` is set, 0 for no bound."""

    def __init__(self, runtime: Runtime, runtime_id: str, gpus: Sequence[str] = ()) -> None:
        self._runtime, self._runtime_id, self._gpus = runtime, runtime_id, frozenset(gpus)
        self.most_bytes = 0
        self.is_over = threading.Event()
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="meter", daemon=True)
        self._first: Stats | None = None
        self._began = time.monotonic()
        self._machine_first = 0.0
        self._peak = 0
        self._busy = list[float]()
        self._gpu_peak: int | None = None

    def __enter__(self) -> Meter:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join(5)

    def begin(self) -> None:
        """Count from now on."""
        self._reset(self._sampled())

    def spent(self) -> Spent:
        """Since then."""
        now = self._sampled()
        with self._lock:
            if now is not None:
                self._peak = max(self._peak, now.memory_bytes)
            began, at = self._first, self._began
            cores = 0.0
            if now is not None and began is not None:
                # Ended processes take their CPU time with them.
                cores = max(0.0, now.cpu_seconds - began.cpu_seconds) / max(time.monotonic() - at, 1e-3)
            busy = sum(self._busy) / len(self._busy) if self._busy else None
            return Spent(self._peak, cores, self._is_crowded(cores), busy, self._gpu_peak)

    def _is_crowded(self, own: float) -> bool:
        there = os.cpu_count() or 1
        busy = (load.busy_seconds() - self._machine_first) / max(time.monotonic() - self._began, 1e-3)
        return busy > FULL * there and busy - own > CROWD * there

    def memory_bytes(self) -> int:
        """In use now."""
        now = self._sampled()
        return now.memory_bytes if now is not None else 0

    def _reset(self, first: Stats | None) -> None:
        with self._lock:
            self._first, self._began = first, time.monotonic()
            self._machine_first = load.busy_seconds()
            self._peak = first.memory_bytes if first is not None else 0
            self._busy.clear()
            self._gpu_peak = None

    def _sampled(self) -> Stats | None:
        try:
            return self._runtime.stats(self._runtime_id)
        except EngineUnavailable as error:
            logger.info("not sampled: %s", error)
            return None

    def _run(self) -> None:
        number = 0
        while not self._ending.wait(EVERY_S):
            if (now := self._sampled()) is not None:
                with self._lock:
                    self._peak = max(self._peak, now.memory_bytes)
                if self.most_bytes and now.memory_bytes > self.most_bytes:
                    self.is_over.set()
            if self._gpus and number % DEVICE_EVERY == 0:
                self._sample_devices()
            number += 1

    def _sample_devices(self) -> None:
        loads = [one for uuid, one in devices.loads().items() if uuid in self._gpus]
        busy = [one.busy for one in loads if one.busy is not None]
        used = [one.memory_bytes for one in loads if one.memory_bytes is not None]
        with self._lock:
            if busy:
                self._busy.append(sum(busy) / len(busy))
            if used:
                self._gpu_peak = max(self._gpu_peak or 0, sum(used))
