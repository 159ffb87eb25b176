"""A visitor's and an owner's journey in real Chromium."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from tests.platform_server import APPS, Platform
from tests.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import FrameLocator, Page, Request

pytestmark = pytest.mark.browser

SPACE = "alice/shown"
Visit = Callable[..., "Page"]


@pytest.fixture(scope="module")
def url(platform: Platform, alice: str) -> str:
    assert platform.push(SPACE, alice, APPS / "everything") == "RUNNING"
    return f"http://localhost:{platform.port}/{SPACE}"


def demo(page: Page) -> FrameLocator:
    """The demo in its frame, once it can be used."""
    frame = page.frame_locator("iframe")
    frame.get_by_role("button", name="Echo").wait_for(timeout=30_000)
    return frame


def shows(frame: FrameLocator, text: str) -> bool:
    return frame.get_by_label("Out").input_value() == text


def line(page: Page) -> str:
    return page.locator("[data-queue-text]").inner_text()


def test_open_type_press_and_see_the_result(url: str, visit: Visit) -> None:
    frame = demo(visit(url))
    # The page's own load event has run.
    wait_until(lambda: frame.get_by_label("Greeting").input_value() == "welcome", "the load event ran")
    frame.get_by_label("Text").fill("Ada")
    frame.get_by_role("button", name="Echo").click()
    wait_until(lambda: frame.get_by_label("Out").input_value() == "hello Ada", "the result is shown")
    frame.get_by_role("button", name="Count up").click()
    wait_until(lambda: frame.get_by_label("Out").input_value() == "xxx", "the stream has ended")
    frame.get_by_role("button", name="Quick").click()
    wait_until(lambda: frame.get_by_label("Out").input_value() == "hello Ada", "unqueued functions run too")


def test_an_error_of_the_app_is_shown(url: str, visit: Visit) -> None:
    frame = demo(visit(url))
    frame.get_by_label("Text").fill("unicorns")
    frame.get_by_role("button", name="Fail", exact=True).click()
    frame.get_by_text("no such thing as unicorns").wait_for()


def test_the_position_is_told_and_changes(platform: Platform, url: str, visit: Visit) -> None:
    client = Client(platform.run_url(SPACE), verbose=False)
    before = [client.submit(f"s{n}", api_name="/slow") for n in range(4)]
    page = visit(url)
    frame = demo(page)
    before += [client.submit(f"t{n}", api_name="/slow") for n in range(4)]
    frame.get_by_label("Text").fill("me")
    frame.get_by_role("button", name="Slow").click()
    seen: list[int] = []

    def served() -> bool:
        if found := re.match(r"You are (\d+)(?:st|nd|rd|th) of (\d+)", line(page)):
            seen.append(int(found[1]))
        return frame.get_by_label("Out").input_value() == "me"

    wait_until(served, "served in the end", timeout_s=60)
    assert len(set(seen)) >= 2, seen
    assert seen == sorted(seen, reverse=True), "a place never gets worse"
    wait_until(lambda: "You are" not in line(page), "the line is quiet again")
    for job in before:
        job.result(timeout=30)


def test_the_owner_changes_settings_while_it_runs(
    platform: Platform, url: str, alice: str, visit: Visit
) -> None:
    page = visit(f"http://localhost:{platform.port}/login")
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password").fill(platform.password("admin"))
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/dashboard")
    page.goto(f"{url}/settings")
    field = page.locator("[name=concurrency_count]")
    field.fill("0")
    save = page.locator("form", has=field).get_by_role("button", name=re.compile("Save"))
    save.click()
    page.get_by_text("whole number from 1").first.wait_for()
    assert page.locator("[name=concurrency_count]").input_value() == "0", "what was typed is kept"
    assert platform.queue(SPACE, alice)["concurrency_count"] == 1
    page.locator("[name=concurrency_count]").fill("3")
    page.locator("[name=api_open]").uncheck()
    save.click()
    wait_until(lambda: platform.queue(SPACE, alice)["concurrency_count"] == 3, "it is saved")
    assert platform.queue(SPACE, alice)["api_open"] is False
    try:
        # A closed API: programs are told, the page works and reloads.
        with pytest.raises(AppError, match="api_open is off"):
            Client(platform.run_url(SPACE), verbose=False).predict("x", api_name="/echo")
        visitor = visit(url)
        for _ in range(2):
            frame = demo(visitor)
            frame.get_by_label("Text").fill("Grace")
            frame.get_by_role("button", name="Echo").click()
            wait_until(partial(shows, frame, "hello Grace"), "the page works")
            visitor.reload()
    finally:
        platform.queue(SPACE, alice, api_open=True, concurrency_count=1)


def test_the_demo_sees_nothing_of_the_platform(platform: Platform, url: str, visit: Visit) -> None:
    page = visit(url)
    cookies: list[str] = []

    def note(request: Request) -> None:
        if "alice-shown.localhost" in request.url:
            cookies.append(request.headers.get("cookie", ""))

    page.on("request", note)
    page.context.add_cookies(
        [
            {
                "name": "sessionid",
                "value": "secret",
                "url": f"http://localhost:{platform.port}",
                "httpOnly": True,
            }
        ]
    )
    page.reload()
    demo(page)
    assert cookies
    assert "secret" not in "".join(cookies)
    frame = next(f for f in page.frames if "alice-shown.localhost" in f.url)
    blocked = frame.evaluate(
        "() => { try { return String(window.parent.document.cookie) } catch (e) { return 'blocked' } }"
    )
    assert blocked == "blocked"


@pytest.mark.parametrize("width", [390, 1280])
def test_pages_fit_their_screen(platform: Platform, url: str, visit: Visit, width: int) -> None:
    page = visit(url, width=width)
    for path in ("/", f"/{SPACE}", f"/{SPACE}/files", "/login"):
        page.goto(f"http://localhost:{platform.port}{path}")
        wide = page.evaluate("() => document.documentElement.scrollWidth")
        assert wide <= width, f"{path} is {wide} px wide on a screen of {width}"
