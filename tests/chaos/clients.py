"""The clients of one run: they submit, some of them twice at once, listen, hang up, cancel, leave, come back;
and each insists until it knows what became of what it was promised."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tests.chaos.ledger import Ledger

#: What clients send, of 10,000; the last three take their container along.
KINDS = {"ok": 9_700, "long": 100, "error": 182, "poison": 6, "oom": 6, "hang": 6}
SHORT_S, LONG_S = (0.005, 0.05), (0.5, 2.0)
IN_SESSION = 0.3  # by a session's stream; the others by the call API
TWICE = 0.1  # a double click
AWAY = 0.05  # leaves, and comes back for it soon
CANCELS = 0.15  # of those in a session
GONE = 0.02  # of those in a session: never listens, and looks much later
GONE_S = (60, 80)  # its place is given up after 60 s
HEARS_TWICE = 0.2  # to compare
AGAIN_S = (0.1, 0.4)
SETTLE_S = 90.0  # after the last fault everything accepted must have ended
TROUBLE = (aiohttp.ClientError, OSError, TimeoutError)


@dataclass(frozen=True)
class Target:
    """One Space under load."""

    name: str
    space_id: int
    url: str  # of its API
    functions: dict[str, int]  # its functions, each a group of its own, and their numbers
    notes: Path  # what its app writes


@dataclass
class Load:
    """All clients."""

    targets: list[Target]
    token: str
    ledger: Ledger
    rng: random.Random
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    count: int = 0
    _until: float = float("inf")
    _gone: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self, clients: int, seconds: float) -> None:
        """Send for so long, then wait for all that was accepted."""
        timeout = aiohttp.ClientTimeout(total=60, connect=10)
        headers = {"Authorization": f"Bearer {self.token}"}
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector, headers=headers) as http:
            one = (self._client(http, self.targets[n % len(self.targets)]) for n in range(clients))
            tasks = [asyncio.create_task(client) for client in one]
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stop.wait(), seconds)
            self.stop.set()
            self._until = time.monotonic() + SETTLE_S
            await asyncio.gather(*tasks)
            await asyncio.gather(*self._gone)

    async def _client(self, http: aiohttp.ClientSession, target: Target) -> None:
        while not self.stop.is_set():
            self.count += 1
            function = self.rng.choice(list(target.functions))
            key = f"{function[0]}{self.count}"
            kind = self.rng.choices(list(KINDS), list(KINDS.values()))[0]
            lasts = round(self.rng.uniform(*(LONG_S if kind == "long" else SHORT_S)), 3)
            data = [str(target.notes), key, lasts, kind]
            work = _Event(self, http, target, function, key, data)
            await (work.in_session() if self.rng.random() < IN_SESSION else work.by_call())

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Go on beside the clients; it is waited for at the end."""
        task = asyncio.create_task(work)
        self._gone.add(task)
        task.add_done_callback(self._gone.discard)

    @property
    def patient(self) -> bool:
        """Whether there is still time for an end to come."""
        return time.monotonic() < self._until

    async def rest(self, between: tuple[float, float]) -> None:
        """A random time; shorter when the run is over."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.stop.wait(), self.rng.uniform(*between))
        if self.stop.is_set():
            await asyncio.sleep(AGAIN_S[0])


@dataclass
class _Event:
    """One client's one event."""

    load: Load
    http: aiohttp.ClientSession
    target: Target
    function: str
    key: str
    data: list[object]
    event_id: str = ""

    async def by_call(self) -> None:
        """`POST call/…`, then `GET` by the ticket."""
        await self._submit(f"/call/{self.function}", {"data": self.data})
        if self.event_id:
            if self.load.chance(AWAY):
                self.load.ledger.did["hung up and came back"] += 1
                await self._glance()
                await self.load.rest((0.1, 3))
            await self._ask(2 if self.load.chance(HEARS_TWICE) else 1)

    async def in_session(self) -> None:
        """`POST queue/join`, then the session's stream."""
        session = f"s{self.key}"
        body = {"data": self.data, "fn_index": self.target.functions[self.function], "session_hash": session}
        await self._submit("/queue/join", body)
        if not self.event_id:
            return
        if self.load.chance(GONE):
            self.load.ledger.did["left"] += 1
            self.load.later(self._return(session))
            return
        if self.load.chance(CANCELS):
            await self.load.rest((0, 0.3))
            await self._cancel(session)
        await self._listen(session)
        if self.load.chance(HEARS_TWICE):
            await self._ask(1)

    async def _return(self, session: str) -> None:
        await self.load.rest(GONE_S)
        await self._listen(session)

    # --- submitting -----------------------------------------------------------------------------------

    async def _submit(self, path: str, body: dict[str, object]) -> None:
        """Until there is an answer; the same key each time."""
        if self.load.chance(TWICE):
            self.load.ledger.did["submitted twice at once"] += 1
            ids = await asyncio.gather(self._post(path, body), self._post(path, body))
            self.event_id = ids[0] or ids[1]
        else:
            self.event_id = await self._post(path, body)

    async def _post(self, path: str, body: dict[str, object]) -> str:
        ledger = self.load.ledger
        while True:
            with contextlib.suppress(*TROUBLE, ValueError):
                async with self.http.post(
                    self.target.url + path, json=body, headers={"Idempotency-Key": self.key}
                ) as answer:
                    said = await answer.json(content_type=None)
                    if answer.status == 200:
                        ledger.acknowledge(self.key, said["event_id"], self.target.name)
                        ledger.did["told that it was submitted before"] += (
                            "Idempotent-Replayed" in answer.headers
                        )
                        return str(said["event_id"])
                    text = said.get("detail") if isinstance(said, dict) else ""
                    ledger.refuse(f"{answer.status} {text}")
            if self.load.stop.is_set():
                return ""
            await self.load.rest(AGAIN_S)

    async def _cancel(self, session: str) -> None:
        body = {"event_id": self.event_id, "session_hash": session}
        self.load.ledger.did["cancelled"] += 1
        with contextlib.suppress(*TROUBLE):
            async with self.http.post(f"{self.target.url}/cancel", json=body) as answer:
                await answer.read()

    # --- hearing its end --------------------------------------------------------------------------------

    async def _ask(self, times: int) -> None:
        """By the ticket, until its end is heard so often."""
        url = f"{self.target.url}/call/{self.function}/{self.event_id}"
        while times and self.load.patient:
            with contextlib.suppress(*TROUBLE):
                async with self.http.get(url) as answer:
                    if answer.status == 404:
                        self.load.ledger.write("unknown", self.event_id)
                        return
                    async for word, value in _told(answer):
                        if word in ("complete", "error"):
                            self._heard(value, failed=word == "error")
                            times -= 1
                            break
            if times:
                await self.load.rest(AGAIN_S)

    async def _glance(self) -> None:
        """Begin to listen and hang up."""
        url = f"{self.target.url}/call/{self.function}/{self.event_id}"
        with contextlib.suppress(*TROUBLE):
            async with self.http.get(url):
                pass

    async def _listen(self, session: str) -> None:
        """By the session's stream; where that is over already, by the ticket."""
        while self.load.patient:
            with contextlib.suppress(*TROUBLE):
                params = {"session_hash": session}
                async with self.http.get(f"{self.target.url}/queue/data", params=params) as answer:
                    async for _, message in _told(answer):
                        match message:
                            case {"msg": "process_completed", "event_id": self.event_id, "output": output}:
                                failed = not message["success"]
                                value = output.get("error") if failed else output.get("data")
                                self._heard(value, failed=failed)
                                return
                            case {"msg": "unexpected_error" | "close_stream"}:
                                await self._ask(1)
                                return
            await self.load.rest(AGAIN_S)

    def _heard(self, value: object, *, failed: bool) -> None:
        if failed:
            how = f"failed: {value}"
        elif value is None:
            how = "cancelled"
        else:
            how = "completed" if value == [f"{self.key} done"] else f"wrong: {value}"
        self.load.ledger.end(self.event_id, how)


async def _told(answer: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, Any]]:
    """Server-sent events: their name, "" where there is none, and their value."""
    word = ""
    async for raw in answer.content:
        line = raw.decode().strip()
        if line.startswith("event: "):
            word = line[7:]
        elif line.startswith("data: "):
            yield word, json.loads(line[6:])
