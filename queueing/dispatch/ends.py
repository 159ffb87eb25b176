"""What the dispatcher makes of what an app says: messages under our events' ids, ends that are ends, and no
more than may be kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from queueing.app_messages import NOT_UNDERSTOOD
from queueing.dispatch.backends.base import AppFault, CallRefused
from queueing.dispatch.backends.launcher import LauncherMessage
from queueing.events import encode
from queueing.messages import failed

if TYPE_CHECKING:
    from hardware.replica_client import Limits
    from queueing.app_messages import Message
    from queueing.events import Event

INTERRUPTED = "Interrupted: the demo went away while it worked on this, and its owner allows no second try."
ENDS = ("completed", "failed", "cancelled")
#: Of a channel's stream (`lua/lib/publish.lua`).
KEPT_MESSAGES = 2000


class TooMuch(AppFault):
    """The app has sent more of one event than is kept."""


class Kept:
    """How much of an event's messages is kept at a time."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._bytes = 0.0

    def add(self, said: list[LauncherMessage]) -> None:
        """Keep these too.

        Raises:
            TooMuch
        """
        for one in said:
            self._bytes += len(one.payload) - self._bytes / KEPT_MESSAGES
        if self._bytes > self._limits.event_bytes:
            raise TooMuch(self._limits.too_much)


def message_of(number: int, message: Message, event_id: str) -> LauncherMessage:
    """A message of Gradio's own protocol, under our event's id."""
    kind = "more"
    if message.head.ends:
        kind = "completed" if message.head.success else "failed"
        if message.head.success and message.head.is_empty:
            kind = "cancelled"
    return LauncherMessage(number, kind, message.about(event_id))  # type: ignore[arg-type]


def unknown(event: Event) -> LauncherMessage:
    """Of what became of it nobody knows, and it may not be tried again."""
    return LauncherMessage(0, "failed", failed(event.id, INTERRUPTED))


def an_end(event: Event, last: LauncherMessage) -> LauncherMessage:
    """The last message of one of a batch, as an end. The launcher lets none of them go its own way."""
    if last.kind in ENDS:
        return last
    return LauncherMessage(max(last.number, 1), "failed", failed(event.id, NOT_UNDERSTOOD))


def refused(event: Event, why: CallRefused) -> bytes:
    """The last message of an event that the app did not take."""
    values = {"msg": "process_completed", "event_id": event.id, "output": why.output, "success": False}
    return encode({**values, "title": "Error"})
