"""One client program for both sides: Gradio's protocol as a page speaks it, as lean as asyncio allows."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

import aiohttp

ANSWER_S = 60.0
FILE_BYTES = 1_000_000


@dataclass
class Measured:
    """What a run of clients came to. Times in seconds. Each event that began within the run counts among the
    latencies, so that slow ones are not left out; `late` of them ended after it."""

    seconds: float
    latencies: list[float] = field(default_factory=list)
    late: int = 0
    failed: int = 0
    sessions: int = 0

    @property
    def rate(self) -> float:
        """Events a second that ended within the run."""
        return (len(self.latencies) - self.late) / self.seconds

    def took(self, began: float, at: float) -> None:
        """An event of a run that began at `began` came in at `at`, and has ended now (both monotonic)."""
        now = time.monotonic()
        self.latencies.append(now - at)
        self.late += now - began > self.seconds

    def add(self, other: Measured) -> None:
        """What others of the same run came to."""
        self.latencies += other.latencies
        self.late += other.late
        self.failed += other.failed

    def quantile(self, q: float) -> float:
        ordered = sorted(self.latencies)
        return ordered[min(int(q * len(ordered)), len(ordered) - 1)] if ordered else float("nan")


class Client:
    """One visitor: joins, listens to the session's stream, joins again."""

    def __init__(self, http: aiohttp.ClientSession, base: str, fn_index: int, data: list[Any]) -> None:
        self.http, self.base, self.fn_index, self.data = http, base, fn_index, data
        self.session = secrets.token_hex(6)
        self.stream: asyncio.Task[None] | None = None
        self.done: dict[str, asyncio.Future[dict[str, Any]]] = {}

    async def call(self) -> dict[str, Any] | None:
        """The final message; None when it was not accepted or did not come."""
        body = {"data": self.data, "fn_index": self.fn_index, "session_hash": self.session}
        async with self.http.post(f"{self.base}/queue/join", json=body) as answer:
            if answer.status != 200:
                await asyncio.sleep(0.1)
                return None
            event_id = (await answer.json())["event_id"]
        future = self.done.setdefault(event_id, asyncio.get_running_loop().create_future())
        if self.stream is None or self.stream.done():
            self.stream = asyncio.create_task(self._listen())
        try:
            async with asyncio.timeout(ANSWER_S):
                return await future
        except TimeoutError:
            return None
        finally:
            self.done.pop(event_id, None)

    async def _listen(self) -> None:
        url = f"{self.base}/queue/data?session_hash={self.session}"
        async with self.http.get(url) as answer:
            async for line in answer.content:
                if not line.startswith(b"data:") or (
                    b"completed" not in line and b"close_stream" not in line
                ):
                    continue
                message = json.loads(line[5:])
                if message["msg"] == "close_stream":
                    return
                if message["msg"] == "process_completed":
                    loop = asyncio.get_running_loop()
                    future = self.done.setdefault(message["event_id"], loop.create_future())
                    if not future.done():
                        future.set_result(message)

    async def leave(self) -> None:
        """Hang up."""
        if self.stream is not None:
            self.stream.cancel()
            await asyncio.gather(self.stream, return_exceptions=True)

    async def upload(self) -> dict[str, Any]:
        """A file, as the page sends it; what a function is given of it."""
        form = aiohttp.FormData()
        form.add_field("files", secrets.token_bytes(FILE_BYTES), filename="in.bin")
        async with self.http.post(f"{self.base}/upload", data=form) as answer:
            path = (await answer.json())[0]
        return {"path": path, "orig_name": "in.bin", "meta": {"_type": "gradio.FileData"}}

    async def download(self, message: dict[str, Any]) -> bool:
        """Fetch the file that came back."""
        path = message["output"]["data"][0]["path"]
        async with self.http.get(f"{self.base}/file={path}") as answer:
            return len(await answer.read()) == FILE_BYTES


async def load(
    base: str,
    fn_index: int,
    *,
    clients: int,
    seconds: float,
    data: Any = "x",
    files: bool = False,
    calls_each: int = 0,
) -> Measured:
    """So many clients, each with one event at a time, for so long. After `calls_each` calls (0: never) a new
    visitor takes the place of one, with a session of his own."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None)) as http:
        measured = Measured(seconds, sessions=clients)
        visitors = [Client(http, base, fn_index, [data]) for _ in range(clients)]
        if files:
            for client in visitors:
                client.data = [await client.upload()]
        began = time.monotonic()

        async def visit(client: Client) -> None:
            calls = 0
            while (at := time.monotonic()) - began < seconds:
                if calls_each and calls == calls_each:
                    await client.leave()
                    client, calls = Client(http, base, fn_index, [data]), 0
                    measured.sessions += 1
                calls += 1
                message = await client.call()
                ok = message is not None and message["success"]
                if ok and files and message is not None:
                    ok = await client.download(message)
                if not ok:
                    measured.failed += 1
                else:
                    measured.took(began, at)
            await client.leave()

        await asyncio.gather(*(visit(c) for c in visitors))
        return measured
