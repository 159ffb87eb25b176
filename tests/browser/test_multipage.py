"""An app of several pages (`demo.route`) in Chromium, on its own host and in the platform's page. Each has an
address of its own, by which it is opened, reloaded and linked, with the query that it reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from tests.platform_server import APPS, Platform
from tests.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Frame, Page

pytestmark = pytest.mark.browser

SPACE = "alice/multipage"
Visit = Callable[..., "Page"]


@pytest.fixture(scope="module")
def host(platform: Platform, alice: str) -> str:
    """Its own host, without a slash at the end."""
    assert platform.push(SPACE, alice, APPS / "multipage") == "RUNNING"
    return platform.demo_url(SPACE).rstrip("/")


@pytest.fixture(params=[True, False], ids=["API open", "API closed"])
def api_open(request: pytest.FixtureRequest, platform: Platform, alice: str, host: str) -> Iterator[bool]:
    platform.queue(SPACE, alice, api_open=request.param)
    yield request.param
    platform.queue(SPACE, alice, api_open=True)


def press(page: Page | Frame, button: str, label: str, wanted: str) -> None:
    """Press it and wait for what the field of this label says."""
    page.get_by_role("button", name=button).click()
    wait_until(lambda: page.get_by_label(label).input_value() == wanted, f"{label} says {wanted}")


@pytest.mark.usefixtures("api_open")
def test_each_page_is_opened_left_and_reloaded_at_its_own_address(host: str, visit: Visit) -> None:
    page = visit(f"{host}/second?q=7")
    press(page, "Look", "Asked", "{'q': '7'}")
    press(page, "Upper", "Loud", "{'Q': '7'}")
    assert page.url == f"{host}/second?q=7"
    page.get_by_role("link", name="Home").click()
    page.get_by_label("Name").fill("Ada")
    press(page, "Greet", "Greeting", "hi Ada")
    assert page.url.rstrip("/") == host
    page.get_by_role("link", name="Second").click()
    press(page, "Look", "Asked", "{}")
    assert page.url == f"{host}/second"
    page.reload()
    press(page, "Look", "Asked", "{}")
    page.go_back()
    page.get_by_label("Name").fill("Ada")
    press(page, "Greet", "Greeting", "hi Ada")
    page.goto(f"{host}/dritte-seite")
    page.get_by_role("button", name="nothing").wait_for()


def test_it_works_in_the_platforms_page(platform: Platform, host: str, visit: Visit) -> None:
    page = visit(f"http://localhost:{platform.port}/{SPACE}")
    frame = wait_until(lambda: next((f for f in page.frames if f.url.startswith(host)), None), "its frame")
    frame.get_by_role("link", name="Second").click()
    press(frame, "Look", "Asked", "{}")
    assert frame.url.startswith(f"{host}/second")
    wait_until(lambda: "done" in page.locator("[data-queue-text]").inner_text(), "its call is told there", 10)


def test_a_program_gets_no_further_by_another_page(platform: Platform, host: str, api_open: bool) -> None:
    client = Client(platform.run_url(SPACE), verbose=False)
    if api_open:
        assert client.predict("Ada", api_name="/greet") == "hi Ada"
    else:
        with pytest.raises(AppError, match="api_open is off"):
            client.predict("Ada", api_name="/greet")
