"""Gradio before 4.29 in one thing: a running generator is ended by `/reset`, and the app never reports it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import aiohttp

from queueing.calls import CONNECT_S, GradioApp

if TYPE_CHECKING:
    from queueing.events import Event

#: The app ends the generator after its present step; only then may the place be given to the next one.
SETTLE_S = 0.5


class ResetApp(GradioApp):
    """One replica's app of Gradio 4.9 to 4.28."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._ended: dict[str, asyncio.Event] = {}

    async def call(self, event: Event) -> AsyncIterator[dict[str, Any]]:
        """As `GradioApp.call`; a cancelled event ends here, because the app says nothing more of it."""
        ended = self._ended[event.id] = asyncio.Event()
        messages = super().call(event)
        over = asyncio.ensure_future(ended.wait())
        try:
            while True:
                following = asyncio.ensure_future(_next(messages))
                await asyncio.wait([following, over], return_when=asyncio.FIRST_COMPLETED)
                if not following.done():
                    following.cancel()
                    await asyncio.gather(following, return_exceptions=True)
                    yield {"msg": "process_completed", "output": {}, "success": True}
                    return
                if (message := following.result()) is None:
                    return
                yield message
        finally:
            over.cancel()
            self._ended.pop(event.id, None)
            await messages.aclose()  # type: ignore[attr-defined]

    async def cancel(self, event: Event) -> None:
        """End a running generator."""
        app_event_id, ended = self.app_ids.get(event.id), self._ended.get(event.id)
        if app_event_id is None or ended is None:
            return
        timeout = aiohttp.ClientTimeout(total=30, connect=CONNECT_S)
        with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
            body = {"event_id": app_event_id}
            async with self.http.post(f"{self.base}/reset", json=body, timeout=timeout) as answer:
                await answer.read()
        asyncio.get_running_loop().call_later(SETTLE_S, ended.set)


async def _next(messages: AsyncIterator[dict[str, Any]]) -> dict[str, Any] | None:
    return await anext(messages, None)
