"""Fixtures: `hub`, a running web process with its people; `space`, a fresh public Space of alice's."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Iterator

import pytest

from tests.hub_server import Hub
from tests.platform_server import new_home
from tests.spaces.standin import Standin

# Read by huggingface_hub when it is imported, in this process too.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

REPOSITORY_LIMIT = 20_000_000

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def hub() -> Iterator[Hub]:
    home = new_home()
    server = Hub(
        home,
        settings={
            "SPACEPORT_REPOSITORY_LIMIT_BYTES": str(REPOSITORY_LIMIT),
            "SPACEPORT_OUTBOUND_REACHES": "127.0.0.2",
        },
    )
    try:
        yield server.start()
        # Every refusal of the tests was meant: none may be an error nobody thought of.
        assert "Traceback" not in server.log(), server.log()
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def new_space(hub: Hub) -> Callable[..., str]:
    """Make a Space nobody used before; its id."""

    def make(who: str = "alice", *, owner: str = "", **options: object) -> str:
        space = f"{owner or who}/demo-{next(_numbers)}"
        hub.api(who).create_repo(space, repo_type="space", **{"space_sdk": "gradio", **options})  # type: ignore[arg-type]
        return space

    return make


@pytest.fixture
def space(new_space: Callable[..., str]) -> str:
    return new_space()


@pytest.fixture(scope="session")
def standin() -> Iterator[Standin]:
    """An app in the place of containers."""
    running = Standin()
    yield running.start()
    running.stop()
