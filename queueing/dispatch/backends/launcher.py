"""The direct way into a Gradio app: one connection to the launcher in its container, any number of calls at
once (`docker/base/launcher/spaceport_launcher/calls.py` has the protocol). Calls outlive the connection: a
new dispatcher goes on where the last one stopped."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

from hardware.replica_client import BadAnswer, Unreachable
from infra.line_splitter import Cut, Lines
from queueing.app_messages import NOT_UNDERSTOOD, speaks_of
from queueing.dispatch.backends.backlog import Backlog
from queueing.errors import ContainerDied
from queueing.lines import group_of
from queueing.messages import failed

if TYPE_CHECKING:
    from hardware.replica_client import ReplicaClient, Reply
    from queueing.events import Call
    from queueing.routes import Route

logger = logging.getLogger(__name__)

PATH = "/__spaceport__/calls/2"
CONNECT_S = 10.0
#: A start is delayed this long, so that the end of a short call is published in the same step.
START_DELAY_S = 0.01

#: A line longer than this many times the largest message is taken for endless.
ENDLESS = 16
LINES_A_TURN = 200
MOST_STRAYS = 10_000
ID = re.compile(r"[0-9a-f]{32}")
COUNT = re.compile(rb"\d{1,12}")

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


class LauncherMessage(NamedTuple):
    """One message of a call. `number` counts from 1; everything but "more" ends the call. "back": it had not
    begun, and was taken back; "elsewhere": this function needs Gradio's own protocol; "unknown": the app does
    not know it and was not to begin it. `took_s`: at the end, how long its function ran, in seconds."""

    number: int
    kind: Kind
    payload: bytes
    took_s: float = 0.0
    fault: str = ""  # of the app, where the end is not its own word

    @property
    def ends(self) -> bool:
        """Whether nothing comes after it."""
        return self.kind != "more"


class _Order(msgspec.Struct, frozen=True):
    do: str
    id: str = ""


class _LauncherEvent(msgspec.Struct, frozen=True):
    id: str
    after: int
    again: bool
    body: msgspec.Raw
    request: msgspec.Raw


class _Calls(msgspec.Struct, frozen=True, tag_field="do", tag="call"):
    group: str
    slots: int = msgspec.field(name="places")
    each: int
    total: int
    calls: list[_LauncherEvent]


_encode = msgspec.json.Encoder().encode


class _Inbox(Backlog[LauncherMessage]):
    """Of one call; `first` is the event its call was begun by. After its end nothing counts."""

    def __init__(self, first: str) -> None:
        super().__init__()
        self.first = first
        self.is_over = False

    def deliver(self, message: LauncherMessage) -> None:
        if not self.is_over:
            self.is_over = message.ends
            self.put(message, len(message.payload))

    async def take(self) -> list[LauncherMessage]:
        await self.wait_for_message()
        message = self.alone()
        if message is not None and message.number == 1 and not message.ends:
            await self.more_within(START_DELAY_S)
        return await super().take()


class LauncherClient:
    """One connection to one replica."""

    def __init__(self, http: ReplicaClient, route: Route) -> None:
        self._http = http
        self._address = route.address
        self._answered = False
        self._backs: set[str] = set()  # calls to take back
        self._gate = route.app.gate
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
        self._reader = asyncio.create_task(self._receive(hello), name="direct")
        try:
            async with asyncio.timeout(CONNECT_S):
                running = await hello
        except TimeoutError as error:
            await self.close()
            if self._answered:  # but not with the launcher's hello
                return None
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
        `event.published`."""
        for event in call.events:
            inbox = self._inboxes[event.id] = _Inbox(call.events[0].id)
            if self._reader is None or self._reader.done():
                inbox.break_off()
        events = [
            _LauncherEvent(
                e.id, e.published, e.may_begin, msgspec.Raw(e.raw_body), msgspec.Raw(e.raw_request)
            )
            for e in call.events
        ]
        slots = call.slots if self._gate else 0
        self._send(_Calls(group_of(call.line), slots, call.each, call.total, events))

    async def messages(self, event_id: str) -> AsyncIterator[list[LauncherMessage]]:
        """The app's messages about an event whose call was begun, to its end.

        Raises:
            ContainerDied: its end will never arrive.
        """
        inbox = self._inboxes[event_id]
        while True:
            taken = await inbox.take()
            if taken[-1].ends:
                del self._inboxes[event_id]
            yield taken
            if taken[-1].ends:
                return

    def drop(self, event_id: str) -> None:
        """Nobody follows this event's messages any more."""
        if (inbox := self._inboxes.pop(event_id, None)) is not None:
            inbox.leave()

    async def rest(self, event_id: str) -> None:
        """Until the end of an event that nobody follows any more.

        Raises:
            ContainerDied
        """
        inbox = self._inboxes.get(event_id)
        try:
            while inbox is not None and not (await inbox.take())[-1].ends:
                pass
        finally:
            self.drop(event_id)

    async def stray_ended(self, call_id: str) -> None:
        """Until a call of an earlier connection has ended, or the connection has."""
        if (ended := self._strays.get(call_id)) is not None:
            await ended.wait()

    def cancel(self, event_id: str) -> None:
        """Ask the app to end the call; only generators and coroutines can be ended."""
        self._send(_Order("cancel", event_id))

    def back(self, event_id: str) -> None:
        """Take it back where it has not begun: its end is "back" then."""
        self._backs.add(event_id)
        self._send(_Order("back", event_id))

    def forget(self, event_id: str) -> None:
        """Its end is stored: the app need not keep it."""
        self._send(_Order("forget", event_id))

    def _send(self, order: _Order | _Calls) -> None:
        self._orders.put_nowait(_encode(order) + b"\n")

    async def _lines(self) -> AsyncIterator[bytes]:
        while (line := await self._orders.get()) is not None:
            while not self._orders.empty() and (more := self._orders.get_nowait()) is not None:
                line += more
            yield line

    async def _receive(self, hello: asyncio.Future[list[str] | None]) -> None:
        try:
            async with self._http.send("POST", self._address, PATH, data=self._lines()) as reply:
                if reply.status != 200:
                    hello.set_result(None)
                    return
                await self._handle_lines(reply, hello)
        except BadAnswer as error:
            logger.info("direct: %s", error)
            self._fail_all(str(error))
        except Unreachable as error:
            logger.info("direct: %s", error)
        finally:
            if not hello.done():
                hello.set_exception(ContainerDied())
            for inbox in self._inboxes.values():
                inbox.break_off()
            for ended in self._strays.values():
                ended.set()

    async def _handle_lines(self, reply: Reply, hello: asyncio.Future[list[str] | None]) -> None:
        self._answered = True
        limit = self._http.limits.message_bytes
        lines = Lines(limit)
        async for chunk in reply.chunks():
            for number, line in enumerate(lines.feed(chunk), start=1):
                if (inbox := self._handle_line(line, hello)) is not None and inbox.is_full:
                    await inbox.room()
                if number % LINES_A_TURN == 0:
                    await asyncio.sleep(0)
            if lines.pending > ENDLESS * limit:
                raise BadAnswer(self._http.limits.too_large)

    def _handle_line(self, line: bytes | Cut, hello: asyncio.Future[list[str] | None]) -> _Inbox | None:
        """Take a line in; the backlog it went to.

        Raises:
            BadAnswer: it is not as the launcher writes.
        """
        word, _, rest = (line.start if isinstance(line, Cut) else line).partition(b" ")
        call_id = word.decode("ascii", "replace")
        if word == b"hello":
            running = [ID.fullmatch(name) for name in rest.decode("ascii", "replace").split()[:MOST_STRAYS]]
            if not hello.done():
                hello.set_result([name[0] for name in running if name])
            return None
        inbox = self._inboxes.get(call_id)
        kind, message = _parse(rest)
        if kind != b"e" and inbox is not None:
            if isinstance(line, Cut):
                message = self._failed(call_id, message, self._http.limits.too_large)
            elif not self._is_valid(call_id, inbox, message):
                message = self._failed(call_id, message, NOT_UNDERSTOOD)
            inbox.deliver(message)
        if (kind == b"e" or message.ends) and (stray := self._strays.get(call_id)) is not None:
            stray.set()
        return inbox

    def _is_valid(self, call_id: str, inbox: _Inbox, message: LauncherMessage) -> bool:
        if message.kind == "back":  # else it would be sent again and again
            return inbox.first in self._backs
        if message.kind in ("elsewhere", "unknown"):
            return True
        return speaks_of(message.payload, call_id, ends=message.ends)

    def _failed(self, call_id: str, message: LauncherMessage, text: str) -> LauncherMessage:
        """End the event for its visitor, whatever else the app sends about it."""
        self.cancel(call_id)
        return LauncherMessage(max(message.number, 1), "failed", failed(call_id, text), fault=text)

    def _fail_all(self, text: str) -> None:
        for event_id, inbox in self._inboxes.items():
            inbox.deliver(LauncherMessage(1, "failed", failed(event_id, text), fault=text))


def _parse(rest: bytes) -> tuple[bytes, LauncherMessage]:
    """`<number> <kind> <message>`, its kind as it came.

    Raises:
        BadAnswer
    """
    number, _, rest = rest.partition(b" ")
    kind, _, payload = rest.partition(b" ")
    if not COUNT.fullmatch(number) or not COUNT.fullmatch(kind[1:] or b"0"):
        raise BadAnswer(NOT_UNDERSTOOD)
    took_s = int(kind[1:] or 0) / 1000
    return kind, LauncherMessage(int(number), _KINDS.get(kind[:1], "more"), payload, took_s)
