"""An app with `gr.LoginButton`, where no sign-in provider is: it starts, every visitor is a stranger, and
never the account whose token the machine happens to have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests
from gradio_client import Client
from gradio_client.exceptions import AppError
from playwright.sync_api import expect

from tests.platform_server import APPS, Platform

SPACE = "alice/login"


@pytest.fixture(scope="module")
def platform(process_platform: Platform) -> Platform:
    token = process_platform.token("alice")
    api = process_platform.api(token)
    api.create_repo(SPACE, repo_type="space", space_sdk="gradio", exist_ok=True)
    # What Gradio's pretended sign-in would take everybody for.
    api.add_space_secret(SPACE, "HF_TOKEN", token)
    assert process_platform.push(SPACE, token, APPS / "login", timeout_s=300) == "RUNNING"
    return process_platform


def test_every_visitor_is_a_stranger(platform: Platform) -> None:
    client = Client(platform.run_url(SPACE), verbose=False)
    assert client.predict(api_name="/who") == "stranger"
    assert client.predict(api_name="/token") == "no token"
    with pytest.raises(AppError, match="sign in"):
        client.predict(api_name="/members")


@pytest.mark.parametrize("path", ["/login/huggingface", "/login/callback?code=x&state=y"])
def test_who_signs_in_by_hand_stays_one(platform: Platform, path: str) -> None:
    host = {"Host": f"alice-login.localhost:{platform.port}"}
    answer = requests.get(f"{platform.url}{path}", headers=host, allow_redirects=False, timeout=30)
    assert answer.status_code == 501
    assert "Signing in is not available" in answer.text
    assert "Set-Cookie" not in answer.headers


def test_signing_out_leads_back_to_this_host_only(platform: Platform) -> None:
    host = {"Host": f"alice-login.localhost:{platform.port}"}
    for target in ("//evil.example/x", "https://evil.example/x", "/\\evil.example/x", "////evil.example/x"):
        answer = requests.get(
            f"{platform.url}/logout",
            params={"_target_url": target},
            headers=host,
            allow_redirects=False,
            timeout=30,
        )
        where = answer.headers["Location"]
        assert where.startswith("/")
        assert not where.startswith(("//", "/\\"))


@pytest.mark.browser
def test_the_button_says_why_and_leads_back(platform: Platform, visit: Callable[..., Any]) -> None:
    page = visit(platform.demo_url(SPACE))
    expect(page.get_by_label("Name")).to_have_value("stranger", timeout=60_000)
    page.get_by_role("button", name="Sign in with Hugging Face").click()
    expect(page.get_by_text("Signing in is not available in this Space")).to_be_visible(timeout=30_000)
    page.get_by_role("link", name="Back to the app").click()
    expect(page.get_by_label("Name")).to_have_value("stranger", timeout=60_000)
