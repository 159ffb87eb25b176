"""A host that stands for the internet: a network namespace of its own behind this machine, with public and
private addresses, and one program that listens on all of them. Needs root."""

from __future__ import annotations

import contextlib
import json
import secrets
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

HOST = "198.51.100.2"  # of a range for documentation, so nobody else's; to the platform it is public
NEAR = "198.51.100.1"  # this machine's own, on the way there
PRIVATE = ("10.99.7.2", "172.30.7.2", "192.168.97.2", "169.254.77.2", "100.64.7.2")
SIXTH = "2001:db8:7::2"
PORTS = (80, 443, 8080, 5432)


@dataclass
class Internet:
    """What was asked of it is in a file, a line of JSON for each request."""

    asked: Path

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
    mark = secrets.token_hex(3)
    name, here, there = f"net-{mark}", f"vh{mark}", f"vn{mark}"
    asked, hub = folder / "asked", folder / "hub.json"
    asked.touch()
    hub.write_text(json.dumps(files or {}))
    _ip("netns", "add", name)
    try:
        _ip("link", "add", here, "type", "veth", "peer", "name", there, "netns", name)
        _ip("address", "add", f"{NEAR}/24", "dev", here)
        _ip("address", "add", "2001:db8:7::1/64", "dev", here, "nodad")
        _ip("link", "set", here, "up")
        for address in (f"{HOST}/24", *(f"{one}/32" for one in PRIVATE)):
            _ip("-n", name, "address", "add", address, "dev", there)
        _ip("-n", name, "address", "add", f"{SIXTH}/64", "dev", there, "nodad")
        for device in (there, "lo"):
            _ip("-n", name, "link", "set", device, "up")
        _ip("-n", name, "route", "add", "default", "via", NEAR)
        for one in PRIVATE:
            _ip("route", "add", f"{one}/32", "via", HOST)
        server = Path(__file__).with_name("internet_server.py")
        ports = [str(port) for port in PORTS]
        program = subprocess.Popen(
            ["ip", "netns", "exec", name, sys.executable, server, asked, hub, *ports], stdout=subprocess.PIPE
        )
        try:
            assert program.stdout is not None
            wait_until(lambda: program.stdout.readline() == b"listening\n", "the internet listens")  # type: ignore[union-attr]
            yield Internet(asked)
        finally:
            program.kill()
            program.wait()
    finally:
        _ip("link", "delete", here)
        _ip("netns", "delete", name)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
