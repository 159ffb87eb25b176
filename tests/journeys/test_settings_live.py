"""The six queue settings act while the Space runs: no restart, no event dropped."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import requests
from gradio_client import Client
from gradio_client.exceptions import AppError
from gradio_client.utils import QueueError

from tests.platform_server import APPS, Platform
from tests.waiting import wait_until

SPACE = "alice/tuned"


SETTINGS = ("max_size", "batch", "max_batch_size", "concurrency_count", "api_open")


@pytest.fixture(scope="module")
def first_values(platform: Platform, alice: str) -> dict[str, object]:
    """The settings of the Space when it ran first."""
    assert platform.push(SPACE, alice, APPS / "everything") == "RUNNING"
    settings = platform.queue(SPACE, alice)
    return {name: settings[name] for name in SETTINGS}


@pytest.fixture
def space(platform: Platform, alice: str, first_values: dict[str, object]) -> Iterator[str]:
    """It has its first settings."""
    yield SPACE
    platform.queue(SPACE, alice, **first_values)


@pytest.fixture
def client(platform: Platform, space: str) -> Client:
    return Client(platform.run_url(space), verbose=False)


def test_what_the_code_asks_for_are_the_first_values(platform: Platform, space: str, alice: str) -> None:
    settings = platform.queue(space, alice)
    assert settings["max_size"] == 50
    assert settings["batch"] is True
    assert settings["max_batch_size"] == 8
    assert settings["concurrency_count"] == 1


def test_raised_concurrency_takes_those_who_wait(
    platform: Platform, space: str, alice: str, client: Client
) -> None:
    jobs = [client.submit(f"s{n}", api_name="/slow") for n in range(6)]
    wait_until(lambda: platform.queue(space, alice)["running"] == 1, "one runs")
    platform.queue(space, alice, concurrency_count=5)
    wait_until(lambda: platform.queue(space, alice)["running"] >= 4, "more run at once", timeout_s=3)
    assert [job.result(timeout=30) for job in jobs] == [f"s{n}" for n in range(6)]


def test_smaller_max_size_refuses_the_next_and_throws_nobody_out(
    platform: Platform, space: str, alice: str, client: Client
) -> None:
    jobs = [client.submit(f"s{n}", api_name="/slow") for n in range(4)]
    wait_until(lambda: platform.queue(space, alice)["pending"] == 3, "three wait")
    platform.queue(space, alice, max_size=2)
    with pytest.raises(QueueError, match=r"[Qq]ueue"):
        client.predict("late", api_name="/slow")
    refusal = requests.post(
        f"{platform.run_url(space)}gradio_api/call/slow", json={"data": ["x"]}, timeout=10
    )
    assert refusal.status_code == 503
    assert "3 of at most 2" in refusal.json()["detail"]
    assert [job.result(timeout=30) for job in jobs] == [f"s{n}" for n in range(4)]


def test_batching_off_hands_over_one_by_one(
    platform: Platform, space: str, alice: str, client: Client
) -> None:
    platform.queue(space, alice, batch=False)
    answers = [
        job.result(timeout=30) for job in [client.submit(f"t{n}", api_name="/shout") for n in range(4)]
    ]
    assert {a.split()[-1] for a in answers} == {"1"}


def test_a_closed_api_tells_programs_so_in_every_way_they_ask(
    platform: Platform, space: str, alice: str, client: Client
) -> None:
    platform.queue(space, alice, api_open=False)
    try:
        with pytest.raises(AppError, match="api_open is off"):
            client.predict("x", api_name="/echo")
        base = f"{platform.run_url(space)}gradio_api"
        ways = {
            "call/echo": {"data": ["x"]},
            "call/v2/echo": {"text": "x"},
            "run/echo": {"data": ["x"]},
            "api/echo": {"data": ["x"]},
            "run/predict": {"data": ["x"], "fn_index": 1},
        }
        for path, body in ways.items():
            answer = requests.post(f"{base}/{path}", json=body, timeout=10)
            assert answer.status_code == 403, path
            assert "api_open is off" in answer.json()["detail"]
    finally:
        platform.queue(space, alice, api_open=True)
    assert client.predict("x", api_name="/echo") == "hello x"


@pytest.mark.parametrize(
    "bad",
    [
        {"concurrency_count": 0},
        {"concurrency_count": -3},
        {"max_size": 10**12},
        {"max_batch_size": "many"},
        {"api_open": "yes"},
        {"concurrency_count": 1.5},
        {"batch": 1},
        {"speed": 11},
    ],
)
def test_bad_values_are_refused_with_what_is_allowed(
    platform: Platform, space: str, alice: str, bad: dict[str, object]
) -> None:
    before = platform.queue(space, alice)
    answer = requests.put(
        f"{platform.url}/api/spaces/{space}/queue",
        json=bad,
        headers={"Authorization": f"Bearer {alice}"},
        timeout=10,
    )
    assert answer.status_code == 400
    assert next(iter(bad)) in answer.json()["error"]
    after = platform.queue(space, alice)
    assert {k: after[k] for k in after if k not in ("events", "eta_s")} == {
        k: before[k] for k in before if k not in ("events", "eta_s")
    }


def test_a_stranger_cannot_change_them(platform: Platform, space: str, charlie: str) -> None:
    answer = requests.put(
        f"{platform.url}/api/spaces/{space}/queue",
        json={"api_open": False},
        headers={"Authorization": f"Bearer {charlie}"},
        timeout=10,
    )
    assert answer.status_code == 403


def test_a_paused_space_refuses_who_comes_and_serves_who_waited_when_it_starts_again(
    platform: Platform, space: str, alice: str, client: Client
) -> None:
    jobs = [client.submit("s0", api_name="/slow")]
    wait_until(lambda: platform.queue(space, alice)["running"] == 1, "one runs")
    jobs += [client.submit(f"s{n}", api_name="/slow") for n in range(1, 8)]
    wait_until(lambda: platform.queue(space, alice)["pending"] >= 2, "two wait")
    platform.api(alice).pause_space(space)
    refusal = requests.post(
        f"{platform.run_url(space)}gradio_api/call/echo", json={"data": ["x"]}, timeout=10
    )
    assert refusal.status_code == 503
    assert "paused by its owner" in refusal.json()["detail"]
    platform.api(alice).restart_space(space)
    wait_until(lambda: platform.stage(space, alice) == "RUNNING", "it runs again", timeout_s=60)
    assert [job.result(timeout=60) for job in jobs] == [f"s{n}" for n in range(8)]
    assert Client(platform.run_url(space), verbose=False).predict("x", api_name="/echo") == "hello x"


def test_a_sleeping_space_wakes_for_its_visitor(platform: Platform, space: str, alice: str) -> None:
    sleep_after(1, platform, space, alice)
    wait_until(lambda: platform.stage(space, alice) == "SLEEPING", "it sleeps", timeout_s=90)
    sleep_after(-1, platform, space, alice)
    started = time.monotonic()
    url = f"{platform.run_url(space)}gradio_api/call/echo"
    event_id = requests.post(url, json={"data": ["early bird"]}, timeout=10).json()["event_id"]
    assert time.monotonic() - started < 5, "accepted at once, while it sleeps"
    answer = requests.get(f"{url}/{event_id}", timeout=60).text
    assert 'data: ["hello early bird"]' in answer


def sleep_after(seconds: int, platform: Platform, space: str, token: str) -> None:
    """Set the sleep time by hand: the official client warns that this is not for free hardware."""
    answer = requests.post(
        f"{platform.url}/api/spaces/{space}/sleeptime",
        json={"seconds": seconds},
        headers={"Authorization": f"Bearer {token}"},
        timeout=10,
    )
    answer.raise_for_status()
