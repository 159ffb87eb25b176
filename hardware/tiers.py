"""The hardware tiers, their limits, and the Hub's names for them: one table."""

from __future__ import annotations

import re
from dataclasses import dataclass

GIB = 1024**3
SEVERAL = re.compile(r"[\w-]+x([2-9]|[1-9]\d)")  # the Hub's names for several GPUs: a100x8


class UnknownTier(ValueError):
    """No tier or Hub flavor has this name."""


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
    aliases: tuple[str, ...]

    @property
    def queue(self) -> str:
        """The Celery queue of this tier."""
        return f"hw.{self.name}"

    @property
    def flavor(self) -> str:
        """The Hub's name for it."""
        return self.aliases[0]


TIERS: dict[str, Tier] = {
    tier.name: tier
    for tier in (
        Tier(
            name="cpu",
            title="CPU",
            cpus=2,
            memory_bytes=4 * GIB,
            pids=512,
            aliases=("cpu-basic", "cpu-upgrade"),
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
        ),
    )
}

_BY_ANY_NAME = {alias: tier for tier in TIERS.values() for alias in (tier.name, *tier.aliases)}


def tier(name: str) -> Tier:
    """The tier of this name or Hub flavor.

    Raises:
        UnknownTier: naming the ones there are.
    """
    try:
        return _BY_ANY_NAME[name]
    except KeyError:
        known = ", ".join(f"{t.name} ({t.flavor})" for t in TIERS.values())
        several = SEVERAL.fullmatch(name)
        problem = (
            f"'{name}' has {several[1]} GPUs; a Space here has at most one."
            if several
            else f"There is no hardware '{name}'."
        )
        raise UnknownTier(f"{problem} Choose one of: {known}.") from None
