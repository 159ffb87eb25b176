"""An app that the launcher runs, and how it is asked by the platform's own way and by Gradio's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from msgspec import structs

from hardware.runtimes.base_image import LAUNCHER, MAIN
from queueing.dispatch.backends.launcher import LauncherClient, LauncherMessage
from queueing.events import Call, Event, encode, new_event_id
from queueing.routes import App, Route
from tests.events import a_route
from tests.platform_server import APPS, free_port
from tests.waiting import wait_until

#: What is measured or made anew for each call, and says nothing about what the visitor gets.
VARIES = {"duration", "average_duration", "eta", "avg_time", "cache_duration", "event_id"}


@contextmanager
def launched(app: str, python: str = sys.executable, log: Path | None = None) -> Iterator[str]:
    """The address of this app of tests/apps, while it runs; `log`: where its errors go."""
    port, work = free_port(), tempfile.mkdtemp()
    env = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("SPACEPORT_", "GRADIO_"))},
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_ANALYTICS_ENABLED": "False",
        "SPACEPORT_CODE": str(APPS / app),
        "SPACEPORT_WORK": work,
    }
    output = log.open("wb") if log else None
    process = subprocess.Popen([python, str(LAUNCHER / MAIN), "app.py"], env=env, stderr=output)
    try:
        url = f"http://127.0.0.1:{port}/config"

        def answers() -> bool:
            assert process.poll() is None
            try:
                return requests.get(url, timeout=5).ok
            except requests.ConnectionError:
                return False

        wait_until(answers, "the app answers", timeout_s=90)
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(work)


def route_to(address: str, app: App) -> Route:
    return a_route(address=address, app=structs.replace(app, gate=True))


def event_of(fn_index: int, *data: Any, session: str = "", **more: Any) -> Event:
    """A visitor's event for this function; `more`: what its body has besides."""
    event_id = new_event_id("f")
    body = {"data": list(data), "fn_index": fn_index, "session_hash": session or event_id, **more}
    headers = {"host": "demo.example", "x-forwarded-host": "demo.example", "user-agent": "a browser"}
    request = {"headers": headers, "query": "a=1"}
    return Event(
        id=event_id, fn=str(fn_index), channel="c", raw_body=encode(body), raw_request=encode(request),
        origin="api", joined=0.0, deaths=0, losses=0, published=0, cancel=False, retry=True, visit="",
    )  # fmt: skip


def call(*events: Event, places: int = 200) -> Call:
    return Call(line="main", token=1, slots=places, each=places, total=places, events=events)


async def told(direct: LauncherClient, asked: Event, places: int = 200) -> list[LauncherMessage]:
    """All that the app says of this event by the platform's own way."""
    direct.begin(call(asked, places=places))
    return [said async for taken in direct.messages(asked.id) for said in taken]


def words(message: Any) -> Any:
    """A message without what differs from call to call."""
    if isinstance(message, dict):
        return {k: words(v) for k, v in message.items() if k not in VARIES}
    return message
