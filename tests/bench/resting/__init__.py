"""Spaces that nobody calls: what many that sleep cost, how soon each is awake, and how soon all are back when
their machine has rebooted."""

from __future__ import annotations

import contextlib
import os
import signal
import statistics
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.bench.deploy import APP, first_answer
from tests.bench.processes import proportional_bytes
from tests.bench.sides import Bench
from tests.platform_server import Platform

#: Each set of requirements is an environment of its own.
ENVIRONMENTS = ("", "colorama==0.4.6\n", "iniconfig==2.1.0\n", "toml==0.10.2\n", "pyfiglet==1.0.2\n")
WOKEN = 20  # of those that sleep
REBOOTED = 20
SETTLES_S = 15.0
GIB = 1024**3


def sleeping(bench: Bench) -> None:
    """Memory of `--spaces` Spaces that sleep, in five environments, and how soon some of them answer."""
    count = bench.options.spaces
    time.sleep(SETTLES_S)
    before = _memory(bench.platform)
    spaces = _push(bench, count, asleep=True)
    time.sleep(SETTLES_S)
    used = _memory(bench.platform) - before
    took = sorted(first_answer(bench, space, space) for space in spaces[:: max(1, count // WOKEN)])
    print("\n| Spaces that sleep | environments | memory they add (PSS) | at most | wake p50 | p95 | worst |")
    print("|---|---|---|---|---|---|---|")
    p50, p95 = statistics.median(took), took[round((len(took) - 1) * 0.95)]
    print(
        f"| {count} | {len(ENVIRONMENTS)} | {used / GIB:.2f} GiB | 1 GiB | {p50:.2f} s | {p95:.2f} s"
        f" | {took[-1]:.2f} s |",
        flush=True,
    )


def reboot(bench: Bench) -> None:
    """Every process of the platform is killed and the platform started: how soon each Space answers."""
    spaces = _push(bench, REBOOTED - 1, asleep=False)
    for pid in bench.platform.pids(""):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert bench.platform.process is not None
    bench.platform.process.wait(20)
    began = time.monotonic()
    bench.platform.start()
    up = time.monotonic() - began
    found: list[float] = []

    def call(space: str) -> None:
        first_answer(bench, space, space)
        found.append(time.monotonic() - began)

    callers = [threading.Thread(target=call, args=(space,)) for space in spaces]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    print("\n| Spaces | the platform is up | half of them answer | all answer |\n|---|---|---|---|")
    print(
        f"| {len(spaces) + 1} | {up:.1f} s | {statistics.median(found):.1f} s | {max(found):.1f} s |",
        flush=True,
    )


def _push(bench: Bench, count: int, *, asleep: bool) -> list[str]:
    def one(number: int) -> str:
        space = f"bench/resting-{number}"
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "app.py").write_text(APP.format(version=space))
            (Path(folder) / "requirements.txt").write_text(ENVIRONMENTS[number % len(ENVIRONMENTS)])
            stage = bench.platform.push(space, bench.token, Path(folder))
        assert stage == "RUNNING", (space, stage)
        if asleep:
            bench.platform.put_to_sleep(space, bench.token)
        return space

    with ThreadPoolExecutor(8 if asleep else 2) as pool:
        return list(pool.map(one, range(count)))


def _memory(platform: Platform) -> int:
    total = 0
    for pid in platform.pids(""):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            total += proportional_bytes(pid)
    return total
