"""A platform whose node has a second Celery worker, so that the death or the sleep of one leaves another."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from tests.platform_server import ROOT, Platform, prepared_home, running

NODE = "here"


@dataclass
class TwoWorkers(Platform):
    """The platform with a second worker of its node on demand."""

    second: subprocess.Popen[bytes] | None = None

    @property
    def env(self) -> dict[str, str]:
        return {**super().env, "SPACEPORT_NODE": NODE}

    def start_second(self) -> int:
        """A worker that serves the node's queue, too, and has no agent; its process."""
        path = os.pathsep.join([str(ROOT), str(ROOT / "platform")])
        options = ["--quiet", "worker", "-P", "threads", "-c", "16", "-Q", f"hw.cpu@{NODE}"]
        with (self.home / "log" / "second.log").open("ab") as log:
            self.second = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "spaceport", *options, "-n", f"second@{NODE}"],
                env={**self.env, **self.servers(), "PYTHONPATH": path}, stdout=log, stderr=log,
            )  # fmt: skip
        return self.second.pid

    def servers(self) -> dict[str, str]:
        """How the platform's processes were told to find its servers."""
        names = ("DATABASE_URL", "REDIS_URL")
        for pid in self.pids("manage.py\0node"):
            pairs = (Path("/proc") / str(pid) / "environ").read_text().split("\0")
            return {k: v for k, _, v in (pair.partition("=") for pair in pairs) if k in names}
        raise AssertionError("no worker runs")

    def stop_second(self) -> None:
        if self.second is not None and self.second.poll() is None:
            self.second.send_signal(signal.SIGCONT)
            self.second.kill()
            self.second.wait(20)

    def stop(self) -> None:
        self.stop_second()
        super().stop()

    def holder(self, client: redis.Redis) -> str:
        """Who holds the lease of its one Space; "" for nobody."""
        for key in client.scan_iter("sp:*:lease:*", count=1000):
            return (client.get(key) or b"").decode()
        return ""

    def leases(self, client: redis.Redis) -> int:
        """How many times the lease was taken so far."""
        return sum(int(client.get(key) or 0) for key in client.scan_iter("sp:*:fence", count=1000))


@contextmanager
def two_workers(**settings: str) -> Iterator[TwoWorkers]:
    """Such a platform, with plain processes and these settings, started."""
    with prepared_home() as home, running(TwoWorkers("process", home, settings=settings)) as platform:
        yield platform


def pid_of(holder: str) -> int:
    """The process of a lease's holder, `replica:pid-process-dispatcher`."""
    return int(holder.partition(":")[2].partition("-")[0] or 0)
