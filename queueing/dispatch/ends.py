"""An app's messages as the dispatcher publishes them: under our events' ids, with valid ends, and within the
limits."""

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


class KeptBytes:
    """Counts the bytes that an event's messages keep at a time."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._bytes = 0.0

    def add(self, messages: list[LauncherMessage]) -> None:
        """Count these too.

        Raises:
            TooMuch
        """
        for one in messages:
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
    """The end of an event whose outcome is unknown and which may not be run again."""
    return LauncherMessage(0, "failed", failed(event.id, INTERRUPTED))


def an_end(event: Event, last: LauncherMessage) -> LauncherMessage:
    """The last message of one event of a batch, as a valid end."""
    if last.kind in ENDS:
        return last
    return LauncherMessage(max(last.number, 1), "failed", failed(event.id, NOT_UNDERSTOOD))


def refused(event: Event, why: CallRefused) -> bytes:
    """The last message of an event that the app did not take."""
    values = {"msg": "process_completed", "event_id": event.id, "output": why.output, "success": False}
    return encode({**values, "title": "Error"})
