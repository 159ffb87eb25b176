"""How a queued path of a container is called: the visitor's own request, sent when its turn has come."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from hardware.replica_client import NOT_ADDED, BadAnswer, Unreachable
from queueing.app_messages import Message, ended
from queueing.dispatch.backends.base import AppClient, AppFault, CallRefused
from queueing.errors import ContainerDied
from queueing.routes import is_path
from queueing.store.http_results import ANSWER_LIMIT, Answer, ResponseStore, new_name
from queueing.store.retry import retry_until_stored

if TYPE_CHECKING:
    from hardware.replica_client import ReplicaClient, Reply
    from queueing.events import Event
    from queueing.routes import Route

WITHOUT_BODY = {"GET", "HEAD"}

TOO_LARGE = f"The app's answer is larger than a queued path may give ({ANSWER_LIMIT // 2**20} MiB)."


class QueuedPathsClient:
    """A replica with queued paths; `inner` calls whatever else it offers (a Gradio app's functions)."""

    def __init__(self, http: ReplicaClient, route: Route, answers: ResponseStore, inner: AppClient) -> None:
        self.http = http
        self.route = route
        self.answers = answers
        self.inner = inner

    @property
    def app_ids(self) -> dict[str, str]:
        """The app's own ids of Gradio's events; requests have none."""
        return self.inner.app_ids

    async def call(self, event: Event) -> AsyncIterator[Message]:
        """One message, the end: where the answer is kept.

        Raises:
            CallRefused: the answer is none, or too large.
            ContainerDied: the connection broke before the answer's end.
        """
        if not is_path(event.fn):
            async for message in self.inner.call(event):
                yield message
            return
        answer = await self._send_request(event)
        name = new_name(event.id)
        await retry_until_stored(partial(self.answers.keep, name, answer))
        # An error of the app is its own answer for the visitor, but no success in the statistics.
        yield ended({"answer": name}, success=answer.status < 500)

    async def _send_request(self, event: Event) -> Answer:
        method, target, body = event.body["data"]
        # One connection each: an idle one that the app closes just now would look like its death.
        headers = {**event.request["headers"], "Connection": "close"}
        sent = self.http.send(
            method,
            self.route.address,
            target,
            data=base64.b64decode(body) if body or method not in WITHOUT_BODY else None,
            headers=headers,
            skip_auto_headers=NOT_ADDED,
        )
        try:
            async with sent as reply:
                return Answer(reply.status, reply.raw_headers, await _whole(reply))
        except BadAnswer as error:
            raise AppFault(str(error)) from error
        except Unreachable as error:
            raise ContainerDied from error

    async def batch(self, events: Sequence[Event]) -> list[dict[str, Any]]:
        """Requests are never batched."""
        return await self.inner.batch(events)

    async def cancel(self, event: Event) -> None:
        """A request that runs cannot be stopped: nobody knows what hanging up does to the app's work."""
        if not is_path(event.fn):
            await self.inner.cancel(event)


async def _whole(reply: Reply) -> bytes:
    body = bytearray()
    async for chunk in reply.chunks():
        body += chunk
        if len(body) > ANSWER_LIMIT:
            raise CallRefused({"error": TOO_LARGE})
    return bytes(body)
