"""Fixtures: `web`, a running web process with its people, by either server, with small limits for bodies."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator

import pytest

from tests.hub_server import Hub
from tests.platform_server import new_home

PUSH = 6_000_000  # what one push or commit may have here
VISITOR = 4_000_000  # a visitor's upload
EVENT = 3_000_000  # and an event
SPACE, HIDDEN = "alice/fed", "alice/hidden"


@pytest.fixture(scope="session")
def webs() -> Iterator[Callable[[str], Hub]]:
    """The one that this server serves, from its first use to the end of the run."""
    with contextlib.ExitStack() as stack:
        running: dict[str, Hub] = {}

        def web(server: str) -> Hub:
            if server not in running:
                running[server] = stack.enter_context(_running(server))
            return running[server]

        yield web


@contextlib.contextmanager
def _running(server: str) -> Iterator[Hub]:
    home = new_home()
    limits = {
        "SPACEPORT_PUSH_LIMIT_BYTES": PUSH,
        "SPACEPORT_VISITOR_UPLOAD_LIMIT_BYTES": VISITOR,
        "SPACEPORT_EVENT_BODY_LIMIT_BYTES": EVENT,
    }
    hub = Hub(home, web_server=server, settings={name: str(value) for name, value in limits.items()})
    try:
        hub.start()
        api = hub.api("alice")
        api.create_repo(SPACE, repo_type="space", space_sdk="gradio")
        api.create_repo(HIDDEN, repo_type="space", space_sdk="gradio", private=True)
        yield hub
        assert "Traceback" not in hub.log(), hub.log()
    finally:
        hub.stop()
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session", params=["daphne", "uvicorn"])
def web(request: pytest.FixtureRequest, webs: Callable[[str], Hub]) -> Hub:
    return webs(request.param)
