"""How a queued path of a container is called: the visitor's own request, sent when its turn has come."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import aiohttp
from yarl import URL

from queueing.answers import ANSWER_LIMIT, Answer, Answers, new_name
from queueing.calls import CONNECT_S, CallRefused, Container
from queueing.errors import ContainerDied
from queueing.routes import is_path
from queueing.running import surely

if TYPE_CHECKING:
    from queueing.events import Event
    from queueing.routes import Route

#: aiohttp would add these where the visitor sent none.
NOT_ADDED = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
WITHOUT_BODY = {"GET", "HEAD"}

TOO_LARGE = f"The app's answer is larger than a queued path may give ({ANSWER_LIMIT // 2**20} MiB)."


class PathsContainer:
    """A replica with queued paths; `inner` calls whatever else it offers (a Gradio app's functions)."""

    def __init__(self, http: aiohttp.ClientSession, route: Route, answers: Answers, inner: Container) -> None:
        self.http = http
        self.route = route
        self.answers = answers
        self.inner = inner

    @property
    def app_ids(self) -> dict[str, str]:
        """The app's own ids of Gradio's events; requests have none."""
        return self.inner.app_ids

    async def call(self, event: Event) -> AsyncIterator[dict[str, Any]]:
        """One message, the end: where the answer is kept.

        Raises:
            CallRefused: the answer is none, or too large.
            ContainerDied: the connection broke before the answer's end.
        """
        if not is_path(event.fn):
            async for message in self.inner.call(event):
                yield message
            return
        answer = await self._ask(event)
        name = new_name(event.id)
        await surely(partial(self.answers.keep, name, answer))
        # An error of the app is its own answer for the visitor, but no success in the statistics.
        yield {"msg": "process_completed", "output": {"answer": name}, "success": answer.status < 500}

    async def _ask(self, event: Event) -> Answer:
        method, target, body = event.body["data"]
        # One connection each: an idle one that the app closes just now would look like its death.
        headers = {**event.request["headers"], "Connection": "close"}
        try:
            async with self.http.request(
                method,
                URL(f"http://{self.route.address}{target}", encoded=True),
                data=base64.b64decode(body) if body or method not in WITHOUT_BODY else None,
                headers=headers,
                skip_auto_headers=NOT_ADDED,
                allow_redirects=False,
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_S),
            ) as answer:
                return Answer(answer.status, answer.raw_headers, await _whole(answer.content))
        except aiohttp.ClientResponseError as error:
            raise CallRefused({"error": f"The app's answer is no HTTP ({error.message})."}) from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise ContainerDied from error

    async def batch(self, events: Sequence[Event]) -> list[dict[str, Any]]:
        """Requests are never batched."""
        return await self.inner.batch(events)

    async def cancel(self, event: Event) -> None:
        """A request that runs cannot be stopped: nobody knows what hanging up does to the app's work."""
        if not is_path(event.fn):
            await self.inner.cancel(event)


async def _whole(content: aiohttp.StreamReader) -> bytes:
    body = bytearray()
    async for chunk in content.iter_any():
        body += chunk
        if len(body) > ANSWER_LIMIT:
            raise CallRefused({"error": TOO_LARGE})
    return bytes(body)
