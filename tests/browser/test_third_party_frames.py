"""Apps that keep things in the browser, and apps with a password, work in the platform's page where Chromium
denies frames of another site their storage and cookies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.chromium import ARGS, launched
from tests.platform_server import APPS, Platform
from tests.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Frame, Playwright

pytestmark = pytest.mark.browser

SPACE, WITH_PASSWORD = "alice/kept-chats", "alice/signs-in"
STORAGE = """() => {
    localStorage.setItem("a", 1); localStorage.b = 2; delete localStorage["a"];
    sessionStorage.setItem("s", "x");
    const found = [localStorage.length, localStorage.key(0), localStorage.getItem("a"), localStorage.b];
    found.push("b" in localStorage, JSON.stringify(localStorage), sessionStorage.s);
    localStorage.clear(); return [...found, localStorage.length];
}"""


@pytest.fixture(scope="module")
def platform(process_platform: Platform) -> Platform:
    token = process_platform.token("alice")
    assert process_platform.push(SPACE, token, APPS / "kept_chats") == "RUNNING"
    return process_platform


@pytest.fixture
def context(playwright: Playwright, tmp_path: Path) -> Iterator[BrowserContext]:
    with launched(playwright, [*ARGS, "--test-third-party-cookie-phaseout"], tmp_path) as context:
        yield context


def framed(platform: Platform, context: BrowserContext, thrown: list[str], space: str = SPACE) -> Frame:
    page = context.new_page()
    page.on("pageerror", lambda error: thrown.append(str(error)))
    page.goto(f"http://localhost:{platform.port}/{space}")
    host = platform.demo_url(space)
    found: Frame = wait_until(
        lambda: next((f for f in page.frames if f.url.startswith(host)), None), "its frame"
    )
    return found


def test_a_chat_keeps_its_conversations_in_a_frame_without_storage(
    platform: Platform, context: BrowserContext
) -> None:
    thrown: list[str] = []
    frame = framed(platform, context, thrown)
    box = frame.get_by_placeholder("Type a message...")
    box.wait_for(timeout=90_000)
    box.fill("hello")
    box.press("Enter")
    frame.get_by_text("you said hello, after 0").wait_for()
    frame.get_by_role("button", name="New chat").click()
    expect(frame.get_by_text("you said hello, after 0")).to_have_count(0)
    frame.get_by_role("gridcell", name="hello").click()
    frame.get_by_text("you said hello, after 0").wait_for()
    frame.get_by_label("Word").fill("kept")
    frame.get_by_label("Word").press("Enter")
    wait_until(lambda: "kept" in frame.evaluate("() => JSON.stringify(localStorage)"), "it is kept")

    def reads_it() -> bool:
        # By itself too, Gradio's page now and then sends the value of before just after it was stored.
        frame.get_by_role("button", name="Read").click()
        return frame.get_by_label("Kept").input_value() == "kept"

    wait_until(reads_it, "it is read")
    assert thrown == []


def test_its_storage_is_used_as_any_other(platform: Platform, context: BrowserContext) -> None:
    frame = framed(platform, context, [])
    frame.get_by_role("button", name="Read").wait_for()
    frame.evaluate("() => localStorage.clear()")
    assert frame.evaluate(STORAGE) == [1, "b", None, "2", True, '{"b":"2"}', "x", 0]


def test_an_app_with_a_password_is_signed_in_to_in_a_frame(
    platform: Platform, context: BrowserContext
) -> None:
    token = platform.token("alice")
    assert platform.push(WITH_PASSWORD, token, APPS / "password") == "RUNNING"
    frame = framed(platform, context, [], WITH_PASSWORD)
    frame.get_by_label("username").fill("user", timeout=90_000)
    frame.get_by_label("password").fill("pass")
    frame.get_by_role("button", name="Login").click()
    frame.get_by_role("button", name="Greet").wait_for()

    def is_greeted() -> bool:
        frame.get_by_label("Name").fill("Ada")  # which the page may forget while it begins
        frame.get_by_role("button", name="Greet").click()
        return frame.get_by_label("Greeting").input_value() == "hi Ada, you are user"

    wait_until(is_greeted, "it knows who signed in")


def test_a_page_by_itself_is_as_the_app_sends_it(platform: Platform, context: BrowserContext) -> None:
    page = context.new_page()
    page.goto(platform.demo_url(SPACE))
    assert page.evaluate("() => localStorage instanceof Storage")
