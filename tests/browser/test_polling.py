"""A timer and a button in one `gr.on` ask for the state of a running job: as by itself, each tick is answered
while the job runs, on the page and for a program."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from gradio_client import Client
from playwright.sync_api import expect

from tests.platform_server import APPS, Platform
from tests.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

SPACE = "alice/polling"
TICKS = 5


def test_each_tick_is_answered_while_the_job_runs(
    process_platform: Platform, visit: Callable[..., Page]
) -> None:
    token = process_platform.token("alice")
    assert process_platform.push(SPACE, token, APPS / "polling") == "RUNNING"
    page = visit(process_platform.demo_url(SPACE))
    page.get_by_role("button", name="Start").click(timeout=90_000)
    seen: list[str] = []

    def ticked() -> bool:
        shown = page.get_by_label("Status").input_value()
        if shown.startswith("running") and shown not in seen:
            seen.append(shown)
        return len(seen) >= TICKS

    wait_until(ticked, "the state of the running job is shown again and again")
    client = Client(process_platform.run_url(SPACE), verbose=False)
    assert client.predict(api_name="/status").startswith("running")
    before = page.get_by_label("Status").input_value()
    page.get_by_role("button", name="Refresh").click()
    expect(page.get_by_label("Status")).not_to_have_value(before)
    assert page.get_by_label("Status").input_value().startswith("running")
    assert page.get_by_label("Out").input_value() == ""
    page.get_by_role("button", name="Let go").click()
    expect(page.get_by_label("Out")).to_have_value("finished")
