"""A program is one visitor at the real doors, whatever sessions it invents; settings reach them."""

from __future__ import annotations

import secrets

import pytest
import requests

from tests.platform_server import APPS, Platform
from tests.waiting import wait_until

SPACE = "alice/shared"


@pytest.fixture(scope="module")
def space(platform: Platform, alice: str) -> str:
    assert platform.push(SPACE, alice, APPS / "everything") == "RUNNING"
    return SPACE


def call(platform: Platform, text: str, **headers: str) -> requests.Response:
    body = {"data": [text], "session_hash": secrets.token_hex(8)}
    url = f"{platform.run_url(SPACE)}gradio_api/call/slow"
    return requests.post(url, json=body, headers=headers, timeout=30)


def test_a_new_session_for_each_call_is_no_new_visitor(platform: Platform, space: str, alice: str) -> None:
    platform.queue(space, alice, max_per_visitor=2)
    try:
        answers = [call(platform, f"s{n}") for n in range(6)]
        refused = [a for a in answers if a.status_code == 429]
        assert 2 <= len(refused) <= 4
        assert "2 of at most 2 events waiting" in refused[0].json()["detail"]
        # An account is a visitor of its own, by its token.
        assert call(platform, "mine", Authorization=f"Bearer {alice}").status_code == 200
    finally:
        platform.queue(space, alice, max_per_visitor=None)
    wait_until(lambda: platform.queue(space, alice)["pending"] == 0, "the line is empty")


def test_an_account_is_served_before_the_rest_of_a_strangers_calls(
    platform: Platform, space: str, alice: str
) -> None:
    platform.queue(space, alice, policy="fair")
    try:
        strangers = [call(platform, f"s{n}").json()["event_id"] for n in range(6)]
        mine = call(platform, "mine", Authorization=f"Bearer {alice}").json()["event_id"]
        url = f"{platform.run_url(space)}gradio_api/call/slow/{mine}"
        assert '["mine"]' in requests.get(url, timeout=60).text
        figures = platform.queue(space, alice)
        assert figures["pending"] >= 2, (figures, strangers)
    finally:
        platform.queue(space, alice, policy="fifo")
    wait_until(lambda: platform.queue(space, alice)["pending"] == 0, "the line is empty")


def test_bad_values_of_the_new_settings_are_refused(platform: Platform, space: str, alice: str) -> None:
    for bad in ({"policy": "mine"}, {"page_weight": 0}, {"max_per_visitor": 0}, {"retry": "no"}):
        answer = requests.put(
            f"{platform.url}/api/spaces/{space}/queue",
            json=bad,
            headers={"Authorization": f"Bearer {alice}"},
            timeout=10,
        )
        assert answer.status_code == 400, bad
