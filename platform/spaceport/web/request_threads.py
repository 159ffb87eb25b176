"""Threads in which Django answers requests, kept from one to the next with their connections to PostgreSQL.
Django has a new thread for each request, for which PostgreSQL would start a process: that costs as much as
the answer."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from asgiref.sync import ThreadSensitiveContext
from django.db import connections

from spaceport.web.monitor import App, Receive, Scope, Send

KEPT = 8  # that have nothing to do; in one process
KEPT_S = 600  # a connection


class Thread(ThreadPoolExecutor):
    """One thread, and whether it has something to do."""

    def __init__(self) -> None:
        super().__init__(1, thread_name_prefix="request")
        self._last: Future[Any] | None = None

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self._last = super().submit(fn, *args, **kwargs)
        return self._last

    @property
    def is_idle(self) -> bool:
        return self._last is None or self._last.done()

    def end(self) -> None:
        """Once it has done what it was given."""
        self.submit(connections.close_all)
        self.shutdown(wait=False)


def keep_connections() -> None:
    """In this process, from request to request. One that broke meanwhile is made anew: the settings require a
    check before each use."""
    connections.settings["default"]["CONN_MAX_AGE"] = KEPT_S


def in_kept_threads(app: App) -> App:
    """Django's application, each request in one of these threads."""
    idle: list[Thread] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        thread = idle.pop() if idle else Thread()
        try:
            async with ThreadSensitiveContext(executor=thread):
                await app(scope, receive, send)
        finally:
            if thread.is_idle and len(idle) < KEPT:
                idle.append(thread)
            else:
                thread.end()

    return application
