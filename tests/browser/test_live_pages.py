"""Pages that renew themselves, in real Chromium: they keep the focus, ask before harm and before changes
are lost, turn live after a push, say that the line is full, and show snippets that fit the function."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from gradio_client import Client

from tests.platform_server import APPS, Platform
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Dialog, FilePayload, Page

pytestmark = pytest.mark.browser

SPACE = "admin/kept"
Visit = Callable[..., "Page"]


@pytest.fixture(scope="module")
def token(process_platform: Platform) -> str:
    token = process_platform.token("admin")
    api = process_platform.api(token)
    api.create_repo(SPACE, repo_type="space", space_sdk="gradio", exist_ok=True)
    return token


@pytest.fixture
def admin(process_platform: Platform, token: str, visit: Visit) -> Page:
    """The administrator's browser."""
    page = visit(f"http://localhost:{process_platform.port}/login")
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password").fill(process_platform.password("admin"))
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/dashboard")
    return page


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.ariaLabel ?? document.activeElement.tagName"))


@pytest.mark.parametrize(
    ("path", "role", "name"),
    [("dashboard", "link", f"Settings of {SPACE}"), ("console", "button", f"Pause: {SPACE}")],
)
def test_the_keyboard_stays_where_it_is_while_the_page_renews_itself(
    process_platform: Platform, admin: Page, path: str, role: str, name: str
) -> None:
    admin.goto(f"http://localhost:{process_platform.port}/{path}")
    admin.get_by_role(role, name=name).focus()  # type: ignore[arg-type]
    for _ in range(2):
        with admin.expect_response(re.compile(r"/dashboard|/console/figures"), timeout=20_000):
            pass
    admin.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert focused(admin) == name


def test_harm_is_done_after_a_question_only(process_platform: Platform, token: str, admin: Page) -> None:
    admin.goto(f"http://localhost:{process_platform.port}/console")
    question = admin.get_by_role("dialog")
    admin.get_by_role("button", name=f"Pause: {SPACE}").click()
    question.get_by_role("button", name="Cancel").click()
    question.wait_for(state="hidden")
    assert process_platform.stage(SPACE, token) == "NO_APP_FILE"
    admin.get_by_role("button", name=f"Pause: {SPACE}").click()
    question.get_by_role("button", name="Pause").click()
    admin.get_by_text(f"{SPACE} is paused").wait_for()
    assert process_platform.stage(SPACE, token) == "PAUSED"


def test_a_secret_is_deleted_after_a_question_only(
    process_platform: Platform, token: str, admin: Page
) -> None:
    api = process_platform.api(token)
    api.add_space_secret(SPACE, "API_KEY", "x")
    admin.goto(f"http://localhost:{process_platform.port}/{SPACE}/settings")
    question = admin.get_by_role("dialog")
    admin.get_by_role("button", name="Delete API_KEY").click()
    question.get_by_text("cannot be recovered").wait_for()
    question.get_by_role("button", name="Cancel").click()
    assert "API_KEY" in api.get_space_secrets(SPACE)
    admin.get_by_role("button", name="Delete API_KEY").click()
    question.get_by_role("button", name="Delete").click()
    wait_until(lambda: "API_KEY" not in api.get_space_secrets(SPACE), "it is deleted")


def test_unsaved_settings_are_not_lost_without_a_question(process_platform: Platform, admin: Page) -> None:
    asked: list[str] = []
    address = f"http://localhost:{process_platform.port}/{SPACE}/settings"
    admin.goto(address)

    def leave(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    admin.on("dialog", leave)
    field = admin.locator("#id_max_size")
    field.fill("7")
    admin.reload()
    assert asked == ["beforeunload"]
    field.fill("8")
    admin.get_by_role("button", name="Save queue settings").click()
    admin.get_by_text("It acts at once").wait_for()
    admin.get_by_role("radio", name="Private").check()
    admin.locator("#save-visibility").click()
    admin.locator(".messages").get_by_text("Saved.").wait_for()
    admin.reload()
    assert asked == ["beforeunload"], "everything was saved"


def test_creating_leads_to_the_spaces_page_which_turns_live_after_the_push(
    process_platform: Platform, token: str, admin: Page
) -> None:
    admin.goto(f"http://localhost:{process_platform.port}/new")
    admin.get_by_label("Name", exact=True).fill("fresh")
    admin.get_by_label("Static").check()
    admin.get_by_role("button", name="Create Space").click()
    admin.wait_for_url("**/admin/fresh")
    admin.get_by_text("hf upload --repo-type=space admin/fresh").wait_for()
    for path, text in {
        "README.md": "---\ntitle: All new\nsdk: static\n---\n",
        "index.html": "<p>Here",
    }.items():
        process_platform.api(token).upload_file(
            path_or_fileobj=text.encode(), path_in_repo=path, repo_id="admin/fresh", repo_type="space"
        )
    admin.frame_locator("iframe").get_by_text("Here").wait_for()
    admin.get_by_role("heading", name="All new").wait_for(timeout=20_000)


def test_a_space_from_a_template_is_live_without_a_terminal(process_platform: Platform, admin: Page) -> None:
    admin.goto(f"http://localhost:{process_platform.port}/new")
    admin.get_by_label("Name", exact=True).fill("from-template")
    admin.get_by_label("Perceptron playground").check()
    assert admin.locator(".of-own-files").is_hidden(), "the template says what runs in it"
    admin.get_by_role("button", name="Create Space").click()
    admin.wait_for_url("**/admin/from-template")
    admin.get_by_role("heading", name="Perceptron playground").wait_for()
    admin.frame_locator("iframe").locator("canvas, svg").first.wait_for()


def test_files_chosen_on_the_page_of_an_empty_space_are_live(
    process_platform: Platform, token: str, admin: Page
) -> None:
    process_platform.api(token).create_repo("admin/dropped", repo_type="space", space_sdk="static")
    admin.goto(f"http://localhost:{process_platform.port}/admin/dropped")
    file: FilePayload = {"name": "index.html", "mimeType": "text/html", "buffer": b"<p>Dropped here"}
    with admin.expect_navigation():
        admin.get_by_label("Choose files").set_input_files(file)
    admin.locator(".messages").get_by_text("1 file uploaded").wait_for()
    admin.frame_locator("iframe").get_by_text("Dropped here").wait_for()
    assert admin.get_by_text("Choose a folder").count() == 0, "there is an app now"


def test_a_full_line_is_said_before_anything_is_pressed(
    process_platform: Platform, token: str, visit: Visit
) -> None:
    assert process_platform.push("admin/full", token, APPS / "everything") == "RUNNING"
    process_platform.queue("admin/full", token, max_size=1)
    client = Client(process_platform.run_url("admin/full"), verbose=False)
    page = visit(f"http://localhost:{process_platform.port}/admin/full")
    page.locator("iframe").wait_for()

    def is_said() -> bool:
        client.submit("x", api_name="/slow")
        return page.get_by_text("The line is full (1 of 1)").is_visible()

    wait_until(is_said, "the line is full")


def test_an_open_page_is_told_that_a_new_version_runs(
    process_platform: Platform, token: str, visit: Visit, tmp_path: Path
) -> None:
    assert process_platform.push("admin/full", token, APPS / "everything") == "RUNNING"
    page = visit(f"http://localhost:{process_platform.port}/admin/full")
    page.locator("iframe").wait_for()
    told = page.get_by_role("button", name="A new version runs: load it")
    assert told.is_hidden()
    shutil.copytree(APPS / "everything", tmp_path, dirs_exist_ok=True)
    with (tmp_path / "app.py").open("a") as app:
        app.write(f"# {tmp_path}\n")
    assert process_platform.push("admin/full", token, tmp_path) == "RUNNING"
    told.click()
    told.wait_for(state="hidden")


def test_the_snippets_call_the_function_with_its_own_arguments(
    process_platform: Platform, token: str, visit: Visit
) -> None:
    assert process_platform.push("admin/full", token, APPS / "everything") == "RUNNING"
    page = visit(f"http://localhost:{process_platform.port}/admin/full")
    page.get_by_text("Use via API").click()
    page.get_by_label("Function", exact=True).select_option("/count_up")
    python, curl = page.locator("#api-python"), page.locator("#api-curl")
    assert re.search(r'n=\d+,\n    api_name="/count_up"', python.inner_text())
    assert re.search(r'-d \'\{"data":\[\d+\]\}\' ', curl.inner_text())
    assert curl.inner_text().count("/call/count_up") == 2
