"""One run: a platform of its own, load from many clients, faults, and the count at the end."""

from __future__ import annotations

import asyncio
import random
import shutil
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import requests

from queueing.store import keys
from tests.chaos.clients import Load, Target
from tests.chaos.ledger import Ledger
from tests.chaos.machine import Machine
from tests.chaos.nemesis import FAULTS, OF_ONE_RUN, SIZES, Nemesis
from tests.chaos.observer import Observer
from tests.chaos.report import Report, report
from tests.invariants.workers import TwoWorkers
from tests.platform_server import APPS, prepared_home, running

CONCURRENCY = 4
TIME_LIMIT_S = 5  # of one event; what hangs is ended then, and its container started again
PROGRESS_S = 10.0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run is to be."""

    seed: int
    seconds: float
    clients: int = 40
    spaces: int = 4
    every_s: float = 3.0  # between faults, on average
    weights: dict[str, int] = field(default_factory=lambda: dict(FAULTS))
    keep: Path | None = None  # a folder for the ledgers and the platform's logs
    progress: bool = True


def _target(platform: TwoWorkers, token: str, name: str, notes: Path) -> Target:
    """A Space of the app that writes down its runs."""
    assert platform.push(name, token, APPS / "chaos") == "RUNNING"
    headers = {"Authorization": f"Bearer {token}"}
    config = requests.get(f"{platform.run_url(name)}config", headers=headers, timeout=30).json()
    functions = {f["api_name"]: f["id"] for f in config["dependencies"]}
    with platform.valkey() as client:
        space_id = int(client.get(keys.name(name)) or 0)
    return Target(name, space_id, f"{platform.run_url(name)}gradio_api", functions, notes)


def chaos(plan: Plan) -> Report:
    """Run it and count."""
    outside = Path(tempfile.mkdtemp(prefix="sp-ledger-", dir="/tmp"))
    try:
        settings = {"SPACEPORT_EVENT_TIMEOUT_S": str(TIME_LIMIT_S)}
        # What may be removed is not the machine's own.
        lent = prepared_home(processes=not OF_ONE_RUN & set(plan.weights))
        with lent as home, running(TwoWorkers("process", home, settings=settings)) as platform:
            try:
                return _chaos(plan, platform, outside)
            finally:
                if plan.keep is not None:
                    shutil.copytree(outside, plan.keep, dirs_exist_ok=True)
                    shutil.copytree(platform.home / "log", plan.keep / "log", dirs_exist_ok=True)
                    shutil.copy(platform.home / "up.log", plan.keep)
    finally:
        shutil.rmtree(outside, ignore_errors=True)


def _chaos(plan: Plan, platform: TwoWorkers, outside: Path) -> Report:
    token = platform.token("alice")
    machine = Machine(platform) if "lose machine" in plan.weights else None
    if machine is not None:
        machine.begin()
    try:
        return _broken(plan, platform, outside, token, machine)
    finally:
        if machine is not None:
            machine.stop()


def _broken(plan: Plan, platform: TwoWorkers, outside: Path, token: str, machine: Machine | None) -> Report:
    targets = [_target(platform, token, f"alice/chaos{n}", outside / f"app{n}") for n in range(plan.spaces)]
    ledger = Ledger(outside / "clients")
    observer = Observer(platform, targets, token)
    chance = random.Random(plan.seed)  # noqa: S311
    nemesis = Nemesis(
        platform, observer, ledger, token, chance, plan.every_s, CONCURRENCY, plan.weights, machine
    )
    for target in targets:
        nemesis.set(target, CONCURRENCY, CONCURRENCY + 1, max(SIZES))
    load = Load(targets, token, ledger, random.Random(plan.seed + 1))  # noqa: S311
    began = time.monotonic()
    observer.start()
    breaking = threading.Thread(target=nemesis.run, name="nemesis")
    breaking.start()
    try:
        asyncio.run(_load(plan, load, nemesis))
    finally:
        nemesis.stopping.set()
        breaking.join()
        observer.stop()
    for ack in ledger.lost[:20]:
        print("lost:", ack)
    found = report(plan.seed, time.monotonic() - began, ledger, nemesis, observer)
    ledger.close()
    return found


async def _load(plan: Plan, load: Load, nemesis: Nemesis) -> None:
    tell = asyncio.create_task(_progress(load.ledger, nemesis)) if plan.progress else None
    breaking_ends = asyncio.get_running_loop().call_later(plan.seconds, nemesis.stopping.set)
    await load.run(plan.clients, plan.seconds)
    breaking_ends.cancel()
    if tell is not None:
        tell.cancel()


async def _progress(ledger: Ledger, nemesis: Nemesis) -> None:
    """A line each ten seconds."""
    began = time.monotonic()
    while True:
        await asyncio.sleep(PROGRESS_S)
        kinds = nemesis.counts
        kills = sum(count for kind, count in kinds.items() if kind.startswith(("kill", "freeze")))
        ends = list(ledger.ended.values())
        completed = sum(each[0][0] == "completed" for each in ends)
        print(
            f"[{time.monotonic() - began:6.0f} s] accepted {len(ledger.acknowledged)}, ended {len(ends)}, "
            f"completed {completed}, faults {kinds.total()} (kills and freezes {kills})",
            flush=True,
        )
