"""Where a visitor's connection comes from: the address that counts behind reverse proxies of one's own, and
the neighbourhood that shares it. No Django: the event path uses it too."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from functools import lru_cache


def client_of(headers: Iterable[tuple[bytes, bytes]], peer: str, proxies: int) -> str:
    """The visitor's address: the connection's, or the entry of the outermost trusted proxy. The visitor may
    have invented anything further left in the header."""
    if not proxies:
        return peer
    values = [value.decode("latin-1") for name, value in headers if name.lower() == b"x-forwarded-for"]
    hops = [hop.strip() for hop in ",".join(values).split(",") if hop.strip()]
    return hops[-proxies] if len(hops) >= proxies else peer


def client_of_request(meta: Mapping[str, str], proxies: int) -> str:
    """The same of a request as Django has it (its `META`)."""
    forwarded = meta.get("HTTP_X_FORWARDED_FOR", "").encode("latin-1", "replace")
    return client_of([(b"x-forwarded-for", forwarded)], meta.get("REMOTE_ADDR", ""), proxies)


@lru_cache(10_000)  # called for every event
def network(address: str) -> str:
    """The /24 (IPv4) or /56 (IPv6) of an address: about what one household or server can take of them."""
    return _prefix(address, 24)


def household(address: str) -> str:
    """The address itself (IPv4) or its /56 (IPv6, where a household has more addresses than one can
    count)."""
    return _prefix(address, 32)


def _prefix(address: str, bits: int) -> str:
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address or "unknown"
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return str(ipaddress.ip_network((ip, bits if ip.version == 4 else 56), strict=False))
