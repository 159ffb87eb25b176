"""The one HTTP client for everything that is sent to a replica: pages, calls, sockets, and the platform's own
requests.

Whatever a container answers is hostile input. A request reaches the replica's own address and no other: no
redirect is followed, no name is looked up, no proxy of the environment is used, no cookie is kept. Nothing is
decompressed. Heads are bounded here; bodies are streamed, or read up to a limit that the caller names.
Ruff's TID251 (pyproject.toml) bans every other client. No Django: the event path uses it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDict
from yarl import URL

from hardware.hop.addresses import CONNECTIONS, PROXY_HEADER, REPLICA_HEADER, parse
from hardware.replica_connections import Connector

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

CONNECT_S = 10.0
SHORTEST_S = 0.001
HANDSHAKE_S = 60.0
MEGABYTE = 1024 * 1024

HEADERS = 128
LINE_BYTES = 16 * 1024
FIELD_BYTES = 32 * 1024
HEAD_BYTES = 64 * 1024
REDIRECTS = frozenset({301, 302, 303, 307, 308})
#: aiohttp would add these where the visitor sent none.
NOT_ADDED = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
_VISIBLE = "".join(map(chr, range(0x21, 0x7F)))
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")

NO_HTTP = "The app's answer is no valid HTTP."


class ReplicaError(Exception):
    """The replica did not answer as HTTP servers do."""


class Unreachable(ReplicaError):
    """It could not be reached, broke off, or did not answer in time."""


class BadAnswer(ReplicaError):
    """Its answer breaks the protocol; the message is a sentence for people."""


class Redirected(BadAnswer):
    """It redirects, which the platform does not follow."""

    def __init__(self, status: int, what: str) -> None:
        super().__init__(f"The app answered {status} to {what}; the platform follows no redirect.")


@dataclass(frozen=True)
class Limits:
    """What one event may send. `message_bytes`: its largest message; `event_bytes`: what may be kept of all
    its messages at a time."""

    message_bytes: int = 32 * MEGABYTE
    event_bytes: int = 256 * MEGABYTE

    @property
    def too_large(self) -> str:
        return (
            f"The app's message is larger than {self.message_bytes / MEGABYTE:g} MiB, the most one message "
            "may have here. Return large results as files."
        )

    @property
    def too_much(self) -> str:
        return (
            f"The app sent more than {self.event_bytes / MEGABYTE:g} MiB for one call, the most that is kept "
            "here. Send less with each step, or return large results as files."
        )


def target_of(path: str, query: bytes = b"") -> str:
    """A decoded path and its query as they are sent: exactly what was matched is sent."""
    text = quote(path, safe="/=:@!$&()*+,;~")
    return f"{text}?{quote(query.decode('latin-1'), safe=_VISIBLE, encoding='latin-1')}" if query else text


def url_of(address: str, target: str, scheme: str = "http") -> URL:
    """The URL of a target (`target_of`) at "ip:port", a replica's address or its node's.

    Raises:
        Unreachable: this is no address of a replica.
        BadAnswer: this is no path on it.
    """
    host, _, port = address.rpartition(":")
    try:
        ipaddress.ip_address(host)
        url = URL(f"{scheme}://{address}{target}", encoded=True)
        pinned = (url.raw_host, url.port, url.raw_user) == (host, int(port), None)
    except ValueError as error:
        raise Unreachable(f"{address!r} is no address of a replica.") from error
    if not pinned or not target.startswith("/") or re.search(r"[^!-~]", target):
        raise BadAnswer("The app names a path that is none.")
    return url


class Way(NamedTuple):
    """How a request reaches its replica: `tls` is what the connection to another node is made with."""

    url: URL
    headers: Mapping[str, str] | None
    tls: dict[str, Any]


async def way_to(address: str, target: str, headers: Mapping[str, str] | None) -> Way:
    """The way to a replica: straight where it runs on this machine, else by the proxy of its node.

    Raises:
        Unreachable, BadAnswer
    """
    there = parse(address) if "/" in address else None
    if there is None:
        return Way(url_of(address, target), headers, {})
    if there.label == CONNECTIONS.here:
        return Way(url_of(there.local, target), headers, {})
    try:
        context = await CONNECTIONS.context()
    except ConnectionError as error:
        raise Unreachable(str(error)) from error
    named: CIMultiDict[str] = CIMultiDict(headers or {})
    named.setdefault("Host", there.local)
    named[REPLICA_HEADER] = there.replica_id
    url = url_of(there.door, target, "https")
    return Way(url, named, {"ssl": context, "server_hostname": there.tls_name})


class Reply:
    """An answer whose head has come."""

    def __init__(self, answer: aiohttp.ClientResponse, *, has_body: bool) -> None:
        self._answer, self._has_body = answer, has_body
        self.status = answer.status
        self.headers = answer.headers
        self.raw_headers = _checked_head(answer)

    @property
    def content_type(self) -> str:
        return self._answer.content_type

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes.

        Raises:
            Unreachable: it broke off.
        """
        if not self._has_body:
            return
        with _translated():
            async for chunk in self._answer.content.iter_any():
                yield chunk

    async def read(self, limit: int) -> bytes:
        """The whole body.

        Raises:
            BadAnswer: it is larger than `limit` bytes.
            Unreachable
        """
        body = bytearray()
        async for chunk in self.chunks():
            body += chunk
            if len(body) > limit:
                raise BadAnswer(f"The app's answer is larger than {limit / MEGABYTE:g} MiB.")
        return bytes(body)


class ReplicaClient:
    """One event loop's connections to replicas; made on the loop."""

    def __init__(self, *, keepalive_s: float = 15.0, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._session = aiohttp.ClientSession(
            # One visitor's cookies must never reach another's request.
            cookie_jar=aiohttp.DummyCookieJar(),
            connector=Connector(keepalive_s),
            auto_decompress=False,
            trust_env=False,
            max_line_size=LINE_BYTES,
            max_field_size=FIELD_BYTES,
            max_headers=HEADERS,
            middlewares=(_stay_there,),
        )

    async def __aenter__(self) -> ReplicaClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Hang up everywhere."""
        await self._session.close()

    @contextlib.asynccontextmanager
    async def send(
        self,
        method: str,
        address: str,
        target: str,
        *,
        headers: Mapping[str, str] | None = None,
        data: Any = None,
        skip_auto_headers: Sequence[str] = (),
        total_s: float | None = None,
    ) -> AsyncIterator[Reply]:
        """A visitor's own request; whatever the answer is, it is the visitor's. `total_s` bounds all of it;
        with no time left it fails at once.

        Raises:
            Unreachable, BadAnswer
        """
        way = await way_to(address, target, headers)
        # To aiohttp 0 is no limit.
        total_s = None if total_s is None else max(total_s, SHORTEST_S)
        timeout = aiohttp.ClientTimeout(total=total_s, connect=CONNECT_S)
        with _translated(), _pinned_to(way.url):
            answer = await self._session.request(
                method, way.url, headers=way.headers, data=data, skip_auto_headers=skip_auto_headers,
                allow_redirects=False, timeout=timeout, **way.tls,
            )  # fmt: skip
        try:
            yield Reply(answer, has_body=method != "HEAD" and answer.status not in (204, 304))
        finally:
            answer.release()

    @contextlib.asynccontextmanager
    async def request(
        self,
        method: str,
        address: str,
        path: str,
        *,
        query: bytes = b"",
        headers: Mapping[str, str] | None = None,
        data: Any = None,
        total_s: float | None,
    ) -> AsyncIterator[Reply]:
        """A request of the platform's own, to a decoded path: its answer is neither a redirect nor
        compressed.

        Raises:
            Unreachable, BadAnswer
        """
        request_headers: CIMultiDict[str] = CIMultiDict(headers or {})
        request_headers["Accept-Encoding"] = "identity"
        sent = self.send(
            method, address, target_of(path, query), headers=request_headers, data=data, total_s=total_s
        )  # fmt: skip
        async with sent as reply:
            if 300 <= reply.status < 400:
                raise Redirected(reply.status, path)
            if reply.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
                raise BadAnswer(f"The app compressed its answer to {path}, though it was asked not to.")
            yield reply

    async def websocket(
        self,
        address: str,
        target: str,
        *,
        headers: Mapping[str, str],
        protocols: Sequence[str] = (),
        max_message_bytes: int,
    ) -> aiohttp.ClientWebSocketResponse:
        """A websocket with the replica.

        Raises:
            Unreachable, BadAnswer: it takes none.
        """
        way = await way_to(address, target, headers)
        with _translated(), _pinned_to(way.url):
            async with asyncio.timeout(HANDSHAKE_S):
                ws: aiohttp.ClientWebSocketResponse = await self._session.ws_connect(
                    way.url, headers=way.headers, protocols=protocols, max_msg_size=max_message_bytes,
                    timeout=aiohttp.ClientWSTimeout(ws_close=CONNECT_S), **way.tls,
                )  # fmt: skip
                return ws


async def fetch(
    address: str,
    path: str,
    *,
    query: bytes = b"",
    headers: Mapping[str, str] | None = None,
    limit: int,
    total_s: float,
) -> tuple[int, bytes]:
    """Status and body of one GET of the platform's own.

    Raises:
        Unreachable, BadAnswer
    """
    async with (
        ReplicaClient() as client,
        client.request("GET", address, path, query=query, headers=headers, total_s=total_s) as reply,
    ):
        return reply.status, await reply.read(limit)


async def status_of(address: str, path: str, *, total_s: float) -> int:
    """The status of a GET, without its body: a first page may be long, or never end.

    Raises:
        Unreachable, BadAnswer
    """
    async with ReplicaClient() as client, client.send("GET", address, path, total_s=total_s) as reply:
        return reply.status


# --- one address, and no other --------------------------------------------------------------------------

_pinned: ContextVar[tuple[str | None, int | None]] = ContextVar("pinned", default=(None, None))


@contextlib.contextmanager
def _pinned_to(url: URL) -> Iterator[None]:
    before = _pinned.set((url.raw_host, url.port))
    try:
        yield
    finally:
        _pinned.reset(before)


async def _stay_there(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """A second barrier against redirects: the library's websockets follow them."""
    if (request.url.raw_host, request.url.port) != _pinned.get():
        raise aiohttp.ClientConnectionError("This is not the replica's address.")
    answer = await handler(request)
    if request.url.scheme == "https" and (why := answer.headers.get(PROXY_HEADER)):
        answer.close()
        raise aiohttp.ClientConnectionError(f"The replica is {why} on its node.")
    if answer.status in REDIRECTS and request.headers.get("Upgrade", "").lower() == "websocket":
        answer.close()
        raise Redirected(answer.status, "a websocket")
    return answer


# --- what came back -------------------------------------------------------------------------------------


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Translates the library's many errors into the two that callers distinguish."""
    try:
        yield
    except (aiohttp.ClientResponseError, HttpProcessingError) as error:
        if isinstance(error, aiohttp.WSServerHandshakeError):
            raise BadAnswer(f"The app answered {error.status} to a websocket.") from error
        raise BadAnswer(NO_HTTP) from error
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise Unreachable(repr(error)) from error
    except ValueError as error:  # a header that cannot be sent, or a status line that cannot be read
        raise BadAnswer(NO_HTTP) from error


def _checked_head(answer: aiohttp.ClientResponse) -> tuple[tuple[bytes, bytes], ...]:
    """The head's fields as they may be passed on.

    Raises:
        BadAnswer: no honest server sends these.
    """
    fields = answer.raw_headers
    size = sum(len(name) + len(value) for name, value in fields)
    lengths = {value for name, value in fields if name.lower() == b"content-length"}
    garbled = any(_CONTROL.search(name) or _CONTROL.search(value) for name, value in fields)
    if size > HEAD_BYTES or garbled or len(lengths) > 1 or not 200 <= answer.status <= 599:
        answer.close()
        raise BadAnswer(NO_HTTP)
    if answer.headers.get("Transfer-Encoding"):  # there it has no meaning, and misleads parsers
        return tuple((name, value) for name, value in fields if name.lower() != b"content-length")
    return fields
