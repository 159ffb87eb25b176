"""What every client of an app offers to the dispatcher, and how a call is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from queueing.app_messages import Message
    from queueing.events import Event


def refusal(text: str) -> dict[str, Any]:
    """Gradio's error output."""
    return {"error": text, "visible": True, "title": "Error", "duration": 10}


class CallRefused(Exception):
    """The app refused the event; `output` goes to the visitor (Gradio's error output)."""

    def __init__(self, output: dict[str, Any]) -> None:
        super().__init__(str(output.get("error")))
        self.output = output


class AppFault(CallRefused):
    """The app breaks its protocol; the owner's log records it."""

    def __init__(self, text: str) -> None:
        super().__init__(refusal(text))


class AppClient(Protocol):
    """What the dispatcher needs of a replica, whatever its app speaks."""

    @property
    def app_ids(self) -> dict[str, str]:
        """Our event id -> the app's, while it runs."""

    def call(self, event: Event) -> AsyncIterator[Message]:
        """The messages about this event; ends after the final one.

        Raises:
            CallRefused: the app did not take it.
            ContainerDied: its end will never arrive.
        """

    async def batch(self, events: Sequence[Event]) -> list[dict[str, Any]]:
        """One call for all of them; one output each.

        Raises:
            CallRefused, ContainerDied
        """

    async def cancel(self, event: Event) -> None:
        """Ask the app to end a running generator."""
