"""One run: a platform of its own, load from many clients, faults, and the count at the end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import shutil
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import redis

from tests.chaos.ledger import Ledger, overlap
from tests.chaos.nemesis import SIZES, Nemesis
from tests.invariants.workers import TwoWorkers
from tests.platform_server import APPS, CACHE, Platform, new_home

CONCURRENCY = 4
TIME_LIMIT_S = 5  # of one event; what hangs is ended then, and its container started again
#: What clients send, and how often; the last three take their container along.
KINDS = {"ok": 9700, "error": 250, "poison": 5, "oom": 5, "hang": 5}
SETTLE_S = 75.0  # after the last fault everything accepted must have ended


@dataclass
class Report:
    """The figures of one run."""

    seed: int
    seconds: float
    accepted: int
    completed: int
    failed: dict[str, int]  # by reason
    cancelled: int
    refused: dict[str, int]
    lost: int
    doubled: int
    concurrency_exceeded: int
    size_exceeded: int
    most_at_once: int
    most_waiting: int
    run_again: int
    reclaims: int
    longest_reclaim_s: float
    faults: dict[str, int]

    def __str__(self) -> str:
        return json.dumps(self.__dict__, indent=2)


@dataclass
class Load:
    """The clients of one run."""

    base: str
    token: str
    ledger: Ledger
    app_ledger: Path
    rng: random.Random
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    count: int = 0

    async def client(self, http: aiohttp.ClientSession) -> None:
        while not self.stop.is_set():
            self.count += 1
            key = f"k{self.count}"
            kind = self.rng.choices(list(KINDS), list(KINDS.values()))[0]
            data = [str(self.app_ledger), key, round(self.rng.uniform(0.005, 0.05), 3), kind]
            event_id = await self.submit(http, key, data)
            if event_id and self.rng.random() < 0.1:  # a double click
                await self.submit(http, key, data)
            if event_id:
                if self.rng.random() < 0.05:  # leaves, and comes back for it
                    await asyncio.sleep(self.rng.uniform(0.1, 3))
                await self.follow(http, event_id)

    async def submit(self, http: aiohttp.ClientSession, key: str, data: list[object]) -> str:
        """Until there is an answer; the same key each time."""
        while True:
            with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
                async with http.post(
                    f"{self.base}/work", json={"data": data}, headers={"Idempotency-Key": key}
                ) as answer:
                    body = await answer.json(content_type=None)
                    if answer.status == 200:
                        self.ledger.acknowledge(key, body["event_id"])
                        return str(body["event_id"])
                    text = str(body.get("detail"))[:60] if isinstance(body, dict) else ""
                    self.ledger.refused[f"{answer.status} {text}"] += 1
                    if answer.status == 422:
                        return ""
            if self.stop.is_set():
                return ""
            await asyncio.sleep(0.2)

    async def follow(self, http: aiohttp.ClientSession, event_id: str) -> None:
        """Ask by the ticket until its end is heard; every fifth hears it twice, to compare."""
        deadline = time.monotonic() + SETTLE_S
        times = 2 if self.rng.random() < 0.2 else 1
        while times and time.monotonic() < deadline:
            with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
                async with http.get(f"{self.base}/work/{event_id}") as answer:
                    if answer.status == 404:
                        self.ledger.write("unknown", event_id)
                        return
                    if answer.status == 200:
                        event = ""
                        async for raw in answer.content:
                            line = raw.decode().strip()
                            if line.startswith("event: "):
                                event = line[7:]
                            elif line.startswith("data: ") and event in ("complete", "error"):
                                self.ledger.end(event_id, "completed" if event == "complete" else line[6:])
                                times -= 1
                                break
            if times:
                await asyncio.sleep(0.2)


async def _load(load: Load, seconds: float, clients: int, nemesis: Nemesis) -> None:
    timeout = aiohttp.ClientTimeout(total=60, connect=5)
    connector = aiohttp.TCPConnector(limit=0)
    headers = {"Authorization": f"Bearer {load.token}"}
    async with aiohttp.ClientSession(timeout=timeout, connector=connector, headers=headers) as http:
        tasks = [asyncio.create_task(load.client(http)) for _ in range(clients)]
        breaking = threading.Thread(target=nemesis.run, name="nemesis")
        breaking.start()
        await asyncio.sleep(seconds)
        nemesis.stopping.set()
        load.stop.set()
        await asyncio.gather(*tasks)
        await asyncio.to_thread(breaking.join)


def _what_became_of(platform: Platform, event_ids: list[str]) -> str:
    """What the queue still knows of events whose end nobody heard, for whoever has to find out why."""
    note = json.loads((platform.home / "valkey" / "address.json").read_text())
    with redis.Redis(port=note["port"], password=note["password"]) as client:
        found = []
        for event_id in event_ids:
            key = next(client.scan_iter(f"sp:*:ev:{event_id}", count=10_000), None)
            fields = ("state", "token", "losses", "deaths", "joined")
            found.append(f"{event_id} {client.hmget(key, fields) if key else 'unknown'}")
        for pattern in ("sp:*:lease", "sp:*:calls:*", "sp:*:wait:*", "sp:*:next:*", "sp:*:running"):
            for key in client.scan_iter(pattern, count=10_000):
                value = client.get(key) if pattern.endswith("lease") else client.zrange(key, 0, 5)
                found.append(f"{key!r} {value!r}")
    return "\n".join([*found, platform.log()[-3000:]])


def chaos(*, seed: int, seconds: float, clients: int = 12, every_s: float = 4.0) -> Report:
    """Run it and count."""
    rng = random.Random(seed)  # noqa: S311
    home, outside = new_home(), Path(tempfile.mkdtemp(prefix="sp-ledger-", dir="/tmp"))
    (CACHE / "environments").mkdir(parents=True, exist_ok=True)
    (home / "environments").symlink_to(CACHE / "environments")
    platform = TwoWorkers("process", home, settings={"SPACEPORT_EVENT_TIMEOUT_S": str(TIME_LIMIT_S)})
    try:
        platform.start()
        token, space = platform.token("alice"), "alice/chaos"
        assert platform.push(space, token, APPS / "chaos") == "RUNNING"
        platform.queue(space, token, concurrency_count=CONCURRENCY, max_size=max(SIZES))
        ledger = Ledger(outside / "clients")
        load = Load(
            f"{platform.run_url(space)}gradio_api/call", token, ledger, outside / "app",
            random.Random(seed + 1),  # noqa: S311
        )  # fmt: skip
        nemesis = Nemesis(platform, space, token, rng, every_s, CONCURRENCY)
        began = time.monotonic()
        asyncio.run(_load(load, seconds, clients, nemesis))
        if ledger.lost:
            print(_what_became_of(platform, ledger.lost))
        most, again, _ = overlap(outside / "app")
        ends = ledger.ends()
        return Report(
            seed=seed, seconds=round(time.monotonic() - began, 1), accepted=len(ledger.acknowledged),
            completed=ends.pop("completed", 0), cancelled=ends.pop("cancelled", 0), failed=dict(ends),
            refused=dict(ledger.refused), lost=len(ledger.lost),
            doubled=len(ledger.doubled) + ledger.doubled_acks,
            concurrency_exceeded=max(0, most - CONCURRENCY),
            size_exceeded=max(0, nemesis.waiting_at_most - max(SIZES)), most_at_once=most,
            most_waiting=nemesis.waiting_at_most, run_again=again, reclaims=len(nemesis.reclaims),
            longest_reclaim_s=round(max(nemesis.reclaims, default=0), 1), faults=dict(nemesis.done),
        )  # fmt: skip
    finally:
        platform.stop()
        shutil.rmtree(home, ignore_errors=True)
        shutil.rmtree(outside, ignore_errors=True)
