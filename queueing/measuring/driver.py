"""Calls a replica as its dispatcher would, without the queue: nothing of it is written anywhere."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw, structs

from queueing import app_messages
from queueing.dispatch.backends.base import CallRefused
from queueing.dispatch.backends.launcher import LauncherClient
from queueing.dispatch.backends.select import connect
from queueing.errors import ContainerDied
from queueing.events import Call, Event, encode, new_event_id
from queueing.lines import line_of
from queueing.store.http_results import ResponseStore

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from hardware.replica_client import ReplicaClient
    from queueing.routes import Function, Route

#: What an app sees of who calls it.
HEADERS = {"user-agent": "spaceport-tuning", "host": "localhost"}


class CallFailed(Exception):
    """A call failed; the message is the app's."""


class _Output(msgspec.Struct):
    data: list[Raw] = []
    error: Raw = Raw(b"null")


class _End(msgspec.Struct):
    output: _Output | None = None
    success: bool | None = True


_end = msgspec.json.Decoder(_End).decode


@dataclass(frozen=True, kw_only=True)
class Work:
    """What one caller sends over and over: a function, by its number in the Space's queue, and the inputs of
    its calls in turn."""

    fn: int
    function: Function
    rows: Sequence[Sequence[Any]]


class Driver:
    """Calls of one replica. `route` is by way of it."""

    def __init__(self, http: ReplicaClient, route: Route, redis: Redis) -> None:
        self._route = structs.replace(route, app=structs.replace(route.app, paths=()))
        self._app = connect(http, self._route, ResponseStore(redis, route.space_id))
        self._direct = LauncherClient(http, self._route)
        self._is_direct = False
        self._elsewhere: set[int] = set()
        self._tokens = 0

    async def open(self) -> None:
        """Connect.

        Raises:
            ContainerDied
        """
        self._is_direct = await self._direct.open() is not None

    async def close(self) -> None:
        """Hang up."""
        await self._direct.close()

    async def call(self, work: Work, rows: Sequence[Sequence[Any]], *, at_once: int, session: str) -> float:
        """One call with these inputs, of a batch function all together; how long it took, in seconds.

        Raises:
            CallFailed, ContainerDied
        """
        events = [self._event(work, row, session) for row in rows]
        began = time.monotonic()
        if self._is_direct and work.fn not in self._elsewhere and await self._directly(work, events, at_once):
            return time.monotonic() - began
        await self._by_gradio(work, events)
        return time.monotonic() - began

    async def outputs(self, work: Work, row: Sequence[Any]) -> list[Raw]:
        """What the function gives for these inputs.

        Raises:
            CallFailed, ContainerDied
        """
        found = list[Raw]()
        (event,) = events = [self._event(work, row, event_session(0))]
        if not self._is_direct or not await self._directly(work, events, 1, found):
            async for message in self._app.call(event):
                if message.head.ends:
                    found = _data(message.about(event.id))
        return found

    def _event(self, work: Work, row: Sequence[Any], session: str) -> Event:
        body: dict[str, Any] = {
            "data": list(row),
            "fn_index": work.function.id,
            "session_hash": session,
            "event_data": None,
            "trigger_id": None,
        }
        return Event(
            id=new_event_id(session, str(work.fn)),
            fn=str(work.fn),
            channel=session,
            raw_body=encode(body),
            raw_request=encode({"headers": HEADERS, "query": ""}),
            origin="api", joined=0.0, deaths=0, losses=0, published=0, cancel=False, retry=True, visit="",
        )  # fmt: skip

    async def _directly(
        self, work: Work, events: Sequence[Event], at_once: int, found: list[Raw] | None = None
    ) -> bool:
        """By the launcher; False: this function needs Gradio's own protocol."""
        self._tokens += 1
        line = line_of(work.function.lane, work.function.group)
        slots = max(at_once, 1) if self._route.app.gate else 0
        call = Call(line=line, token=self._tokens, slots=slots, events=tuple(events))
        self._direct.begin(call)
        try:
            ends = await asyncio.gather(*(self._end(event.id) for event in events))
        except asyncio.CancelledError:
            for event in events:
                self._direct.cancel(event.id)
            raise
        finally:
            for event in events:
                self._direct.drop(event.id)
        kinds = {kind for kind, _ in ends}
        if kinds & {"elsewhere", "unknown", "back"}:
            self._elsewhere.add(work.fn)
            return False
        for event in events:
            self._direct.forget(event.id)
        for kind, payload in ends:
            data = _data(payload)
            if kind != "completed":
                raise CallFailed("The call was cancelled.")
            if found is not None:
                found += data
        return True

    async def _end(self, event_id: str) -> tuple[str, bytes]:
        async for taken in self._direct.messages(event_id):
            if taken[-1].ends:
                return taken[-1].kind, taken[-1].payload
        raise ContainerDied

    async def _by_gradio(self, work: Work, events: Sequence[Event]) -> None:
        try:
            if work.function.batch:
                await self._app.batch(events)
                return
            async for message in self._app.call(events[0]):
                if message.head.ends:
                    _data(message.about(events[0].id))
        except CallRefused as why:
            raise CallFailed(str(why)) from why


def event_session(number: int) -> str:
    """The session of one caller."""
    return f"tuning{number:06d}"


def _data(payload: bytes) -> list[Raw]:
    """The outputs of an end.

    Raises:
        CallFailed: it is none, or says that the call failed.
    """
    if not payload:
        return []
    try:
        end = _end(payload)
    except app_messages.FAILURES as error:
        raise CallFailed(app_messages.NOT_UNDERSTOOD) from error
    if end.success is False:
        text: Any = None
        with contextlib.suppress(*app_messages.FAILURES):
            text = msgspec.json.decode(end.output.error) if end.output else None
        raise CallFailed(text if isinstance(text, str) and text else "It gave no reason.")
    return end.output.data if end.output else []
