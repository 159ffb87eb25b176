"""Who calls a Space while it starts for the first time waits like any other, or is told why he cannot."""

from __future__ import annotations

import json

import aiohttp
import pytest
import requests

from tests.platform_server import APPS, Platform
from tests.waiting import wait_until

SPACE = "alice/firststart"


@pytest.fixture(scope="module")
def token(process_platform: Platform) -> str:
    """The app is pushed, and not up yet."""
    token = process_platform.token("alice")
    api = process_platform.api(token)
    api.create_repo(SPACE, repo_type="space", space_sdk="gradio")
    api.upload_folder(repo_id=SPACE, repo_type="space", folder_path=APPS / "echo")
    return token


async def test_a_socket_is_told_that_nothing_is_known_yet(process_platform: Platform, token: str) -> None:
    assert process_platform.stage(SPACE, token) != "RUNNING"
    url = f"{process_platform.url.replace('http', 'ws')}/ws/spaces/{SPACE}/queue"
    async with aiohttp.ClientSession() as http, http.ws_connect(url) as socket:
        await socket.send_json({"msg": "join", "api_name": "echo", "data": ["Ada"]})
        while (message := json.loads((await socket.receive(timeout=10)).data))["msg"] != "error":
            pass
    assert message["code"] == "queue.not_up_yet"
    assert "send it again when it runs" in message["message"]


def test_a_call_that_waited_for_the_first_start_is_queued(process_platform: Platform, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    url = f"{process_platform.run_url(SPACE)}gradio_api/call/echo"

    def accepted() -> str:
        answer = requests.post(url, json={"data": ["Ada"]}, headers=headers, timeout=90)
        assert answer.status_code in (200, 503), answer.text  # 503: the start takes longer than requests wait
        return str(answer.json()["event_id"]) if answer.ok else ""

    event_id = wait_until(accepted, "it is held until the app runs, and accepted", 120)
    with requests.get(f"{url}/{event_id}", headers=headers, timeout=60) as answer:
        assert answer.status_code == 200, "the queue knows it"
        assert "event: complete" in answer.text
