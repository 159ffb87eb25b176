"""What is looked at from outside while a run goes on: how long the lines get, how long a Space whose worker
is gone waits for the next one; and the owner, who starts a Space again that died too often."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import redis
import requests

from queueing.lines import line_of
from queueing.routes import Route, decode
from queueing.store.keys import SpaceKeys
from tests.chaos.clients import Target
from tests.invariants.workers import TwoWorkers

LOOK_S = 0.02
OWNER_LOOKS_S = 2.0
WATCHED_S = 120.0


@dataclass(frozen=True)
class Reclaim:
    """From the moment that a Space's worker was killed or sent to sleep to the next lease. `ready`: whether
    the same app was there to be served all that time."""

    began: float
    seconds: float
    ready: bool


@dataclass
class Observer:
    """Looks on in threads of its own."""

    platform: TwoWorkers
    targets: list[Target]
    token: str
    most_waiting: int = 0
    reclaims: list[Reclaim] = field(default_factory=list)
    did: Counter[str] = field(default_factory=Counter)
    stopping: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        for look in (self._lines, self._owner):
            self._begin(look)

    def stop(self) -> None:
        self.stopping.set()
        for thread in self._threads:
            thread.join()

    def _begin(self, look: object, *arguments: object) -> None:
        thread = threading.Thread(target=look, args=arguments)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _lines(self) -> None:
        """How many wait in a Space, at the most."""
        client = self.platform.valkey()
        while not self.stopping.wait(LOOK_S):
            with contextlib.suppress(redis.RedisError, OSError):
                pipe = client.pipeline(transaction=False)
                lines = ["main", *(line_of("main", f"/{name}") for name in self.targets[0].functions)]
                for target in self.targets:
                    for line in lines:
                        pipe.zcard(SpaceKeys(target.space_id).wait(line))
                answers = iter(pipe.execute())
                waiting = [sum(next(answers) for _ in lines) for _ in self.targets]
                self.most_waiting = max(self.most_waiting, *waiting)

    def _owner(self) -> None:
        """Starts again what is in RUNTIME_ERROR."""
        headers = {"Authorization": f"Bearer {self.token}"}
        while not self.stopping.wait(OWNER_LOOKS_S):
            for target in self.targets:
                with contextlib.suppress(Exception):
                    if self.platform.stage(target.name, self.token) == "RUNTIME_ERROR":
                        url = f"{self.platform.url}/api/spaces/{target.name}/restart"
                        requests.post(url, headers=headers, timeout=10).raise_for_status()
                        self.did["owner's restarts"] += 1

    # --- leases -----------------------------------------------------------------------------------------

    def holders(self) -> dict[str, str]:
        """Who holds each Space's lease; "" for nobody."""
        with self.platform.valkey() as client:
            return {t.name: (_holder(client, SpaceKeys(t.space_id))[0] or b"").decode() for t in self.targets}

    def watch(self, pid: int, spaces: tuple[str, ...]) -> None:
        """Measure how long these Spaces, served by this process until now, wait for another."""
        for target in self.targets:
            if target.name in spaces:
                self._begin(self._reclaimed, target, f":{pid}-")

    def _reclaimed(self, target: Target, before: str) -> None:
        began, keys, client = time.monotonic(), SpaceKeys(target.space_id), self.platform.valkey()
        addresses = set()
        while not self.stopping.wait(LOOK_S) and time.monotonic() - began < WATCHED_S:
            with contextlib.suppress(redis.RedisError, OSError):
                holder, route = _holder(client, keys)
                addresses.add(route.address)
                if holder and before not in holder.decode():
                    break
        if not self.stopping.is_set():
            ready = len(addresses) == 1 and "" not in addresses
            self.reclaims.append(Reclaim(began, time.monotonic() - began, ready))


def _holder(client: redis.Redis, keys: SpaceKeys) -> tuple[bytes | None, Route]:
    """Who holds the lease of the Space's replica, and its route."""
    route = decode(client.get(keys.route))
    return client.get(keys.lease(route.replica_id)), route
