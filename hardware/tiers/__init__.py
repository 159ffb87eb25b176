"""The hardware tiers, their limits, and the Hub's names for them. They are rows that administrators change
(`hardware.tiers.rows`); every process reads them anew every few seconds. No Django here."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

GIB = 1024**3
SEVERAL = re.compile(r"[\w-]+x([2-9]|[1-9]\d)")  # the Hub's names for several GPUs: a100x8
#: A change is seen everywhere within this time.
REREAD_S = 2.0
#: The tier of a Space whose owner chose none, which simulated replicas count as.
DEFAULT = "cpu"


class UnknownTier(ValueError):
    """No tier or Hub flavor has this name."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one replica may use: cores, bytes of memory, processes; `sandbox` as in `Tier`."""

    cpus: float
    memory_bytes: int
    pids: int
    sandbox: str = ""

    def to_json(self) -> dict[str, Any]:
        value = asdict(self)
        if not self.sandbox:
            del value["sandbox"]  # a node of an earlier version knows none
        return value


@dataclass(frozen=True, kw_only=True)
class Tier:
    """One kind of hardware. `cpus` in cores, `memory_bytes` and `gpu_memory_bytes` in bytes."""

    name: str
    title: str
    cpus: float
    memory_bytes: int
    pids: int
    #: The accelerator's model as NVML names it, in part; empty for none.
    gpu: str = ""
    gpu_memory_bytes: int = 0
    #: What the Hub calls it; the first is the one we answer with.
    aliases: tuple[str, ...] = ()
    #: The engine's runtime that its containers run in: "runsc" is gVisor. Empty: the engine's own.
    sandbox: str = ""
    #: What it is good for, in a sentence, for those who choose.
    note: str = ""
    #: Of one replica, in the currency of the platform; 0: it costs nothing.
    price_per_hour: Decimal = Decimal(0)
    #: No Space can choose it any more; those on it stay.
    is_closed: bool = False
    #: How many replicas an owner may have on it at once; None: no limit.
    most_per_owner: int | None = None

    @property
    def queue(self) -> str:
        """The Celery queue of this tier."""
        return queue_of(self.name)

    @property
    def flavor(self) -> str:
        """The Hub's name for it."""
        return self.aliases[0] if self.aliases else self.name

    @property
    def price(self) -> str:
        """Of an hour, in digits: "0.8"."""
        return f"{self.price_per_hour.normalize():f}"

    @property
    def limits(self) -> Limits:
        """What a replica that is ordered now may use."""
        return Limits(cpus=self.cpus, memory_bytes=self.memory_bytes, pids=self.pids, sandbox=self.sandbox)


#: The tiers of a new platform.
BUILT_IN: dict[str, Tier] = {
    tier.name: tier
    for tier in (
        Tier(
            name="cpu",
            title="CPU",
            cpus=2,
            memory_bytes=4 * GIB,
            pids=512,
            aliases=("cpu-basic", "cpu-upgrade"),
            note="Plain functions, small models, everything that waits for others.",
        ),
        Tier(
            name="t4",
            title="NVIDIA T4",
            cpus=4,
            memory_bytes=15 * GIB,
            pids=1024,
            gpu="T4",
            gpu_memory_bytes=16 * GIB,
            aliases=("t4-small", "t4-medium"),
            note="Image and language models up to about 7 billion parameters in 8 bit.",
        ),
        Tier(
            name="a100",
            title="NVIDIA A100",
            cpus=12,
            memory_bytes=142 * GIB,
            pids=2048,
            gpu="A100",
            gpu_memory_bytes=80 * GIB,
            aliases=("a100-large",),
            note="Large models, large batches.",
        ),
    )
}


class Tiers(Mapping[str, Tier]):
    """The tiers by name, as they were at most `REREAD_S` ago. Where nobody named a source of them, they are
    those of a new platform."""

    def __init__(self) -> None:
        #: Reads the rows; Django's start names it.
        self.source: Callable[[], dict[str, Tier]] | None = None
        self._read: dict[str, Tier] | None = None
        self._until = 0.0
        self._lock = threading.Lock()

    def __getitem__(self, name: str) -> Tier:
        return self._now()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._now())

    def __len__(self) -> int:
        return len(self._now())

    def forget(self) -> None:
        """Read them anew at the next question."""
        self._until = 0.0

    def _now(self) -> dict[str, Tier]:
        if self.source is None:
            return BUILT_IN
        found = self._read
        if found is not None and time.monotonic() < self._until:
            return found
        # One thread reads; the others go on with what is known, if anything is.
        if not self._lock.acquire(blocking=found is None):
            assert found is not None
            return found
        try:
            self._read = self.source()
            self._until = time.monotonic() + REREAD_S
            return self._read
        finally:
            self._lock.release()


TIERS = Tiers()


def queue_of(tier: str) -> str:
    """The Celery queue of the tier of this name, also when it is gone."""
    return f"hw.{tier}"


def tier(name: str) -> Tier:
    """The tier of this name or Hub flavor.

    Raises:
        UnknownTier: naming the ones there are.
    """
    by_any_name = {alias: one for one in TIERS.values() for alias in (one.name, *one.aliases)}
    try:
        return by_any_name[name]
    except KeyError:
        known = ", ".join(f"{t.name} ({t.flavor})" for t in TIERS.values() if not t.is_closed)
        several = SEVERAL.fullmatch(name)
        problem = (
            f"'{name}' has {several[1]} GPUs; a Space here has at most one."
            if several
            else f"There is no hardware '{name}'."
        )
        raise UnknownTier(f"{problem} Choose one of: {known}.") from None
