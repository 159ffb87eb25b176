"""Pages that renew themselves in real Chromium: they leave the keyboard where it is, and ask before harm."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.platform_server import Platform
from tests.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Page

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
    password = re.search(r"user admin, password (\S+)", process_platform.log())
    assert password
    page = visit(f"http://localhost:{process_platform.port}/login")
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password").fill(password[1])
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
