"""Where processes listen for TCP connections, as Linux tells it (proc_pid_net(5)). What cannot be read is
left out."""

from __future__ import annotations

import contextlib
import ipaddress
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

LISTENS = "0A"  # TCP_LISTEN in <net/tcp_states.h>


class Listener(NamedTuple):
    """An address that is listened on: "0.0.0.0" and "::" are every address."""

    address: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether it is reached from its own network namespace only."""
        return ipaddress.ip_address(self.address).is_loopback


def in_network_of(pid: int) -> set[Listener]:
    """Of all processes in the network namespace of this one."""
    return {listener for listener, _ in _table(pid)}


def of_processes(pids: Iterable[int]) -> set[Listener]:
    """Of these processes alone, which share a network namespace."""
    pids = list(pids)
    held = {inode for pid in pids for inode in _sockets(pid)}
    return {listener for listener, inode in (_table(pids[0]) if pids else ()) if inode in held}


def _table(pid: int) -> Iterator[tuple[Listener, str]]:
    """Each with its socket's inode."""
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(OSError, ValueError):
            for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == LISTENS:
                    address, _, port = fields[1].partition(":")
                    yield Listener(_address(address), int(port, 16)), fields[9]


def _address(text: str) -> str:
    """An address as the kernel prints it: 32-bit words in the machine's byte order."""
    words = [int(text[at : at + 8], 16) for at in range(0, len(text), 8)]
    found = ipaddress.ip_address(struct.pack(f"={len(words)}I", *words))
    mapped = getattr(found, "ipv4_mapped", None)
    return str(mapped or found)


def _sockets(pid: int) -> Iterator[str]:
    with contextlib.suppress(OSError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                kind, _, inode = str(entry.readlink()).partition(":[")
                if kind == "socket":
                    yield inode.rstrip("]")
