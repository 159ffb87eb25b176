"""How right a measurement of a Space is. Small real apps of different kinds are measured as their owners
would measure them; then every number of calls at once (and every batch size) is measured beside the choice,
on the replica that serves them, by the same callers."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from redis.asyncio import Redis

from hardware.replica_client import ReplicaClient
from hardware.runtimes.base import Runtime, Stats
from queueing.measuring.driver import Driver, Work
from queueing.measuring.meter import Meter
from queueing.measuring.point import PointRun
from queueing.routes import Route, decode
from queueing.store import keys
from queueing.store.keys import SpaceKeys
from queueing.tuning.memory import SHARE
from queueing.tuning.sweep import Measured, Point
from tests.bench.sides import Bench
from tests.waiting import wait_until

TUNED = Path(__file__).with_name("tuned")
MIB = 1024 * 1024
FEW = (1, 2, 3, 4, 6, 8)
MANY = (1, 2, 4, 8, 12, 16, 24, 32, 40)
SIZES = (1, 4, 8, 16, 32, 64)
#: Of one point, when all are measured.
POINT_S = 2.5
ROUNDS = 2


@dataclass(frozen=True)
class Kind:
    """An app, and the points that are measured of its functions. `memory_mib`: of the tier; `call_mib`: what
    a call holds, so that no point that cannot fit is tried."""

    name: str
    inputs: dict[str, tuple[Any, ...]]
    counts: tuple[int, ...] = FEW
    sizes: tuple[int, ...] = (1,)
    memory_mib: int = 0
    call_mib: int = 0

    def points(self, run: dict[str, Any]) -> Iterator[Point]:
        """All that fit beside what the app holds at rest."""
        bound = SHARE * run["memory_limit_bytes"]
        for count in self.counts:
            for size in self.sizes:
                if run["rest_bytes"] + count * self.call_mib * MIB <= bound:
                    yield Point(count, size)


KINDS = (
    Kind("computing", {"digest": ("one",)}),
    Kind("interpreting", {"add": (600_000,)}),
    Kind("waiting", {"ask": ("one",)}, MANY),
    Kind("hungry", {"hold": ("one",)}, (1, 2, 3, 4, 5, 6), memory_mib=1024, call_mib=120),
    Kind("batching", {"label": ("one",)}, (1, 2, 4), SIZES),
    Kind("streaming", {"tell": ("one",)}, MANY),
    Kind("two", {"look": ("one",), "draw": ("one",)}, MANY[:-1]),
)


def tuning(bench: Bench) -> None:
    """What was recommended against the best of all points."""
    print(
        "\n| app | function | chosen | best of all | regret | memory, most of 85 % | points | measured in |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for kind in KINDS:
        space = _pushed(bench, kind)
        began = time.monotonic()
        run = _measured(bench, space)
        took_s = time.monotonic() - began
        for group in run["groups"]:
            found = asyncio.run(_all(bench, space, kind, group, run))
            print(_row(kind, group, found, run, took_s), flush=True)
        bench.platform.api(bench.token).pause_space(space)


def _pushed(bench: Bench, kind: Kind) -> str:
    memory = (kind.memory_mib or 4096) * MIB
    change = f"HardwareTier.objects.filter(name='cpu').update(memory_bytes={memory})"
    bench.platform.manage("shell", "-v", "0", "-c", f"from hardware.models import HardwareTier; {change}")
    space = f"bench/{kind.name}"
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(TUNED / f"{kind.name}.py", Path(folder, "app.py"))
        assert bench.platform.push(space, bench.token, Path(folder)) == "RUNNING"
    return space


def _measured(bench: Bench, space: str) -> dict[str, Any]:
    url, headers = (
        f"{bench.platform.url}/api/spaces/{space}/tuning",
        {"Authorization": f"Bearer {bench.token}"},
    )
    started = requests.post(url, json={}, headers=headers, timeout=60)
    assert started.status_code == 202, started.text

    def ended() -> dict[str, Any] | None:
        run: dict[str, Any] = requests.get(url, headers=headers, timeout=60).json()[0]
        return run if run["finished_at"] else None

    run: dict[str, Any] = wait_until(ended, f"{space} is measured", 400)
    assert run["status"] == "done", run
    return run


class _Unmetered:
    """What the replica uses is known from the measurement."""

    def stats(self, _: str) -> Stats | None:
        return None


async def _all(
    bench: Bench, space: str, kind: Kind, group: dict[str, Any], run: dict[str, Any]
) -> dict[Point, Measured]:
    """Each point and the chosen one, measured on the replica that serves."""
    route = _route(bench, space)
    name = group["functions"][0].strip("/")
    function = route.app.named(name)
    assert function is not None
    work = Work(fn=function.id, function=function, rows=[kind.inputs[name]])
    chosen = Point(group["chosen"]["concurrency"], group["chosen"]["batch"])
    runtime: Runtime = _Unmetered()  # type: ignore[assignment]
    found = dict[Point, Measured]()
    async with ReplicaClient() as http:
        driver = Driver(http, route, Redis())
        await driver.open()
        with Meter(runtime, "") as meter:
            points = list(dict.fromkeys([*kind.points(run), chosen]))
            # Neighbours only take: the best of several rounds is nearest to what the machine can do.
            for point in [*points, *reversed(points), *points][: ROUNDS * len(points)]:
                point_run = PointRun(
                    driver, [work], point, meter, seconds=POINT_S, warms_up=True, stopped=lambda: False
                )
                measured = await point_run.run()
                if point not in found or measured.throughput > found[point].throughput:
                    found[point] = measured
        await driver.close()
    return found


def _route(bench: Bench, space: str) -> Route:
    with bench.platform.valkey() as client:
        space_id = int(client.get(keys.name(space)) or 0)
        raw = client.get(SpaceKeys(space_id).route)
    assert raw is not None
    return decode(raw)


def _row(
    kind: Kind, group: dict[str, Any], found: dict[Point, Measured], run: dict[str, Any], took_s: float
) -> str:
    chosen = Point(group["chosen"]["concurrency"], group["chosen"]["batch"])
    best = max(found, key=lambda point: found[point].throughput)
    regret = 1 - found[chosen].throughput / found[best].throughput
    bound = SHARE * run["memory_limit_bytes"]
    most = max(point["memory_bytes"] for point in group["points"]) / bound
    crossed = sum(point["stopped"] or point["memory_bytes"] > bound for point in group["points"])
    cells = [
        kind.name,
        group["functions"][0],
        f"{_said(chosen)}: {found[chosen].throughput:.1f}/s",
        f"{_said(best)}: {found[best].throughput:.1f}/s",
        f"{regret:.1%}",
        f"{most:.0%}" + (f", CROSSED {crossed} TIMES" if crossed else ""),
        f"{len(group['points'])} of {len(found)}",
        f"{run['seconds']:.0f} s, {took_s:.0f} s with the start",
    ]
    return f"| {' | '.join(cells)} |"


def _said(point: Point) -> str:
    return f"{point.concurrency} x {point.batch}" if point.batch > 1 else str(point.concurrency)
