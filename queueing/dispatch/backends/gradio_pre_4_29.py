"""Gradio before 4.29 in one thing: a running generator is ended by `/reset`, and the app never reports it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from queueing.app_messages import Message, ended
from queueing.dispatch.backends.gradio_sse import GradioSseClient

if TYPE_CHECKING:
    from queueing.events import Event

#: The app ends the generator after its present step; only then may the next one have its slot.
SETTLE_S = 0.5


class GradioPre429Client(GradioSseClient):
    """One replica's app of Gradio 4.9 to 4.28."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._stopped: dict[str, asyncio.Event] = {}

    async def call(self, event: Event) -> AsyncIterator[Message]:
        """As `GradioSseClient.call`; a cancelled event ends here, because the app sends nothing more about
        it."""
        stopped = self._stopped[event.id] = asyncio.Event()
        messages = super().call(event)
        over = asyncio.ensure_future(stopped.wait())
        try:
            while True:
                following = asyncio.ensure_future(_next(messages))
                await asyncio.wait([following, over], return_when=asyncio.FIRST_COMPLETED)
                if not following.done():
                    following.cancel()
                    await asyncio.gather(following, return_exceptions=True)
                    yield ended({}, success=True)
                    return
                if (message := following.result()) is None:
                    return
                yield message
        finally:
            over.cancel()
            self._stopped.pop(event.id, None)
            await messages.aclose()  # type: ignore[attr-defined]

    async def cancel(self, event: Event) -> None:
        """End a running generator."""
        app_event_id, stopped = self.app_ids.get(event.id), self._stopped.get(event.id)
        if app_event_id is None or stopped is None:
            return
        await self.notify("/reset", {"event_id": app_event_id})
        asyncio.get_running_loop().call_later(SETTLE_S, stopped.set)


async def _next(messages: AsyncIterator[Message]) -> Message | None:
    return await anext(messages, None)
