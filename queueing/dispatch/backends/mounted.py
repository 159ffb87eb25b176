"""Several Gradio apps in one server: each event is called in its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import structs

from queueing.routes import SPREAD

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from queueing.app_messages import Message
    from queueing.dispatch.backends.base import AppClient
    from queueing.events import Event
    from queueing.routes import Route


class MountedAppsClient:
    """One replica's apps."""

    def __init__(self, route: Route, connect: Callable[[Route], AppClient]) -> None:
        """`connect` makes the client of the first app of a route."""
        apps = (route.app, *route.app.mounted)
        self._apps = {app.number: connect(structs.replace(route, app=app)) for app in apps}

    @property
    def app_ids(self) -> dict[str, str]:
        return {ours: theirs for app in self._apps.values() for ours, theirs in app.app_ids.items()}

    def call(self, event: Event) -> AsyncIterator[Message]:
        return self._of(event).call(event)

    async def batch(self, events: Sequence[Event]) -> list[dict[str, Any]]:
        return await self._of(events[0]).batch(events)

    async def cancel(self, event: Event) -> None:
        await self._of(event).cancel(event)

    def _of(self, event: Event) -> AppClient:
        return self._apps[int(event.fn) // SPREAD]
