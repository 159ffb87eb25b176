"""The page of each Gradio, in Chromium, inside the platform's page as its visitors see it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
import requests

from tests.compat.conftest import AGES
from tests.platform_server import Platform
from tests.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import FrameLocator, Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

Visit = Callable[..., "Page"]
#: The newest has tests of its own, in `tests/browser`.
OLD = [version for version in AGES if not version.startswith("6")]


@pytest.fixture(params=OLD)
def space(request: pytest.FixtureRequest, aged: Callable[[str], str]) -> str:
    return aged(request.param)


@pytest.fixture
def closed(process_platform: Platform, owner: str, space: str) -> Iterator[None]:
    """The Space with its API closed."""
    process_platform.queue(space, owner, api_open=False)
    yield
    process_platform.queue(space, owner, api_open=True)


class Opened:
    """One visitor's page."""

    def __init__(self, platform: Platform, space: str, visit: Visit) -> None:
        self.page = visit(f"http://localhost:{platform.port}/{space}")
        self.look()

    def look(self) -> None:
        self.demo: FrameLocator = self.page.frame_locator("iframe")
        self.demo.get_by_role("button", name="Echo").wait_for(timeout=60_000)
        self.says("Greeting", "welcome")

    def press(self, button: str, text: str = "") -> None:
        if text:
            self.demo.get_by_label("Text").fill(text)
        self.demo.get_by_role("button", name=button, exact=True).click()

    def says(self, label: str, text: str) -> None:
        box = self.demo.get_by_label(label)
        wait_until(lambda: box.input_value() == text, f"{label} says {text}", timeout_s=60)

    @property
    def line(self) -> str:
        return self.page.locator("[data-queue-text]").inner_text()


def test_results_streams_and_errors_are_shown(process_platform: Platform, space: str, visit: Visit) -> None:
    opened = Opened(process_platform, space, visit)
    opened.press("Echo", "Ada")
    opened.says("Out", "hello Ada")
    opened.press("Count up")
    opened.says("Out", "xxx")
    opened.press("Quick", "Bob")
    opened.says("Out", "hello Bob")
    opened.press("Remember")
    opened.says("Seen", "1")
    opened.press("Remember")
    opened.says("Seen", "2")
    opened.press("Fail", "unicorns")
    opened.demo.get_by_text("no such thing as unicorns").first.wait_for()


def test_who_waits_is_told_the_place(process_platform: Platform, space: str, visit: Visit) -> None:
    opened = Opened(process_platform, space, visit)
    url = f"{process_platform.run_url(space)}call/slow"
    for n in range(4):
        assert requests.post(url, json={"data": [f"s{n}"]}, timeout=30).status_code == 200
    # Of what the page asked for when it was opened.
    wait_until(lambda: not opened.line.startswith("You are"), "nothing of its own waits")
    opened.press("Slow", "me")
    seen: list[int] = []

    def served() -> bool:
        if found := re.match(r"You are (\d+)(?:st|nd|rd|th) of \d+", opened.line):
            seen.append(int(found[1]))
        return opened.demo.get_by_label("Out").input_value() == "me"

    wait_until(served, "served in the end", timeout_s=60)
    assert seen
    assert seen == sorted(seen, reverse=True), "a place never gets worse"


@pytest.mark.usefixtures("closed")
def test_the_page_works_and_reloads_while_the_api_is_closed(
    process_platform: Platform, space: str, visit: Visit
) -> None:
    refused = requests.post(f"{process_platform.run_url(space)}call/echo", json={"data": ["x"]}, timeout=30)
    assert refused.status_code == 403
    opened = Opened(process_platform, space, visit)
    for name in ("Ada", "Grace"):
        opened.press("Echo", name)
        opened.says("Out", f"hello {name}")
        opened.page.reload()
        opened.look()


def test_a_private_one_works_for_its_owner(
    process_platform: Platform, owner: str, space: str, visit: Visit
) -> None:
    password = process_platform.password("alice")
    api = process_platform.api(owner)
    api.update_repo_settings(space, repo_type="space", private=True)
    try:
        page = visit(f"http://localhost:{process_platform.port}/login")
        page.get_by_label("User name").fill("alice")
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/dashboard")
        page.goto(f"http://localhost:{process_platform.port}/{space}")
        frame = page.frame_locator("iframe")
        frame.get_by_label("Text").fill("Ada")
        frame.get_by_role("button", name="Echo", exact=True).click()
        out = frame.get_by_label("Out")
        wait_until(lambda: out.input_value() == "hello Ada", "it answers", timeout_s=60)
    finally:
        api.update_repo_settings(space, repo_type="space", private=False)
