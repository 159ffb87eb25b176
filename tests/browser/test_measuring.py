"""The page "Measure" in real Chromium: a click measures, the page follows by itself, another click applies,
and one leads back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.chromium import signed_in
from tests.platform_server import Platform

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

SPACE = "alice/measured"
LONG_MS = 60_000
APP = """
import time
import gradio as gr

def wait(text):
    time.sleep(0.05)
    return text

gr.Interface(wait, gr.Textbox(), gr.Textbox(), examples=["one", "two"], api_name="wait").launch()
"""


def test_it_is_measured_shown_applied_and_undone(
    process_platform: Platform, visit: Callable[..., Page], tmp_path: Path
) -> None:
    token = process_platform.token("alice")
    (tmp_path / "app.py").write_text(APP)
    assert process_platform.push(SPACE, token, tmp_path) == "RUNNING"
    page = visit(f"http://localhost:{process_platform.port}/login")
    signed_in(page, "alice", process_platform.password("alice"))
    page.goto(f"http://localhost:{process_platform.port}/{SPACE}/statistics")
    page.get_by_role("link", name="Measure").click()
    page.get_by_text("Options").click()
    page.get_by_label("Most calls at once").fill("4")
    page.get_by_label("Seconds of measuring").fill("10")
    page.get_by_role("button", name="Measure").click()
    # By itself, without a reload.
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    apply = page.get_by_role("button", name="Apply concurrency_count")
    apply.wait_for(timeout=LONG_MS)
    throughput = page.get_by_role("img", name="Events a second")
    assert "at 1, " in str(throughput.get_attribute("aria-label"))
    assert "The chosen one is" in str(throughput.get_attribute("aria-label"))
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
        box = throughput.bounding_box()
        assert box
        assert box["width"] > 200
    apply.click()
    expect(page.get_by_role("status").first).to_contain_text("In force: concurrency_count 1 → ")
    assert process_platform.queue(SPACE, token)["concurrency_count"] > 1
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("table").last).to_contain_text("Measured: Version")
    assert process_platform.queue(SPACE, token)["concurrency_count"] == 1
