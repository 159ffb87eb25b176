"""Threads in which Django answers requests, kept from one to the next with their connections to PostgreSQL.
Django has a new thread for each request, for which PostgreSQL would start a process: that costs as much as
the answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

from asgiref.sync import ThreadSensitiveContext
from django.db import connections

from spaceport.web.monitor import App, Message, Receive, Scope, Send

MOST = 24  # in one process, each with one connection; further requests wait
KEPT = 8  # with their connections, while they have nothing to do
KEPT_S = 600  # a connection


class Thread(ThreadPoolExecutor):
    """One thread, and whether it has something to do."""

    def __init__(self) -> None:
        super().__init__(1, thread_name_prefix="request")
        self._last: Future[Any] | None = None

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self._last = super().submit(fn, *args, **kwargs)
        return self._last

    def once_idle(self, act: Callable[[], None]) -> None:
        """Call it on the running loop, at once where the thread has nothing to do."""
        if self._last is None or self._last.done():
            act()
            return
        loop = asyncio.get_running_loop()

        def ended(_: object) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(act)

        self._last.add_done_callback(ended)


def keep_connections() -> None:
    """In this process, from request to request. One that broke meanwhile is made anew: the settings require a
    check before each use."""
    connections.settings["default"]["CONN_MAX_AGE"] = KEPT_S


class Threads:
    """Those of one process."""

    def __init__(self) -> None:
        self._idle: deque[Thread] = deque()
        self._free = asyncio.Semaphore(MOST)

    async def take(self) -> Thread:
        """One that has nothing to do, once there is one."""
        await self._free.acquire()
        return self._idle.pop() if self._idle else Thread()

    def give_back(self, thread: Thread) -> None:
        """Once it has nothing to do: its client may have gone before its view ended."""
        thread.once_idle(lambda: self._keep(thread))

    def _keep(self, thread: Thread) -> None:
        if len(self._idle) < KEPT:
            self._idle.append(thread)
        else:
            thread.submit(connections.close_all)
            self._idle.appendleft(thread)  # taken last
        self._free.release()


class Lent(Executor):
    """The thread of one request, once it has one; until then one that all share, for the question whether its
    sender may send so much."""

    def __init__(self, shared: Thread) -> None:
        self._shared = shared
        self.thread: Thread | None = None

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        return (self.thread or self._shared).submit(fn, *args, **kwargs)


def in_kept_threads(app: App) -> App:
    """Django's application, each request in one of these threads. It gets one once all of its body is there,
    which may take its sender minutes. One that answers with a stream gives its thread back when the stream
    begins, and shares it from then on: streams may last for hours."""
    threads, shared = Threads(), Thread()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        lent, streams = Lent(shared), False

        async def receiving() -> Message:
            message = await receive()
            if lent.thread is None and message["type"] == "http.request" and not message.get("more_body"):
                lent.thread = await threads.take()
            return message

        def sending(message: Message) -> Awaitable[None]:
            nonlocal streams
            if message.get("more_body") and not streams and lent.thread is not None:
                streams = True
                threads.give_back(lent.thread)
            return send(message)

        try:
            async with ThreadSensitiveContext(executor=lent):
                await app(scope, receiving, sending)
        finally:
            if lent.thread is not None and not streams:
                threads.give_back(lent.thread)

    return application
