"""Every message to a client, in Gradio's wire format (gradio/server_messages.py of 6.31, protocols
`sse_v1` to `sse_v3`): one tagged union. The app's own messages pass through as JSON; only their event id is
replaced by ours."""

from __future__ import annotations

from typing import Any

import msgspec

encode = msgspec.json.Encoder().encode

#: Codes with which a websocket is closed, besides those of the protocol itself.
GOING_AWAY = 4012  # this process restarts: come back (1012's own; Autobahn sends none below 3000 but 1000)
COME_LATER = 4013  # 1013's own: the client does not read, or too many connect at once


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="msg"):
    """Base: `event_id` is ours; null concerns the whole connection."""

    event_id: str | None = None


class Estimation(Message, frozen=True, kw_only=True, tag="estimation"):
    """Place in line. `rank` counts from 0; `rank_eta` and `rank_eta_max` in seconds, null while unknown."""

    rank: int
    queue_size: int
    rank_eta: float | None = None
    rank_eta_max: float | None = None


class ProcessStarts(Message, frozen=True, kw_only=True, tag="process_starts"):
    """The event runs. `eta`: seconds that its function usually takes."""

    eta: float | None = None


class ProcessCompleted(Message, frozen=True, kw_only=True, tag="process_completed"):
    """The event ended: its only final message."""

    output: dict[str, Any]
    success: bool
    title: str | None = None
    used_cache: str | None = None
    cache_duration: float | None = None
    avg_time: float | None = None


class Log(Message, frozen=True, kw_only=True, tag="log"):
    """A toast on the page. `code` marks a message of the platform; messages of the app have none."""

    log: str
    code: str | None = None
    level: str = "info"
    duration: float | None = 10
    visible: bool = True
    title: str = "Info"


class Heartbeat(Message, frozen=True, kw_only=True, tag="heartbeat"):
    """The connection is alive."""


class CloseStream(Message, frozen=True, kw_only=True, tag="close_stream"):
    """The session has no open events: close the stream."""


class UnexpectedError(Message, frozen=True, kw_only=True, tag="unexpected_error"):
    """An error of the whole session."""

    message: str
    session_not_found: bool = False
    success: bool = False


HEARTBEAT = encode(Heartbeat())
CLOSE_STREAM = encode(CloseStream())


def failed(event_id: str, error: str, title: str = "Error") -> bytes:
    """The final message of an event that failed; `visible` makes Gradio's page show the text."""
    output = {"error": error, "visible": True, "duration": 10, "title": title}
    return encode(ProcessCompleted(event_id=event_id, output=output, success=False, title=title))


def cancelled(event_id: str) -> bytes:
    """The final message of a cancelled event: Gradio's own form of it."""
    return encode(ProcessCompleted(event_id=event_id, output={}, success=True))


PAUSED = "space.paused"


def paused(event_id: str) -> bytes:
    """Not the end: the Space was paused, and the event waits until it starts again."""
    text = "The owner paused this Space. Your place is kept: you are served as soon as it starts again."
    log = Log(event_id=event_id, log=text, code=PAUSED, level="warning", duration=None, title="Paused")
    return encode(log)


NO_HARDWARE = "space.no_hardware"


def no_hardware(event_id: str, why: str) -> bytes:
    """Not the end: no machine of the Space's kind has room for it, and the event waits until one has."""
    text = f"{why} Your place in its queue is kept."
    log = Log(event_id=event_id, log=text, code=NO_HARDWARE, level="warning", duration=None, title="Waiting")
    return encode(log)


INTERRUPTED = "event.interrupted"


def interrupted(event_id: str, text: str) -> bytes:
    """Not the end: the container or worker that ran the event went away, and it continues or starts anew."""
    return encode(Log(event_id=event_id, log=text, code=INTERRUPTED, title="Interrupted"))


def completed(event_id: str, output: dict[str, Any]) -> bytes:
    """The final message of an event whose output came from a direct call."""
    return encode(ProcessCompleted(event_id=event_id, output=output, success=True))
