"""Where a build may connect to: public addresses, the resolvers, and what the operator names."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Not the internet: this machine, its networks, the cloud's metadata, providers' own, groups, reserved.
PRIVATE = (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
    "192.0.0.0/24", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4",
)  # fmt: skip
RESOLVERS = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))
LOCAL_ADDRESSES = Path("/proc/net/fib_trie")


def around(
    *,
    networks: Iterable[str],
    addresses: Iterable[str],
    resolvers: Iterable[str],
    index: str,
    reaches: list[str],
) -> dict[str, Any]:
    """The wall as the builder raises it (`docker/builder/walled_build.py`). `networks` are the engine's,
    `addresses` this machine's own; `index` is the address of the package index, `reaches` what the operator
    names: "host", "host:port" or a network."""
    allow = [[resolver, protocol, 53] for resolver in resolvers for protocol in ("udp", "tcp")]
    parts = urlsplit(index)
    if parts.hostname:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        allow += [[address, "tcp", port] for address in _resolved(parts.hostname)]
    for one in reaches:
        host, _, given = one.partition(":")
        allow += [[address, "tcp", int(given or 0)] for address in _resolved(host)]
    return {"allow": allow, "deny": [*PRIVATE, *sorted({*networks, *addresses})]}


def own_addresses() -> set[str]:
    """Every address of this machine: the public ones too lead to what listens behind its firewall."""
    found = set()
    last = ""
    with contextlib.suppress(OSError):
        for line in LOCAL_ADDRESSES.read_text().splitlines():
            if (address := re.search(r"\|-- (\S+)", line)) is not None:
                last = address.group(1)
            elif "/32 host LOCAL" in line:
                found.add(last)
    return found


def resolvers() -> list[str]:
    """The resolvers that this machine asks, those on itself left out: a container has another loopback."""
    for path in RESOLVERS:
        with contextlib.suppress(OSError):
            named = re.findall(r"^nameserver\s+([\d.]+)\s*$", path.read_text(), re.MULTILINE)
            if outside := [one for one in named if not ipaddress.ip_address(one).is_loopback]:
                return outside
    return []


def _resolved(host: str) -> list[str]:
    with contextlib.suppress(ValueError):
        return [str(ipaddress.IPv4Network(host, strict=False))]
    try:
        return sorted({str(entry[4][0]) for entry in socket.getaddrinfo(host, None, socket.AF_INET)})
    except OSError:
        return []
