"""Requests of the platform to addresses that people named: webhooks, and the keys of issuers that vouch for
CI jobs. They reach the internet and what the operator opens (`SPACEPORT_OUTBOUND_REACHES`), never this
machine or its networks.

A name is resolved once; the very address that a connection is about to use is checked where its socket is
made. No redirect is followed, no proxy of the environment used, no cookie kept; size and time are bounded.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiohttp

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TOTAL_S = 10.0
URL_LENGTH = 2000
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
#: IPv6 addresses that stand for IPv4 ones: NAT64 (RFC 6052).
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class Refused(Exception):
    """The platform does not connect there; the message gives the reason."""


class Failed(Exception):
    """There was no answer; the message gives the reason, in a few words."""


@dataclass(frozen=True)
class Answer:
    """The answer; its body up to the limit."""

    status: int
    body: bytes


def check_url(url: str) -> str:
    """The URL, if it is one that a request can go to.

    Raises:
        Refused
    """
    try:
        parts = urlsplit(url)
        right = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        right = False
    if not right or len(url) > URL_LENGTH or not url.isascii() or not url.isprintable() or " " in url:
        raise Refused(f"'{url[:100]}' is no address: give one that begins with https:// or http://.")
    if parts.username or parts.password or parts.fragment:
        raise Refused("The address must have no user name, password or fragment.")
    return url


def request(
    method: str,
    url: str,
    *,
    reaches: Sequence[str],
    headers: Mapping[str, str] | None = None,
    data: bytes | None = None,
    limit: int,
    total_s: float = TOTAL_S,
) -> Answer:
    """One request, from a thread without a loop. `reaches`: private targets that the operator opened ("host",
    "host:port" or a network); `limit`: bytes of the answer that are read.

    Raises:
        Refused, Failed
    """
    return asyncio.run(
        send(method, url, reaches=reaches, headers=headers, data=data, limit=limit, total_s=total_s)
    )


async def send(
    method: str,
    url: str,
    *,
    reaches: Sequence[str],
    headers: Mapping[str, str] | None = None,
    data: bytes | None = None,
    limit: int,
    total_s: float = TOTAL_S,
) -> Answer:
    """The same on a loop.

    Raises:
        Refused, Failed
    """
    parts = urlsplit(check_url(url))
    opened = _is_named(parts.hostname or "", parts.port or _port(parts.scheme), reaches)
    connector = aiohttp.TCPConnector(
        socket_factory=partial(_checked_socket, reaches=reaches, opened=opened), force_close=True
    )
    try:
        async with (
            aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(total=total_s),
            ) as session,
            session.request(method, url, headers=headers, data=data, allow_redirects=False) as answer,
        ):
            body = bytearray()
            async for chunk in answer.content.iter_chunked(16 * 1024):
                body += chunk
                if len(body) >= limit:
                    break
            return Answer(answer.status, bytes(body[:limit]))
    except TimeoutError:
        raise Failed(f"no answer within {total_s:g} s") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        if refused := _refusal(error):
            raise refused from None
        raise Failed(str(error)[:300] or type(error).__name__) from error


def _port(scheme: str) -> int:
    return 443 if scheme == "https" else 80


def _is_named(host: str, port: int, reaches: Sequence[str]) -> bool:
    """Whether the operator opened this very name."""
    return any(one.lower() in (host.lower(), f"{host.lower()}:{port}") for one in reaches)


class _NotThere(OSError):
    """The address is not one that the platform connects to."""


def _refusal(error: BaseException) -> Refused | None:
    """The cause of the library's error, if that is our own refusal."""
    seen: BaseException | None = error
    while seen is not None:
        inner = getattr(seen, "os_error", None)
        for one in (seen, inner, *getattr(seen, "exceptions", ())):
            if isinstance(one, _NotThere):
                return Refused(str(one))
        seen = seen.__cause__ or seen.__context__
    return None


def _checked_socket(about: Any, *, reaches: Sequence[str], opened: bool) -> socket.socket:
    family, kind, protocol, _, where = about
    if not opened and not may_reach(where[0], where[1], reaches):
        raise _NotThere(
            "It is an internal address. Only public ones are connected to, and those that the administrator "
            "names in SPACEPORT_OUTBOUND_REACHES."
        )
    return socket.socket(family=family, type=kind, proto=protocol)


def may_reach(host: str, port: int, reaches: Sequence[str]) -> bool:
    """Whether this address is public, or one of a network that the operator opened."""
    address = _plain(ipaddress.ip_address(host.partition("%")[0]))
    if _is_in(address, port, reaches):
        return True
    return address.is_global and not address.is_multicast and not _is_own(address)


def _plain(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1] or address


def _is_in(address: Address, port: int, reaches: Sequence[str]) -> bool:
    for one in reaches:
        network, _, given = one.partition(":")
        with contextlib.suppress(ValueError):
            if address in ipaddress.ip_network(network, strict=False) and given in ("", str(port)):
                return True
    return False


def _is_own(address: Address) -> bool:
    """Whether it is this machine's, where more listens than the world should see."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True
