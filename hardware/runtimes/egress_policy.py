"""Where builds and Spaces may connect to: public addresses, the resolvers, and what the operator names."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
from dataclasses import dataclass
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
#: What `web` opens.
WEB_PORTS = (80, 443, 8080)
#: A host name, an address or a network, and a port.
_TARGET = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.\-]{0,250}[A-Za-z0-9])?(/\d{1,2})?(:\d{1,5})?")
RESOLVERS = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))
LOCAL_ADDRESSES = Path("/proc/net/fib_trie")


def of_builds(
    *,
    networks: Iterable[str],
    addresses: Iterable[str],
    resolvers: Iterable[str],
    index: str,
    reaches: list[str],
) -> dict[str, Any]:
    """The rules of every build, as its builder sets them (`docker/builder/walled_build.py`). `networks` are
    the engine's, `addresses` this machine's own; `index` is the address of the package index, `reaches` what
    the operator names: "host", "host:port" or a network."""
    allow = for_names(resolvers)
    parts = urlsplit(index)
    if parts.hostname:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        allow += [[address, "tcp", port] for address in _resolved(parts.hostname)]
    allow += opened(reaches)
    return {"allow": allow, "deny": [*PRIVATE, *sorted({*networks, *addresses})]}


def for_names(resolvers: Iterable[str]) -> list[list[Any]]:
    """The openings that name resolution needs, as [network, protocol, port]."""
    return [[resolver, protocol, 53] for resolver in resolvers for protocol in ("udp", "tcp")]


def opened(reaches: Iterable[str]) -> list[list[Any]]:
    """These targets ("host", "host:port" or a network) as [network, protocol, port; 0 is any]. A host's
    addresses are those it has now; one that has none opens nothing."""
    found: list[list[Any]] = []
    for one in reaches:
        host, _, given = one.partition(":")
        found += [[address, "tcp", int(given or 0)] for address in _resolved(host)]
    return found


class BadEgress(ValueError):
    """This is no egress policy; the message describes one."""


@dataclass(frozen=True, kw_only=True)
class Egress:
    """Where a Space may connect to. `web`: public addresses, on WEB_PORTS. `targets`: only these, as far as
    they are public. Neither: nowhere."""

    web: bool = False
    targets: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Egress:
        """The policy of "web", "none", or a list of hosts and networks, each with a port or without.

        Raises:
            BadEgress
        """
        words = [word for word in re.split(r"[\s,]+", text.strip()) if word]
        if words in (["web"], ["none"]):
            return cls(web=words == ["web"])
        for word in words:
            if word in ("web", "none") or not _is_target(word):
                raise BadEgress(
                    f"{word[:80]!r} is no place to connect to. Write web, none, or a list of hosts, "
                    "addresses and networks like: api.example.org, db.example.org:5432, 203.0.113.0/24."
                )
        if not words:
            raise BadEgress("An egress policy is web, none, or a list of hosts, addresses and networks.")
        return cls(targets=tuple(sorted(set(words))))

    def __str__(self) -> str:
        return "web" if self.web else ",".join(self.targets) or "none"


def _is_target(word: str) -> bool:
    host, _, port = word.partition(":")
    if "/" in host:
        try:
            ipaddress.IPv4Network(host, strict=False)
        except ValueError:
            return False
    return _TARGET.fullmatch(word) is not None and int(port or 1) < 2**16


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
    """The resolvers that this machine uses, except those on itself: a container has another loopback."""
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
