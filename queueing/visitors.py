"""Who counts as one visitor: whose events stand behind each other under the fair policy, and are limited."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache


def visitor(*, user_id: int | None = None, page: str = "", address: str = "") -> str:
    """A name for the visitor, the first that is known of: account, browser session, address.

    Args:
        page: what the gateway has proof of for a page: its visit, or the session bound to its token. Never
            what a program may choose: it would be a new visitor with each call.
        address: whom the connection comes from; programs without an account are told apart by it.
    """
    if user_id is not None:
        return f"account:{user_id}"
    if page:
        return f"page:{page}"
    return f"address:{network(address)}"


def client_of(headers: Iterable[tuple[bytes, bytes]], peer: str, proxies: int) -> str:
    """The visitor's address: the connection's, or what the outermost of so many own proxies says it is.
    Anything further left in the header is the visitor's own invention."""
    if not proxies:
        return peer
    told = [value.decode("latin-1") for name, value in headers if name.lower() == b"x-forwarded-for"]
    hops = [hop.strip() for hop in ",".join(told).split(",") if hop.strip()]
    return hops[-proxies] if len(hops) >= proxies else peer


@lru_cache(10_000)  # asked for every event
def network(address: str) -> str:
    """The /24 (IPv4) or /56 (IPv6) of an address: about what one household or server can take of them."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address or "unknown"
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return str(ipaddress.ip_network((ip, 24 if ip.version == 4 else 56), strict=False))
