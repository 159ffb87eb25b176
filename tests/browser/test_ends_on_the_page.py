"""Each way a call ends on the demo's own page, and then the next one: it gets its own answer."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.platform_server import APPS, Platform

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

SPACE = "alice/streams"
LONG_MS = 60_000


@pytest.fixture(scope="module")
def url(process_platform: Platform) -> str:
    assert process_platform.push(SPACE, process_platform.token("alice"), APPS / "streams") == "RUNNING"
    return process_platform.demo_url(SPACE)


def say(page: Page, word: str) -> None:
    """Call `say`, and see its answer."""
    page.locator("#word textarea").fill(word)
    page.get_by_role("button", name="Say").click()
    expect(page.locator("#said textarea")).to_have_value(f"said {word}", timeout=LONG_MS)


def it_ticks(page: Page) -> None:
    expect(page.locator("#count input")).to_have_value(re.compile(r"^\d{1,4}$"), timeout=LONG_MS)


def test_every_call_gets_its_own_answer_whatever_the_last_one_ended_with(
    url: str, visit: Callable[..., Page]
) -> None:
    page = visit(url)
    page.get_by_role("button", name="Say").wait_for(timeout=LONG_MS)
    say(page, "first")
    say(page, "second")
    page.get_by_role("button", name="Fail").click()
    page.get_by_text("no such thing").first.wait_for(timeout=LONG_MS)
    say(page, "after an error")
    for word in ("after a cancelled one", "after another"):
        page.locator("#count input").fill("100000")
        page.get_by_role("button", name="Ticks").click()
        it_ticks(page)
        page.get_by_role("button", name="Stop").click()
        say(page, word)
    page.reload()
    page.get_by_role("button", name="Say").wait_for(timeout=LONG_MS)
    say(page, "after a reload")


def test_who_leaves_amid_a_call_does_not_keep_the_next_visitor_waiting(
    url: str, visit: Callable[..., Page]
) -> None:
    gone, other = visit(url), visit(url)
    gone.locator("#count input").fill("100000")
    gone.get_by_role("button", name="Ticks").click()
    it_ticks(gone)
    gone.close()
    say(other, "served")
