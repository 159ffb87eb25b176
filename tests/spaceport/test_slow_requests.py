"""A request has to come in time: its head within seconds, its body at some pace; under either server."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from spaceport.web import uvicorn_http
from spaceport.web.bodies import ORDINARY, Limits
from spaceport.web.daphne_http import factory
from spaceport.web.uvicorn import configured
from spaceport.web.uvicorn_http import BODY_EVERY_S, HEAD_S, LINGER_S, Http

HEAD = b"POST /x HTTP/1.1\r\nHost: a\r\n"


class Transport(StringTransport):  # type: ignore[misc]
    """A client's connection."""

    def abortConnection(self) -> None:  # Twisted's names here
        self.disconnecting = True

    def loseWriteConnection(self) -> None:
        pass


class Connection:
    """One under Daphne, whose clock is ours."""

    def __init__(self) -> None:
        limits = Limits(files_bytes=0, is_app=lambda scope: False, of_app=_none)
        server = SimpleNamespace(
            application=None, action_logger=None, create_application=None, protocol_connected=lambda _: None,
            protocol_disconnected=lambda _: None,
        )  # fmt: skip
        self.made = factory(limits)(server)
        self.clock = self.made.reactor = Clock()
        self.channel = self.made.buildProtocol(None)
        peer = IPv4Address("TCP", "192.0.2.7", 1)
        self.transport = Transport(peerAddress=peer, hostAddress=peer)
        self.channel.makeConnection(self.transport)

    def trickle(self, data: bytes, every_s: float) -> float:
        """Send it byte by byte; after how many seconds it was hung up on."""
        for byte in range(len(data)):
            if self.transport.disconnecting:
                break
            self.channel.dataReceived(data[byte : byte + 1])
            self.clock.advance(every_s)
        assert self.transport.disconnecting
        return float(self.clock.seconds())


async def _none(_: Any) -> int | None:
    return None


@pytest.mark.parametrize(
    "head", [b"GET /" + b"a" * 500, HEAD + b"X: " + b"a" * 500, (HEAD + b"a: b\r\n" * 99)]
)
def test_daphne_waits_for_no_head_that_trickles(head: bytes) -> None:
    assert Connection().trickle(head, 0.5) <= HEAD_S + 1


@pytest.mark.parametrize("length", [b"Content-Length: 2000", b"Transfer-Encoding: chunked"])
def test_daphne_waits_for_no_body_that_trickles(length: bytes) -> None:
    connection = Connection()
    connection.channel.dataReceived(HEAD + length + b"\r\n\r\n")
    assert connection.trickle(b"1\r\na\r\n" * 50, 1) <= BODY_EVERY_S + 1


def test_daphne_takes_a_slow_body_that_comes_on() -> None:
    connection = Connection()
    connection.channel.dataReceived(HEAD + b"Content-Length: 2000000\r\n\r\n")
    for _ in range(600):
        connection.channel.dataReceived(b"a" * 2000)
        connection.clock.advance(1)
    assert not connection.transport.disconnecting


def test_daphne_lets_a_kept_connection_rest() -> None:
    connection = Connection()
    connection.clock.advance(HEAD_S * 2)
    assert not connection.transport.disconnecting


async def test_daphne_hears_a_refused_client_out_and_hangs_up() -> None:
    connection = Connection()
    connection.channel.dataReceived(HEAD + b"Content-Length: %d\r\n\r\n" % (ORDINARY + 1))
    await connection.channel._task
    assert connection.transport.value().startswith(b"HTTP/1.1 413 ")
    connection.channel.dataReceived(b"GET / HTTP/1.1\r\n\r\n")
    assert connection.transport.value().count(b"HTTP/1.1") == 1
    connection.clock.advance(LINGER_S)
    assert connection.transport.disconnecting


# --- uvicorn ----------------------------------------------------------------------------------------


class Uvicorn:
    """A connection under uvicorn, whose clock is ours."""

    def __init__(self) -> None:
        config = configured(_reads)
        config.load()
        state = SimpleNamespace(connections=set(), tasks=set(), default_headers=[], total_requests=0)
        self.now = 1000.0
        loop = asyncio.get_running_loop()
        self.http = Http(config=config, server_state=state, app_state={})
        self.http.loop = SimpleNamespace(  # type: ignore[assignment]
            time=lambda: self.now, create_task=loop.create_task, call_later=loop.call_later
        )
        self.http.connection_made(_Pipe())
        self.http._since = self.now

    def too_slow_after(self, data: bytes, every_s: float) -> float:
        """Seconds until it counts as too slow, fed byte by byte."""
        began = self.now
        for byte in range(len(data)):
            self.http.data_received(data[byte : byte + 1])
            self.now += every_s
            if self.http.too_slow():
                return self.now - began
        raise AssertionError("never too slow")


class _Pipe(asyncio.Transport):
    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("192.0.2.7", 1) if name.endswith("name") else default

    def write(self, data: Any) -> None:
        pass

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


async def _reads(scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass


@pytest.mark.parametrize("head", [b"GET /" + b"a" * 500, HEAD + b"X: " + b"a" * 500])
async def test_uvicorn_waits_for_no_head_that_trickles(head: bytes) -> None:
    assert Uvicorn().too_slow_after(head, 0.5) <= HEAD_S + 1


@pytest.mark.parametrize("length", [b"Content-Length: 2000", b"Transfer-Encoding: chunked"])
async def test_uvicorn_waits_for_no_body_that_trickles(length: bytes) -> None:
    connection = Uvicorn()
    connection.http.data_received(HEAD + length + b"\r\n\r\n")
    assert connection.too_slow_after(b"1\r\na\r\n" * 50, 1) <= BODY_EVERY_S + 1


async def test_uvicorn_takes_a_slow_body_that_comes_on() -> None:
    connection = Uvicorn()
    connection.http.data_received(HEAD + b"Content-Length: 2000000\r\n\r\n")
    for _ in range(600):
        connection.http.data_received(b"a" * 2000)
        connection.now += 1
        assert not connection.http.too_slow()
        await asyncio.sleep(0)


def test_both_servers_have_the_same_patience() -> None:
    assert 15 <= uvicorn_http.HEAD_S <= 30
    assert uvicorn_http.LINGER_S < uvicorn_http.BODY_EVERY_S <= 30
