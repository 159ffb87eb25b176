"""Fixtures: `chromium`, and `visit` (a page of its own for each visitor, its console watched)."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, Playwright

ARGS = (
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip

# Chromium gives requests up when the machine's network changes: whenever a container comes or goes.
# It hears of that by a netlink socket; without one it takes the network as it is.
DEAF = """#!{python}
import errno, os, socket, sys
import pyseccomp
rules = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
rules.add_rule(
    pyseccomp.ERRNO(errno.EAFNOSUPPORT), "socket", pyseccomp.Arg(0, pyseccomp.EQ, socket.AF_NETLINK)
)
rules.load()
os.execv("{chromium}", ["{chromium}", *sys.argv[1:]])
"""


def browser_path() -> str | None:
    """Chromium without its windows where that is installed (the same engine, for half the processor time),
    else the whole; none where neither is."""
    return _deaf("chromium-headless-shell") or _deaf("chromium")


@functools.cache
def _deaf(name: str) -> str | None:
    """This Chromium such that it does not notice containers coming and going."""
    chromium = shutil.which(name)
    if chromium is None:
        return None
    folder = Path(tempfile.mkdtemp(prefix="spaceport-chromium-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / name
    path.write_text(DEAF.format(python=sys.executable, chromium=chromium))
    path.chmod(0o755)
    return str(path)


# For a module, not for the session: while Playwright is open its event loop runs, and no other test's may.
@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    from playwright.sync_api import sync_playwright

    if browser_path() is None:
        assert not os.environ.get("SPACEPORT_REQUIRE_BROWSER"), "no Chromium here, but it is required"
        pytest.skip("no Chromium here")
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    browser = playwright.chromium.launch(executable_path=browser_path(), args=list(ARGS))
    yield browser
    browser.close()


@contextlib.contextmanager
def launched(playwright: Playwright, arguments: list[str], profile: Path) -> Iterator[BrowserContext]:
    """The whole of Chromium, with a profile of its own in which settings may lie."""
    context = playwright.chromium.launch_persistent_context(
        profile, executable_path=_deaf("chromium") or browser_path(), args=arguments
    )
    try:
        yield context
    finally:
        context.close()


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Callable[[str], Page]]:
    """Open an address as somebody nobody has seen before; at the end no page may have thrown."""
    contexts = []
    thrown: list[str] = []

    def open_page(url: str, *, width: int = 1280) -> Page:
        context = chromium.new_context(viewport={"width": width, "height": 900})
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: thrown.append(str(error)))
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert thrown == []


def signed_in(page: Page, user: str, password: str) -> Page:
    """The same page, at this user's dashboard."""
    page.get_by_label("User name").fill(user)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/dashboard")
    return page
