"""Fixtures for all tests: `platform` (the whole of it, with the engine where one answers) and
`process_platform` (with plain processes), each started once a run; `alice` and `charlie`, tokens there;
`chromium` and `visit`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from typing import Any

import httpx
import pytest
from redis import Redis

from tests import servers
from tests.chromium import chromium, playwright, visit
from tests.platform_server import RUNNING, Platform, engine_answers, prepared_home, running
from tests.redis_leaks import leaked

__all__ = ["chromium", "playwright", "visit"]


def pytest_report_header() -> str:
    """Say loudly when the tests with containers cannot run."""
    if engine_answers():
        return "container engine: answers, its tests run"
    return "container engine: NONE ANSWERS. Tests with containers are SKIPPED; journeys run with processes."


@pytest.fixture(scope="session")
def leaks() -> Iterator[Redis]:
    """A connection to look for them: to make one costs more than to look."""
    with Redis.from_url(os.environ["REDIS_URL"]) as client:
        yield client


@pytest.fixture(autouse=True)
def no_leaked_keys(leaks: Redis) -> Iterator[None]:
    """A test leaves no key in Redis that nobody declared or that would live for ever."""
    yield
    assert leaked(leaks) == []


@pytest.fixture(scope="session", autouse=True)
def tiers_without_a_database() -> None:
    """Fixtures of modules and tests without the database have the tiers of a new platform."""
    from hardware.tiers import TIERS

    TIERS.source = None


@pytest.fixture(autouse=True)
def tiers_are_read_anew(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not as another test left them; from the database where a test has it."""
    from hardware.tiers import TIERS, rows

    has_database = request.node.get_closest_marker("django_db") or "transactional_db" in request.fixturenames
    if has_database or "db" in request.fixturenames:
        monkeypatch.setattr(TIERS, "source", rows.load)
        TIERS.forget()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """The database of the tests is made from one that is migrated."""
    from django.db import connection

    connection.settings_dict["TEST"]["TEMPLATE"] = servers.template()


@pytest.fixture(scope="session", autouse=True)
def static_files_are_found_once() -> Iterator[None]:
    """Each `django.test.Client` loads the middleware anew, which takes it 0.2 s to list 200 files."""
    from spaceport.web.assets import Middleware

    find = Middleware.add_files_from_finders
    found: dict[str, Any] = {}

    def add_found(self: Middleware) -> None:
        if not found:
            others, self.files = self.files, {}
            find(self)
            found.update(self.files)
            self.files = others
        self.files.update(found)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Middleware, "add_files_from_finders", add_found)
        yield


@pytest.fixture(scope="session", autouse=True)
def certificates_are_read_once() -> Iterator[None]:
    """`gradio_client` makes a new client of httpx for most requests, and each takes 20 ms to read them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("httpx._transports.default.create_ssl_context", cache(httpx.create_ssl_context))
        yield


@pytest.fixture(scope="session", autouse=True)
def passwords_are_hashed_fast() -> Iterator[None]:
    """In this process: what makes a password hard to guess costs 0.4 s for each."""
    from django.contrib.auth.hashers import PBKDF2PasswordHasher

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PBKDF2PasswordHasher, "iterations", 1)
        yield


@pytest.fixture(scope="module", autouse=True)
def spaces_rest_after_their_module() -> Iterator[None]:
    """Else a long run ends beside a hundred idle apps."""
    yield
    for platform in RUNNING:
        platform.rest()


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    """The platform as `make up` starts it here, but for containers in standby: one for each start of a test's
    Space would be made for nobody (`journeys/test_standby_of_a_space` has a platform with them)."""
    settings = {"SPACEPORT_STANDBY": "0"} if engine_answers() else {}
    with (
        prepared_home(processes=False) as home,
        running(Platform("auto", home, settings=settings)) as platform,
    ):
        yield platform


@pytest.fixture(scope="session")
def process_platform() -> Iterator[Platform]:
    """The platform on a machine without a container engine; its webhooks reach `spaces.receiver`."""
    settings = {"SPACEPORT_OUTBOUND_REACHES": "127.0.0.2"}
    with prepared_home() as home, running(Platform("process", home, settings=settings)) as platform:
        yield platform


@pytest.fixture(scope="module")
def uvicorn_platform(request: pytest.FixtureRequest) -> Iterator[Platform]:
    """The same, its web process served by uvicorn; ended with its module, since few need it."""
    if os.environ.get("SPACEPORT_WEB_SERVER") == "uvicorn":  # as all of them, then
        yield request.getfixturevalue("process_platform")
        return
    with prepared_home() as home, running(Platform("process", home, web_server="uvicorn")) as platform:
        yield platform


@pytest.fixture(scope="session")
def alice(platform: Platform) -> str:
    """Alice's write token."""
    return platform.token("alice")


@pytest.fixture(scope="session")
def charlie(platform: Platform) -> str:
    """The token of a stranger."""
    return platform.token("charlie")
