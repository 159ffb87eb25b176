"""Fixtures for all tests: `platform` (the whole of it, with the engine where one answers) and
`process_platform` (with plain processes), each started once a run; `alice` and `charlie`, tokens there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from tests.platform_server import CACHE, Platform, engine_answers, new_home


def pytest_report_header() -> str:
    """Say loudly when the tests with containers cannot run."""
    if engine_answers():
        return "container engine: answers, its tests run"
    return "container engine: NONE ANSWERS. Tests with containers are SKIPPED; journeys run with processes."


def _platform(runtime: str, web_server: str = "") -> Iterator[Platform]:
    home = new_home()
    if runtime == "process":  # environments with old Gradios are made once a machine, not once a run
        (CACHE / "environments").mkdir(parents=True, exist_ok=True)
        (home / "environments").symlink_to(CACHE / "environments")
    platform = Platform(runtime, home)
    platform.web_server = web_server or platform.web_server
    try:
        yield platform.start()
    finally:
        platform.stop()
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    """The platform as `make up` starts it here."""
    yield from _platform("auto")


@pytest.fixture(scope="session")
def process_platform() -> Iterator[Platform]:
    """The platform on a machine without a container engine."""
    yield from _platform("process")


@pytest.fixture(scope="module")
def uvicorn_platform(request: pytest.FixtureRequest) -> Iterator[Platform]:
    """The same, its web process served by uvicorn; ended with its module, since few need it."""
    if os.environ.get("SPACEPORT_WEB_SERVER") == "uvicorn":  # as all of them, then
        yield request.getfixturevalue("process_platform")
    else:
        yield from _platform("process", web_server="uvicorn")


@pytest.fixture(scope="session")
def alice(platform: Platform) -> str:
    """Alice's write token."""
    return platform.token("alice")


@pytest.fixture(scope="session")
def charlie(platform: Platform) -> str:
    """The token of a stranger."""
    return platform.token("charlie")
