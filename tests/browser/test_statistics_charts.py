"""The Statistics tab in real Chromium: its charts are drawn, say what they show, and follow what happens."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import requests
from gradio_client import Client
from playwright.sync_api import expect

from tests.chromium import signed_in
from tests.platform_server import APPS, Platform

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

SPACE = "alice/charted"
Visit = Callable[..., "Page"]
LONG_MS = 60_000
#: How many colours a canvas shows, beside what is transparent.
COLOURS = """canvas => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const seen = new Set();
    for (let i = 0; i < data.length; i += 4) {
        if (data[i + 3] > 200) seen.add(data.slice(i, i + 3).join());
    }
    return [...seen];
}"""


@pytest.fixture(scope="module")
def owner(process_platform: Platform) -> str:
    token = process_platform.token("alice")
    assert process_platform.push(SPACE, token, APPS / "echo") == "RUNNING"
    return token


@pytest.fixture
def page(process_platform: Platform, owner: str, visit: Visit) -> Page:
    """The owner's browser, signed in."""
    page = visit(f"http://localhost:{process_platform.port}/login")
    return signed_in(page, "alice", process_platform.password("alice"))


def test_the_charts_are_drawn_follow_what_happens_and_fit_their_screen(
    process_platform: Platform, owner: str, page: Page
) -> None:
    page.goto(f"http://localhost:{process_platform.port}/{SPACE}/statistics")
    charts = page.locator("[data-statistics]")
    page.get_by_text("Nothing happened").wait_for(timeout=LONG_MS)
    expect(charts).to_be_hidden()

    call_and_be_refused(process_platform, owner)
    # By itself, without a reload.
    expect(charts).to_be_visible(timeout=LONG_MS)
    events = charts.locator("[data-chart=events] [role=img]")
    # All within one minute, or split by its end.
    expect(events).to_have_attribute("aria-label", re.compile(r"Programs: at most [1-5]\."))
    expect(events).to_have_attribute("aria-label", re.compile(r"Refused: at most [1-3]\."), timeout=LONG_MS)
    assert charts.locator("canvas").count() == 3
    for chart in ("line", "events", "wait"):
        canvas = charts.locator(f"[data-chart={chart}] canvas")
        box = canvas.bounding_box()
        assert box
        assert box["width"] > 300
        assert len(canvas.evaluate(COLOURS)) >= 3, f"{chart} has a grid, words and a line"
    expect(charts.locator("[data-chart=events] .u-legend")).to_contain_text("Refused")

    light = events.locator("canvas").evaluate(COLOURS)
    page.get_by_role("button", name=re.compile("light and dark")).click()
    page.wait_for_function("() => document.documentElement.dataset.theme")
    expect(events.locator("canvas")).to_have_count(1)
    assert set(events.locator("canvas").evaluate(COLOURS)) != set(light), "drawn anew for the dark"

    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        page.reload()
        charts.locator("[data-chart=line] canvas").wait_for(timeout=LONG_MS)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width


def test_a_slider_asks_what_if_and_a_click_applies_it(
    process_platform: Platform, owner: str, page: Page
) -> None:
    Client(process_platform.run_url(SPACE), verbose=False).predict("x", fn_index=0)
    page.goto(f"http://localhost:{process_platform.port}/{SPACE}/statistics")
    page.get_by_role("link", name="What if?").click()
    answer = page.locator("#answer")
    expect(answer).to_contain_text("As set now")
    expect(answer.get_by_role("button")).to_have_count(0)
    page.get_by_role("slider", name="Queue size").press("ArrowLeft")
    expect(page.get_by_role("textbox", name="Queue size")).to_have_value("1000")
    answer.get_by_role("button", name="Apply max_size 1000").click(timeout=LONG_MS)
    expect(page.get_by_role("status").first).to_contain_text("In force: max_size none → 1000.")
    assert process_platform.queue(SPACE, owner)["max_size"] == 1000
    expect(page.get_by_role("table").last).to_contain_text("max_size none → 1000")
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("status").first).to_contain_text("In force: max_size 1000 → none.")
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width


def call_and_be_refused(platform: Platform, owner: str) -> None:
    """Five calls of a program that end well, and three that a closed API refuses."""
    client = Client(platform.run_url(SPACE), verbose=False)
    for n in range(5):
        client.predict(f"{n}", fn_index=0)
    platform.queue(SPACE, owner, api_open=False)
    base = f"{platform.run_url(SPACE)}gradio_api"
    name = next(iter(requests.get(f"{base}/info", timeout=30).json()["named_endpoints"]))
    for _ in range(3):
        assert requests.post(f"{base}/call{name}", json={"data": ["x"]}, timeout=30).status_code == 403
    platform.queue(SPACE, owner, api_open=True)
