"""The Logs tab in real Chromium: what comes is shown with its time and colours, searched, paused; and nothing
in it is ever the page's own HTML."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from gradio_client import Client
from playwright.sync_api import expect

from tests.chromium import signed_in
from tests.platform_server import Platform

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

SPACE = "alice/talks"
Visit = Callable[..., "Page"]
APP = r"""
import gradio as gr

print("\x1b[31mred\x1b[0m plain <img src=x onerror=alert(1)>", flush=True)


def say(what):
    print("said", what, flush=True)
    return what


gr.Interface(say, "text", "text", api_name="say").launch()
"""


@pytest.fixture
def page(process_platform: Platform, visit: Visit, tmp_path: Path) -> Page:
    """The owner's browser, signed in."""
    (tmp_path / "app.py").write_text(APP)
    assert process_platform.push(SPACE, process_platform.token("alice"), tmp_path) == "RUNNING"
    page = visit(f"http://localhost:{process_platform.port}/login")
    return signed_in(page, "alice", process_platform.password("alice"))


def test_a_log_is_read_searched_and_paused(process_platform: Platform, page: Page) -> None:
    client = Client(process_platform.run_url(SPACE), verbose=False)
    page.goto(f"http://localhost:{process_platform.port}/{SPACE}/logs?kind=run")
    lines = page.locator(".log > div")
    first = lines.filter(has_text="plain <img src=x onerror=alert(1)>")
    expect(first).to_be_visible()
    assert ":" in first.locator("time").inner_text()
    assert page.locator(".log img").count() == 0
    colour = "e => getComputedStyle(e).color"
    assert first.get_by_text("red", exact=True).evaluate(colour) != first.evaluate(colour)

    client.predict("hello", api_name="/say")
    expect(lines.filter(has_text="said hello")).to_be_visible()

    page.get_by_role("button", name="Pause").click()
    client.predict("again", api_name="/say")
    expect(page.get_by_text("Paused, 1 more line")).to_be_visible()
    expect(lines.filter(has_text="said again")).to_have_count(0)
    page.get_by_role("button", name="Pause").click()
    expect(lines.filter(has_text="said again")).to_be_visible()

    page.get_by_label("Search the log").fill("SAID")
    expect(page.get_by_text("2 of")).to_be_visible()
    expect(first).to_be_hidden()
    client.predict("more", api_name="/say")
    expect(page.get_by_text("3 of")).to_be_visible()
