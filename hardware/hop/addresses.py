"""The address of a replica on a node that joined, as its row and its Space's route have it:
`10.0.0.7:8443/n3/41/127.0.0.1:40123`. That is the node's own address, the name in its certificate, the
replica, and where that listens on its node. Of other replicas only the last part is there. No Django."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

#: Names the replica to the node's proxy.
REPLICA_HEADER = "X-Spaceport-Replica"
#: In an answer: it is the proxy's own, with the reason, and no app's.
PROXY_HEADER = "X-Spaceport-Node"
_DOMAIN = "nodes.spaceport.internal"
#: A connection that was made with a certificate stays; new ones are made with a newer one after this time.
CONTEXT_KEPT_S = 24 * 3600


class NodeAddress(NamedTuple):
    """One of them, in its parts."""

    door: str
    label: str
    replica_id: str
    local: str

    def __str__(self) -> str:
        return "/".join(self)

    @property
    def tls_name(self) -> str:
        """What the certificate of its node must be for."""
        return tls_name(self.label)


def tls_name(label: str) -> str:
    """The name in the certificate of the node with this label."""
    return f"{label}.{_DOMAIN}"


def parse(address: str) -> NodeAddress | None:
    """Its parts; None where it is not one of them."""
    parts = address.split("/")
    return NodeAddress(*parts) if len(parts) == len(NodeAddress._fields) else None


def local(address: str) -> str:
    """Where the replica listens, as its app knows it: "ip:port"."""
    return address.rpartition("/")[2]


def split(address: str) -> tuple[str, int]:
    """Host and port of "ip:port", an IPv6 address in brackets.

    Raises:
        ValueError
    """
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    return str(ipaddress.ip_address(host)), int(port)


def join_parts(host: str, port: int) -> str:
    """The opposite."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Connections:
    """How this process connects to nodes. `source` makes the context with the platform's certificate (it
    blocks); None: this process is not the platform's. `here`: the label of the node that it runs on, whose
    replicas it reaches without the hop."""

    def __init__(self) -> None:
        self.source: Callable[[], ssl.SSLContext] | None = None
        self.here = ""
        self._made: tuple[float, ssl.SSLContext] | None = None

    async def context(self) -> ssl.SSLContext:
        """The context for connections to nodes.

        Raises:
            ConnectionError: this process may not connect to any.
        """
        now = time.monotonic()
        if self._made is None or now - self._made[0] > CONTEXT_KEPT_S:
            if self.source is None:
                raise ConnectionError("Only the platform connects to the replicas of other nodes.")
            self._made = (now, await asyncio.to_thread(self.source))
        return self._made[1]


#: Of this process.
CONNECTIONS = Connections()
