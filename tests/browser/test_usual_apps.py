"""A chat over a plain function and an interface over a generator, by their page and from code. The page is
opened by itself: Chromium denies a frame of another site its storage, which a chat asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from gradio_client import Client
from playwright.sync_api import expect

from tests.platform_server import APPS, Platform

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

SPACE = "alice/usual"


@pytest.fixture(scope="module")
def platform(process_platform: Platform) -> Platform:
    token = process_platform.token("alice")
    assert process_platform.push(SPACE, token, APPS / "chat") == "RUNNING"
    return process_platform


def test_a_chat_answers_again_and_again(platform: Platform, visit: Callable[..., Page]) -> None:
    page = visit(platform.demo_url(SPACE))
    box = page.get_by_test_id("textbox").first
    box.wait_for(timeout=90_000)  # the first visitor's page loads all its parts
    for number, words in enumerate(("hello", "bye")):
        box.fill(words)
        box.press("Enter")
        page.get_by_text(f"you said {words}, after {2 * number}").wait_for()
    page.get_by_role("button", name="Retry").last.click()
    expect(page.get_by_text("you said bye, after 2")).to_have_count(1, timeout=30_000)


def test_an_interface_over_a_generator_shows_its_end(platform: Platform, visit: Callable[..., Page]) -> None:
    page = visit(platform.demo_url(SPACE))
    page.get_by_role("tab", name="Steps").click()
    for word in ("one", "three"):
        page.get_by_label("Word").fill(word)
        page.get_by_role("button", name="Submit").click()
        expect(page.get_by_label("Letters")).to_have_value(word, timeout=30_000)
        page.get_by_role("button", name="Submit").wait_for()
    page.get_by_role("button", name="Clear").click()
    expect(page.get_by_label("Letters")).to_have_value("")


def test_both_are_called_from_code(platform: Platform) -> None:
    client = Client(platform.run_url(SPACE), verbose=False)
    assert client.predict("hi", api_name="/chat") == "you said hi, after 0"
    assert client.predict("again", api_name="/chat") == "you said again, after 2"
    assert list(client.submit("abc", api_name="/spell")) == ["a", "ab", "abc"]
