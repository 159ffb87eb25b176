"""`hf auth login` without a token: the command shows a code, its user agrees in a browser."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import requests

from tests.hub_server import Hub
from tests.spaces.browser import Browser
from tests.waiting import wait_until

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


def begin(hub: Hub) -> dict[str, Any]:
    answer = requests.post(f"{hub.url}/oauth/device", data={"client_id": "x"}, timeout=10)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def ask(hub: Hub, **values: str) -> tuple[int, dict[str, Any]]:
    answer = requests.post(f"{hub.url}/oauth/token", data={"client_id": "x", **values}, timeout=10)
    return answer.status_code, answer.json()


def poll(hub: Hub, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    return ask(hub, grant_type=DEVICE, device_code=asked["device_code"])


def agree(hub: Hub, who: str, asked: dict[str, Any], decision: str = "agree", scope: str = "write") -> str:
    browser = Browser(hub, who)
    text = browser.get(f"/oauth/activate?code={asked['user_code']}").text
    assert asked["user_code"] in text
    assert "<strong>127.0.0.1</strong>" in text
    page = browser.post("/oauth/activate", code=asked["user_code"], decision=decision, scope=scope)
    assert page.status_code == 200
    return page.text


def test_the_command_signs_in(hub: Hub, tmp_path: Path) -> None:
    env = {**hub.client_env(""), "HF_HOME": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    command = [str(Path(sys.executable).parent / "hf"), "auth", "login"]
    log = tmp_path / "log"
    with log.open("wb") as out:
        program = subprocess.Popen(
            command, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT
        )
    try:
        wait_until(lambda: re.search(r"code=[B-Z]{4}-[B-Z]{4}", log.read_text()), "the command shows a code")
        found = re.search(r"code=([B-Z]{4}-[B-Z]{4})", log.read_text())
        assert found is not None
        agree(hub, "alice", {"user_code": found[1]})
        assert program.wait(60) == 0, log.read_text()
    finally:
        program.kill()
    who = subprocess.run(
        [command[0], "auth", "whoami", "--format", "json"],
        env=env, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert "alice" in who.stdout
    assert "hf auth login" in Browser(hub, "alice").get("/tokens").text


def test_nothing_is_given_before_or_without_consent(hub: Hub) -> None:
    asked = begin(hub)
    assert asked["verification_uri"] == f"{hub.url}/oauth/activate"
    assert poll(hub, asked) == (
        400,
        {"error": "authorization_pending", "error_description": "authorization_pending"},
    )
    assert poll(hub, asked)[1]["error"] == "slow_down"
    assert "Refused" in agree(hub, "bob", asked, "refuse")
    assert poll(hub, asked)[1]["error"] == "access_denied"
    assert poll(hub, asked)[1]["error"] == "expired_token"


def test_a_code_is_good_once_and_for_a_quarter_of_an_hour(hub: Hub) -> None:
    asked = begin(hub)
    agree(hub, "bob", asked)
    status, given = poll(hub, asked)
    assert (status, given["token_type"], given["expires_in"]) == (200, "bearer", 30 * 24 * 3600)
    assert poll(hub, asked)[1]["error"] == "expired_token"
    late = begin(hub)
    hub.sql("update accounts_devicelogin set expires_at = now()")
    assert Browser(hub, "bob").post("/oauth/activate", code=late["user_code"]).status_code == 422
    assert poll(hub, late)[1]["error"] == "expired_token"


def test_the_user_chooses_what_the_program_may(hub: Hub, space: str) -> None:
    asked = begin(hub)
    agree(hub, "alice", asked, scope="read")
    _, given = poll(hub, asked)
    me = hub.call(
        "GET", "/api/whoami-v2", headers={"Authorization": f"Bearer {given['access_token']}"}
    ).json()
    assert (me["name"], me["auth"]["accessToken"]["role"]) == ("alice", "read")


def test_a_token_is_renewed_once_for_each_refresh_token(hub: Hub) -> None:
    asked = begin(hub)
    agree(hub, "bob", asked)
    _, first = poll(hub, asked)
    status, second = ask(hub, grant_type="refresh_token", refresh_token=first["refresh_token"])
    assert (status, second["access_token"] != first["access_token"]) == (200, True)
    assert (
        ask(hub, grant_type="refresh_token", refresh_token=first["refresh_token"])[1]["error"]
        == "invalid_grant"
    )
    for given in (first, second):
        headers = {"Authorization": f"Bearer {given['access_token']}"}
        assert hub.call("GET", "/api/whoami-v2", headers=headers).json()["name"] == "bob"


def test_nobody_agrees_without_signing_in(hub: Hub) -> None:
    asked = begin(hub)
    page = requests.post(
        f"{hub.url}/oauth/activate", data={"code": asked["user_code"], "decision": "agree"}, timeout=10
    )
    assert page.status_code == 403  # no form of ours
    page = requests.get(f"{hub.url}/oauth/activate?code={asked['user_code']}", timeout=10)
    assert "/login" in page.url
    assert poll(hub, asked)[1]["error"] == "authorization_pending"


def test_odd_requests_for_tokens_are_refused_as_oauth_does(hub: Hub) -> None:
    for values, error in (
        ({}, "unsupported_grant_type"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": DEVICE}, "invalid_request"),
        ({"grant_type": DEVICE, "device_code": "x"}, "expired_token"),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, "invalid_grant"),
    ):
        assert ask(hub, **values)[1]["error"] == error
    raw = requests.post(
        f"{hub.url}/oauth/token", data="[" * 100_000, headers={"Content-Type": "application/json"}, timeout=10
    )
    assert (raw.status_code, raw.json()["error"]) == (400, "invalid_request")


def test_one_address_cannot_fill_the_table(hub: Hub) -> None:
    hub.sql("delete from accounts_devicelogin")
    answers = [requests.post(f"{hub.url}/oauth/device", timeout=10).status_code for _ in range(21)]
    assert answers == [200] * 20 + [429]
    hub.sql("delete from accounts_devicelogin")


def test_the_automatic_renewal_of_the_client_works(hub: Hub, tmp_path: Path) -> None:
    """It renews a token of which less than a day is left, inside any call."""
    asked = begin(hub)
    agree(hub, "bob", asked)
    _, given = poll(hub, asked)
    code = (
        "import os; from huggingface_hub.utils._oauth_device import refresh_access_token; "
        "print(refresh_access_token(os.environ['REFRESH'])['access_token'])"
    )
    env = {**hub.client_env(""), "HF_HOME": str(tmp_path), "REFRESH": given["refresh_token"]}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **env}, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout.startswith("hf_")
    assert json.dumps(given["refresh_token"]) not in done.stdout
