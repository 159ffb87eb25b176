"""The two sides of a measurement: the app by itself, and the same app behind Spaceport."""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.client import Measured
from tests.bench.processes import cpu_seconds, memory_bytes
from tests.platform_server import WEB, Platform

APP = Path(__file__).with_name("app.py")
#: The processes an event passes through, and what is in their command lines.
PARTS = {
    "web": WEB,
    "node worker": "manage.py\0node",
    "Valkey": "valkey-server",
    "app": "spaceport_launcher",
}


def push_app(platform: Platform, space: str, token: str) -> str:
    """Publish the measured app; the stage it settles in."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(APP, folder)
        return platform.push(space, token, Path(folder))


@dataclass
class Bench:
    """Both sides, and how to measure them."""

    platform: Platform
    token: str
    space: str
    alone: str
    alone_pid: int
    options: argparse.Namespace
    #: Another one, with a platform just started, and with settings of its own.
    fresh: Callable[..., AbstractContextManager[Bench]]

    def base(self, space: str) -> str:
        """Where a Space of the platform speaks the protocol."""
        return f"{self.platform.run_url(space)}gradio_api"

    def bases(self) -> dict[str, str]:
        """The same for both sides."""
        return {"alone": f"{self.alone}gradio_api", "Spaceport": self.base(self.space)}

    def socket_url(self) -> str:
        return f"{self.platform.url.replace('http', 'ws')}/ws/spaces/{self.space}/queue"

    def concurrency(self, count: int) -> None:
        self.platform.queue(self.space, self.token, concurrency_count=count)

    def another(self, number: int) -> str:
        """One more Space with the same app."""
        space = f"{self.space}-{number}"
        stage = push_app(self.platform, space, self.token)
        assert stage == "RUNNING", (space, stage)
        self.platform.queue(space, self.token, concurrency_count=4)
        return space

    def cpu(self) -> dict[str, float]:
        """The processor time that the processes of each part have used, in seconds."""
        return {part: sum(map(cpu_seconds, self.platform.pids(name))) for part, name in PARTS.items()}

    def cpu_ms(self, before: dict[str, float], events: int) -> dict[str, float]:
        """What they used since `before`, in milliseconds an event."""
        return {part: (used - before[part]) / max(events, 1) * 1000 for part, used in self.cpu().items()}

    def memory(self) -> dict[str, int]:
        """Their resident memory, in bytes."""
        return {part: sum(map(memory_bytes, self.platform.pids(name))) for part, name in PARTS.items()}

    def rounds(self, measure: Callable[[str], Measured]) -> dict[str, list[Measured]]:
        """So many rounds of both sides, taking turns."""
        found: dict[str, list[Measured]] = {side: [] for side in self.bases()}
        for _ in range(self.options.rounds):
            for side in found:
                found[side].append(measure(side))
                time.sleep(0.5)
        return found
