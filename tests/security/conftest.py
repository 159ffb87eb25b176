"""A Space that leaves a mark for everything that runs in it, on the platform with plain processes."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

from tests.platform_server import APPS, Platform
from tests.waiting import wait_until

SPACE = "alice/traces"


@dataclass
class Marks:
    """What has run in the Space: one line each."""

    platform: Platform
    name: str

    def read(self) -> list[str]:
        """All lines so far, of all its replicas."""
        lines: list[str] = []
        for marks in sorted(self.platform.home.glob(f"replicas/*/tmp/{self.name}")):
            lines += marks.read_text().splitlines()
        return lines

    def wait_for(self, beginning: str, had: int = 0) -> None:
        """Wait until a line after the first `had` begins like this."""
        wait_until(lambda: any(m.startswith(beginning) for m in self.read()[had:]), f"{beginning!r} ran", 60)


@contextlib.asynccontextmanager
async def mcp_session(url: str) -> AsyncIterator[ClientSession]:
    """The official client of the Model Context Protocol; its errors as they are, out of their groups."""
    try:
        async with streamable_http_client(url) as (read, write, _), ClientSession(read, write) as session:
            await session.initialize()
            yield session
    except BaseExceptionGroup as group:
        raise _only(group) from group


def _only(group: BaseExceptionGroup[BaseException]) -> BaseException:
    inner = group.exceptions[0]
    return _only(inner) if isinstance(inner, BaseExceptionGroup) else inner


@pytest.fixture(scope="session")
def owner(process_platform: Platform) -> str:
    """Alice's write token."""
    return process_platform.token("alice")


@pytest.fixture(scope="module")
def traces(process_platform: Platform, owner: str) -> str:
    """The Space."""
    assert process_platform.push(SPACE, owner, APPS / "traces", timeout_s=300) == "RUNNING"
    return SPACE


@pytest.fixture
def marks(process_platform: Platform, traces: str) -> Marks:
    """What has run in it."""
    return Marks(process_platform, "traces")
