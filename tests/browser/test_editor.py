"""A file is edited in real Chromium: typed, saved, live, with the demo's page open beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from gradio_client import Client
from playwright.sync_api import expect

from tests.chromium import signed_in
from tests.platform_server import Platform

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

SPACE = "alice/written"
Visit = Callable[..., "Page"]
APP = """import gradio as gr


def greet(name):
    return "Hello " + name


with gr.Blocks() as demo:
    gr.Button("Greet").click(greet, gr.Textbox(), gr.Textbox(), api_name="greet")
demo.launch()
"""


@pytest.fixture(scope="module")
def owner(process_platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> str:
    token = process_platform.token("alice")
    folder = tmp_path_factory.mktemp("written")
    (folder / "app.py").write_text(APP)
    assert process_platform.push(SPACE, token, folder) == "RUNNING"
    url = f"{process_platform.url}/api/spaces/{SPACE}/settings"
    httpx.put(url, json={"hotReload": True}, headers={"Authorization": f"Bearer {token}"}).raise_for_status()
    return token


@pytest.fixture
def page(process_platform: Platform, owner: str, visit: Visit) -> Page:
    """The owner's browser, signed in."""
    page = visit(f"http://localhost:{process_platform.port}/login")
    return signed_in(page, "alice", process_platform.password("alice"))


def test_an_edit_is_saved_and_live(process_platform: Platform, page: Page) -> None:
    client = Client(process_platform.run_url(SPACE), verbose=False)
    assert client.predict("you", api_name="/greet") == "Hello you"
    page.goto(f"http://localhost:{process_platform.port}/{SPACE}/files/app.py")
    page.get_by_role("link", name="Edit").click()
    editor = page.get_by_role("textbox", name="app.py")
    keyword = editor.get_by_text("import", exact=True).first
    plain = editor.locator(".cm-line").filter(has_text="return").first
    assert keyword.evaluate("e => getComputedStyle(e).color") != plain.evaluate(
        "e => getComputedStyle(e).color"
    )
    editor.get_by_text('"Hello "').dblclick()
    page.keyboard.type("Welcome")
    page.keyboard.press("Control+s")
    expect(page.get_by_text("it is live")).to_be_visible(timeout=30_000)
    expect(page.get_by_text('return "Welcome " + name')).to_be_visible()
    assert client.predict("you", api_name="/greet") == "Welcome you"


def test_without_its_script_a_text_area_does_the_same(
    process_platform: Platform, page: Page, tmp_path: Path
) -> None:
    page.route("**/editor*.js", lambda route: route.abort())
    page.goto(f"http://localhost:{process_platform.port}/{SPACE}/edit/notes.md")
    page.get_by_label("notes.md").fill("# Notes\n\nOne.\n")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Notes")).to_be_visible(timeout=30_000)
    got = process_platform.api(process_platform.token("alice")).hf_hub_download(
        SPACE, "notes.md", repo_type="space", local_dir=tmp_path
    )
    assert Path(got).read_text() == "# Notes\n\nOne.\n"
