"""The direct way into a Gradio app: one connection to the launcher in its container, any number of calls at
once (`docker/base/launcher/spaceport_launcher/calls.py` has the protocol). Calls outlive the connection: a
new dispatcher goes on where the last one stopped."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Literal, NamedTuple

import aiohttp
import msgspec

from queueing.errors import ContainerDied

if TYPE_CHECKING:
    from queueing.events import Call
    from queueing.routes import Route

logger = logging.getLogger(__name__)

PATH = "/__spaceport__/calls/2"
CONNECT_S = 10.0
#: A start is held back this long: where the end comes at once, both are told in one step.
HOLD_START_S = 0.01

Kind = Literal["more", "completed", "failed", "cancelled", "back", "elsewhere", "unknown"]
_KINDS: dict[bytes, Kind] = {
    b"m": "more",
    b"c": "completed",
    b"f": "failed",
    b"x": "cancelled",
    b"b": "back",
    b"-": "elsewhere",
    b"?": "unknown",
}


class Said(NamedTuple):
    """One message of a call. `number` counts from 1; everything but "more" ends the call. "back": it had not
    begun, and was taken back; "elsewhere": this function needs Gradio's own protocol; "unknown": the app does
    not know it and was not to begin it. `took_s`: at the end, how long its function ran, in seconds."""

    number: int
    kind: Kind
    payload: bytes
    took_s: float = 0.0

    @property
    def ends(self) -> bool:
        """Whether nothing comes after it."""
        return self.kind != "more"


class _Order(msgspec.Struct, frozen=True):
    do: str
    id: str = ""


class _Asked(msgspec.Struct, frozen=True):
    id: str
    after: int
    again: bool
    body: msgspec.Raw
    request: msgspec.Raw


class _Calls(msgspec.Struct, frozen=True, tag_field="do", tag="call"):
    places: int
    calls: list[_Asked]


_encode = msgspec.json.Encoder().encode


class _Inbox:
    """What was said of one call and not yet taken."""

    def __init__(self) -> None:
        self.said: deque[Said] = deque()
        self.broken = False
        self._more = asyncio.Event()

    def put(self, said: Said) -> None:
        self.said.append(said)
        self._more.set()

    def break_off(self) -> None:
        self.broken = True
        self._more.set()

    async def take(self) -> list[Said]:
        """All there is, at least one.

        Raises:
            ContainerDied: the connection broke, and nothing is left.
        """
        while not self.said:
            if self.broken:
                raise ContainerDied
            self._more.clear()
            await self._more.wait()
        if len(self.said) == 1 and self.said[0].number == 1 and not self.said[0].ends:
            self._more.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(HOLD_START_S):
                    await self._more.wait()
        taken = list(self.said)
        self.said.clear()
        return taken


class Direct:
    """One connection to one replica."""

    def __init__(self, http: aiohttp.ClientSession, route: Route) -> None:
        self._http = http
        self._url = f"http://{route.address}{PATH}"
        self._inboxes: dict[str, _Inbox] = {}
        self._strays: dict[str, asyncio.Event] = {}
        self._orders: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._reader: asyncio.Task[None] | None = None

    async def open(self) -> list[str] | None:
        """Connect; ids of the calls that run there already, or None where the app has no such way in.

        Raises:
            ContainerDied: it does not answer.
        """
        hello: asyncio.Future[list[str] | None] = asyncio.get_running_loop().create_future()
        self._orders = asyncio.Queue()
        # aiohttp sends no headers before there is something of the body.
        self._send(_Order("hello"))
        self._reader = asyncio.create_task(self._read(hello), name="direct")
        try:
            async with asyncio.timeout(CONNECT_S):
                running = await hello
        except TimeoutError as error:
            await self.close()
            raise ContainerDied from error
        self._strays = {call_id: asyncio.Event() for call_id in running or ()}
        return running

    async def close(self) -> None:
        """Hang up; what runs there runs on."""
        self._orders.put_nowait(None)
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)

    def begin(self, call: Call) -> None:
        """Begin the call, all its events together; or go on with what has begun before, after the messages
        `event.told`."""
        for event in call.events:
            inbox = self._inboxes[event.id] = _Inbox()
            if self._reader is None or self._reader.done():
                inbox.break_off()
        asked = [
            _Asked(e.id, e.told, e.may_begin, msgspec.Raw(e.raw_body), msgspec.Raw(e.raw_request))
            for e in call.events
        ]
        self._send(_Calls(call.places, asked))

    async def told(self, event_id: str) -> AsyncIterator[list[Said]]:
        """What the app says of an event whose call was begun, to its end.

        Raises:
            ContainerDied: its end will never be heard.
        """
        inbox = self._inboxes[event_id]
        while True:
            taken = await inbox.take()
            if taken[-1].ends:
                del self._inboxes[event_id]
            yield taken
            if taken[-1].ends:
                return

    async def rest(self, event_id: str) -> None:
        """Until a call nobody listens to any more has ended.

        Raises:
            ContainerDied
        """
        inbox = self._inboxes.get(event_id)
        while inbox is not None and not (await inbox.take())[-1].ends:
            pass
        self._inboxes.pop(event_id, None)

    async def stray_ended(self, call_id: str) -> None:
        """Until a call of an earlier connection has ended, or the connection has."""
        if (ended := self._strays.get(call_id)) is not None:
            await ended.wait()

    def cancel(self, event_id: str) -> None:
        """Ask the app to end the call; only generators and coroutines can be ended."""
        self._send(_Order("cancel", event_id))

    def back(self, event_id: str) -> None:
        """Take it back where it has not begun: its end is "back" then."""
        self._send(_Order("back", event_id))

    def forget(self, event_id: str) -> None:
        """Its end is written down: the app need not keep it."""
        self._send(_Order("forget", event_id))

    def _send(self, order: _Order | _Calls) -> None:
        self._orders.put_nowait(_encode(order) + b"\n")

    async def _lines(self) -> AsyncIterator[bytes]:
        while (line := await self._orders.get()) is not None:
            while not self._orders.empty() and (more := self._orders.get_nowait()) is not None:
                line += more
            yield line

    async def _read(self, hello: asyncio.Future[list[str] | None]) -> None:
        timeout = aiohttp.ClientTimeout(total=None, connect=CONNECT_S)
        try:
            async with self._http.post(self._url, data=self._lines(), timeout=timeout) as answer:
                if answer.status != 200:
                    hello.set_result(None)
                    return
                rest = b""
                async for chunk in answer.content.iter_any():
                    *lines, rest = (rest + chunk).split(b"\n") if rest else chunk.split(b"\n")
                    for line in lines:
                        self._heard(line, hello)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            logger.info("direct: %r", error)
        finally:
            if not hello.done():
                hello.set_exception(ContainerDied())
            for inbox in self._inboxes.values():
                inbox.break_off()
            for ended in self._strays.values():
                ended.set()

    def _heard(self, line: bytes, hello: asyncio.Future[list[str] | None]) -> None:
        word, _, rest = line.partition(b" ")
        if word == b"hello":
            hello.set_result(rest.decode().split())
            return
        number, kind, payload = rest.split(b" ", 2)
        call_id = word.decode()
        inbox = self._inboxes.get(call_id)
        said = Said(int(number), _KINDS.get(kind[:1], "more"), payload, int(kind[1:] or 0) / 1000)
        if kind != b"e" and inbox is not None:
            inbox.put(said)
        if (kind == b"e" or said.ends) and (stray := self._strays.get(call_id)) is not None:
            stray.set()
