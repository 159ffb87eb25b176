"""Events and calls as the dispatcher sees them: frozen values."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec

from queueing.lines import lane_of

decode = msgspec.json.Decoder().decode
encode = msgspec.json.Encoder().encode


_PREFIX = 12
#: Where an event's id has its channel's part, and its function's: of text or bytes.
CHANNEL_PART, KIND_PART = slice(_PREFIX), slice(_PREFIX, _PREFIX + 4)


def new_channel() -> str:
    """A message channel that nobody can guess."""
    return secrets.token_hex(16)


def prefix_of(channel: str) -> str:
    """How the ids of a channel's events begin, so that a reader of ids recognizes its own."""
    return hashlib.blake2b(channel.encode(), digest_size=_PREFIX // 2).hexdigest()


def kind_of(fn: str) -> str:
    """Four hex digits for a function, part of its events' ids, so that a list of ids gives each one's
    expected time. (Two functions may share them; then their times are merged.)"""
    if fn.isascii() and fn.isdigit() and len(fn) < 5:
        return f"{int(fn):04x}"
    return hashlib.blake2b(fn.encode(), digest_size=2).hexdigest()


def new_event_id(channel: str, fn: str = "") -> str:
    """An event id of this channel and function: 32 hex digits like Gradio's, 64 bits of them random."""
    return prefix_of(channel) + kind_of(fn) + secrets.token_hex(8)


def kind_of_id(event_id: str) -> str:
    """The function's part of an event id."""
    return event_id[KIND_PART]


def prefix_of_id(event_id: str) -> str:
    """The channel's part of an event id."""
    return event_id[CHANNEL_PART]


def input_digest(fn: str, data: Any) -> str:
    """The identity of an input: the same function with the same data has the same digest."""
    return hashlib.blake2b(encode([fn, data]), digest_size=16).hexdigest()


def session_key(session: str) -> str:
    """A session's name in keys: clients choose their own, of any length."""
    return hashlib.blake2b(session.encode(), digest_size=12).hexdigest() if session else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Join:
    """A request to join, from a protocol to the queue."""

    event_id: str
    fn: str  # fn_index of the app's function, as text
    channel: str  # of its messages: a session hash, or the event's own id
    body: dict[str, Any]  # data, fn_index, session_hash, event_data, trigger_id
    request: dict[str, Any]  # headers and query to replay towards the app
    origin: str = "api"  # "page" or "api"
    lane: str = "main"
    group: str = ""  # of functions that share a limit; "": those without one (`queueing.routes.Function`)
    batch: int = 0  # the function's own largest batch; 0: not a batch function
    after: str = ""  # fn of the step this one follows, for `.then`
    visit: str = ""
    visitor: str = ""
    idempotency_key: str = ""
    present: bool = False  # its visitor is connected and waits: staying away cancels the event
    session: str = ""  # the app's session that it is part of; "" where it has none but its own
    home: str = ""  # the replica where the session begins, if it must be a certain one

    def stored(self) -> dict[str, Any]:
        """What `join.lua` stores of it."""
        return {
            "id": self.event_id,
            "lane": self.lane,
            "group": self.group,
            "origin": self.origin,
            "channel": self.channel,
            "fn": self.fn,
            "after": self.after,
            "batch": self.batch,
            "body": encode(self.body),
            "request": encode(self.request),
            "visit_id": self.visit,
            "visitor": self.visitor,
            "repeatable": int(bool(self.idempotency_key)),
            "present": int(self.present),
            "session": session_key(self.session),
            "home": self.home,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The answer to a join. `position` counts from 0; `wake` asks the caller to wake a dispatcher.
    `end_in_flight`: the session's client is just receiving an end (`queueing.delivery.cursors`)."""

    event_id: str
    position: int
    size: int
    wake: bool
    replayed: bool = False
    end_in_flight: bool = False


@dataclass(frozen=True, kw_only=True)
class Event:
    """One claimed event. `published`: how many messages of its call its channel already has."""

    id: str
    fn: str
    channel: str
    raw_body: bytes
    raw_request: bytes
    origin: str
    joined: float
    deaths: int
    losses: int
    moves: int = 0  # planned interruptions: a hand-over, a pause
    published: int
    cancel: bool  # its visitor has cancelled it
    retry: bool  # whether an interrupted one may be begun anew
    visit: str

    @property
    def may_begin(self) -> bool:
        """Whether the function may be called: not a second time where its owner forbids that."""
        return self.retry or not (self.losses or self.deaths or self.moves)

    @cached_property
    def body(self) -> dict[str, Any]:
        """As the app's own join takes it: data, fn_index, session_hash, event_data, trigger_id."""
        value: dict[str, Any] = decode(self.raw_body)
        return value

    @cached_property
    def request(self) -> dict[str, Any]:
        """The visitor's headers and query string, to be replayed."""
        value: dict[str, Any] = decode(self.raw_request)
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of the container: an event, or a batch of events of one function."""

    line: str
    token: int
    replica: str = ""  # where it runs
    slots: int  # how many calls of the line may be in their functions at once; 0 where the app need not know
    total: int = 0  # how many of all lines together; 0: any number
    each: int = 0  # how many of a group that has no number; 0: any number
    events: tuple[Event, ...]

    @property
    def slot(self) -> str:
        """Its entry in `SpaceKeys.calls`."""
        return f"{self.replica}:{self.token}"

    @property
    def lane(self) -> str:
        """Its lane: main or side."""
        return lane_of(self.line)
