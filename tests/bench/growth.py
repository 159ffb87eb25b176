"""How the cost of an event grows: with the clients of one Space, and with the Spaces."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tests.bench.client import Measured, load
from tests.bench.commands import counted
from tests.bench.sides import PARTS, Bench
from tests.bench.standins import stand_ins

CLIENTS = (1, 3, 10, 30, 100, 300, 1000)
SPACES = (1, 3, 10, 30, 100, 200)
MANY = (1, 3, 10, 30, 100, 200, 400)
SHARED = 30  # clients that share the Spaces, as evenly as may be; each Space has one at least


@dataclass
class Cost:
    """What events came to."""

    rate: float  # a second
    p95_s: float
    failed: int
    commands: float  # of Redis, an event
    cpu_ms: dict[str, float]  # an event, by part


def by_clients(bench: Bench) -> None:
    """More and more clients of one Space, all beginning in the same moment."""
    bench.concurrency(4)
    _tell("clients", ((n, _cost(bench, {bench.space: n})) for n in CLIENTS))


def by_spaces(bench: Bench) -> None:
    """The same clients, shared by more and more Spaces."""
    _tell("Spaces", _more_spaces(bench))


def by_many_spaces(bench: Bench) -> None:
    """The same, with stand-ins for the apps: what the platform itself pays."""
    _tell("Spaces (stand-ins)", _more_stand_ins(bench))


def _shared(spaces: Sequence[str]) -> dict[str, int]:
    """How many clients each gets."""
    share, more = divmod(SHARED, len(spaces))
    return {space: max(share + (at < more), 1) for at, space in enumerate(spaces)}


def _more_spaces(bench: Bench) -> Iterator[tuple[int, Cost]]:
    there = [bench.space]
    for count in (n for n in SPACES if n <= bench.options.spaces):
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            there += pool.map(bench.another, range(len(there), count))
        yield count, _cost(bench, _shared(there))


def _more_stand_ins(bench: Bench) -> Iterator[tuple[int, Cost]]:
    for count in MANY:
        with stand_ins(bench, count) as spaces:
            yield count, _cost(bench, _shared(spaces))


def _cost(bench: Bench, clients: dict[str, int]) -> Cost:
    def run(seconds: float) -> Measured:
        return asyncio.run(_load(bench, clients, seconds))

    with counted(bench.platform, *clients) as names:  # by itself: watching costs Valkey a part
        watched = run(bench.options.seconds)
    before = bench.cpu()
    measured = run(bench.options.seconds)
    return Cost(
        rate=measured.rate,
        p95_s=measured.quantile(0.95),
        failed=measured.failed,
        commands=len(names) / max(len(watched.latencies), 1),
        cpu_ms=bench.cpu_ms(before, len(measured.latencies)),
    )


async def _load(bench: Bench, clients: dict[str, int], seconds: float) -> Measured:
    runs = await asyncio.gather(*(
        load(bench.base(space), 0, clients=count, seconds=seconds) for space, count in clients.items()
    ))  # fmt: skip
    together = Measured(seconds)
    for run in runs:
        together.add(run)
    return together


def _tell(what: str, costs: Iterable[tuple[int, Cost]]) -> None:
    """A table, and the same as plots."""
    print(f"\n| {what} | events/s | p95 | Redis commands an event | CPU ms an event: {' | '.join(PARTS)} |")
    print("|---|---|---|---|" + "---|" * len(PARTS), flush=True)
    found = []
    for count, cost in costs:
        found.append((count, cost))
        failed = f" {cost.failed} FAILED" if cost.failed else ""
        cpu = " | ".join(f"{cost.cpu_ms[part]:.2f}" for part in PARTS)
        times = f"{cost.p95_s * 1000:.0f} ms"
        print(f"| {count:,} | {cost.rate:.0f}{failed} | {times} | {cost.commands:.1f} | {cpu} |", flush=True)
    numbers = [count for count, _ in found]
    _plot(f"events a second, by {what}", numbers, [cost.rate for _, cost in found])
    _plot(f"p95 in ms, by {what}", numbers, [cost.p95_s * 1000 for _, cost in found])
    _plot(f"Redis commands an event, by {what}", numbers, [cost.commands for _, cost in found])
    whole = [sum(cost.cpu_ms.values()) for _, cost in found]
    _plot(f"CPU seconds a thousand events, by {what}", numbers, whole)


def _plot(title: str, numbers: Sequence[int], values: Sequence[float]) -> None:
    """For Mermaid, which shows it where this text is read."""
    print(f'\n```mermaid\nxychart-beta\n  title "{title}"\n  x-axis [{", ".join(map(str, numbers))}]')
    print(f"  line [{', '.join(f'{value:.4g}' for value in values)}]\n```", flush=True)
