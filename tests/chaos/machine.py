"""A second node of the platform, as much of a machine as can be had on this one: its worker and the apps that
it runs die together, and it comes back later."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import requests

from queueing.routes import decode
from queueing.store.keys import SpaceKeys
from tests.platform_server import ROOT
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.chaos.clients import Target
    from tests.invariants.workers import TwoWorkers

NAME = "there"
AWAY_S = 45.0  # longer than it takes to be given up


@dataclass
class Machine:
    """The node, while `process` runs."""

    platform: TwoWorkers
    process: subprocess.Popen[bytes] | None = None
    back_at: float = 0.0  # by the monotonic clock

    @property
    def is_up(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def keep(self) -> None:
        """It has no supervisor: start it where it does not run, unless it is to be away."""
        if self.is_up or time.monotonic() < self.back_at:
            return
        with (self.platform.home / "log" / f"{NAME}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "manage.py"), "node", "--tier", "cpu"],
                env={**self.platform.env, **self.platform.servers(), "SPACEPORT_NODE": NAME},
                stdout=log, stderr=log,
            )  # fmt: skip

    def begin(self) -> None:
        """Start it, and wait until Spaces are placed there."""
        self.keep()
        admin = {"Authorization": f"Bearer {self.platform.token('admin')}"}
        metrics = f"{self.platform.url}/metrics"
        wait_until(lambda: f'"{NAME}"' in requests.get(metrics, headers=admin, timeout=10).text, "it is up")

    def die(self, targets: list[Target]) -> tuple[str, ...]:
        """All of it at once, for a while; the Spaces that it served."""
        served = self._served(targets)
        if self.process is None or not served:
            return ()
        self.back_at = time.monotonic() + AWAY_S
        self.process.send_signal(signal.SIGKILL)
        folders = [str(self.platform.home / "replicas" / str(replica)) for replica in served.values()]
        for pid in self.platform.pids(""):
            if any(_belongs(pid, folder) for folder in folders):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        return tuple(served)

    def stop(self) -> None:
        if self.process is not None and self.is_up:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait(20)

    def _served(self, targets: list[Target]) -> dict[str, int]:
        """The Spaces whose app runs there, and the app's replica."""
        with self.platform.valkey() as client:
            routes = [client.get(SpaceKeys(target.space_id).route) for target in targets]
        found = zip(targets, (decode(route) for route in routes if route), strict=True)
        return {t.name: route.replica_id for t, route in found if route.celery_queue.endswith(f"@{NAME}")}


def _belongs(pid: int, folder: str) -> bool:
    """Whether this process runs in this replica's folder, or watches over one that does."""
    process = Path("/proc") / str(pid)
    with contextlib.suppress(OSError):
        words = [*(process / "cmdline").read_bytes().split(b"\0"), os.fsencode((process / "cwd").readlink())]
        return any(word == folder.encode() or word.startswith(f"{folder}/".encode()) for word in words)
    return False
