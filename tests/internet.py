"""A host that stands for the internet: a network namespace of its own behind this machine, with public and
private addresses, and one program that listens on all of them. Needs root."""

from __future__ import annotations

import contextlib
import fcntl
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

PORTS = (80, 443, 8080, 5432)
MOST = 60  # at a time on one machine


@dataclass
class Internet:
    """What was asked of it is in a file, a line of JSON for each request. `number` gives it addresses of its
    own, so that several test processes may have one."""

    asked: Path
    number: int

    @property
    def host(self) -> str:
        """To the platform it is public: of a range for documentation, so nobody else's."""
        return f"198.51.100.{4 * self.number + 2}"

    @property
    def near(self) -> str:
        """This machine's own address, on the way there."""
        return f"198.51.100.{4 * self.number + 1}"

    @property
    def private(self) -> list[str]:
        """The same host's, in every range that is nobody's in public."""
        ranges = ("10.99.7", "172.30.7", "192.168.97", "169.254.77", "100.64.7")
        return [f"{one}.{4 * self.number + 2}" for one in ranges]

    @property
    def sixth(self) -> str:
        """And its IPv6 address."""
        return f"2001:db8:7:{self.number}::2"

    def downloads(self) -> list[str]:
        """The names of the files that were asked for so far, in order."""
        asked = [json.loads(line) for line in self.asked.read_text().splitlines()]
        return [
            one["path"].rpartition("/")[2]
            for one in asked
            if one["method"] == "GET" and "/resolve/" in one["path"]
        ]


@contextlib.contextmanager
def internet(folder: Path, files: dict[str, str] | None = None) -> Iterator[Internet]:
    """Connected to this machine while it lasts. `files`: of its hub of models, by "owner/name/file"."""
    asked, hub = folder / "asked", folder / "hub.json"
    asked.touch()
    hub.write_text(json.dumps(files or {}))
    with _number() as number:
        made = Internet(asked, number)
        name, here, there = f"net-{number}", f"vh-net-{number}", f"vn-net-{number}"
        # A test process that was killed has left them.
        subprocess.run(["ip", "link", "delete", here], check=False, stderr=subprocess.DEVNULL)
        subprocess.run(["ip", "netns", "delete", name], check=False, stderr=subprocess.DEVNULL)
        _ip("netns", "add", name)
        try:
            _connect(made, name, here, there)
            server = Path(__file__).with_name("internet_server.py")
            ports = [str(port) for port in PORTS]
            program = subprocess.Popen(
                ["ip", "netns", "exec", name, sys.executable, server, asked, hub, *ports],
                stdout=subprocess.PIPE,
            )
            try:
                assert program.stdout is not None
                wait_until(lambda: program.stdout.readline() == b"listening\n", "the internet listens")  # type: ignore[union-attr]
                yield made
            finally:
                program.kill()
                program.wait()
        finally:
            _ip("link", "delete", here)
            _ip("netns", "delete", name)


@contextlib.contextmanager
def _number() -> Iterator[int]:
    """One that no other test process of this machine has, until it ends."""
    for number in range(MOST):
        lock = Path(tempfile.gettempdir(), f"spaceport-internet-{number}.lock").open("w")  # noqa: SIM115
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        with lock:
            yield number
        return
    pytest.fail(f"{MOST} test processes have an internet already")


def _connect(made: Internet, name: str, here: str, there: str) -> None:
    _ip("link", "add", here, "type", "veth", "peer", "name", there, "netns", name)
    _ip("address", "add", f"{made.near}/30", "dev", here)
    _ip("address", "add", f"2001:db8:7:{made.number}::1/64", "dev", here, "nodad")
    _ip("link", "set", here, "up")
    for address in (f"{made.host}/30", *(f"{one}/32" for one in made.private)):
        _ip("-n", name, "address", "add", address, "dev", there)
    _ip("-n", name, "address", "add", f"{made.sixth}/64", "dev", there, "nodad")
    for device in (there, "lo"):
        _ip("-n", name, "link", "set", device, "up")
    _ip("-n", name, "route", "add", "default", "via", made.near)
    for one in made.private:
        _ip("route", "add", f"{one}/32", "via", made.host)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
