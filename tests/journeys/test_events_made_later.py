"""Events that the app's config at its start does not name, since `gr.render` makes them in one session: they
queue, or run at once, as their author said."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.platform_server import APPS, Platform
from tests.security.conftest import Marks
from tests.waiting import wait_until

SPACE = "alice/made"
SLOW, RENDER = 0, 1  # functions that the config names


class Session:
    """One visitor of the Space, speaking Gradio's protocol."""

    def __init__(self, platform: Platform) -> None:
        self.url = f"{platform.run_url(SPACE)}gradio_api/"
        self.hash = secrets.token_hex(8)

    def join(self, fn_index: int, *data: Any) -> dict[str, Any]:
        """The end of an event."""
        body = {"fn_index": fn_index, "data": list(data), "session_hash": self.hash}
        event_id = requests.post(f"{self.url}queue/join", json=body, timeout=30).json()["event_id"]
        url = f"{self.url}queue/data?session_hash={self.hash}"
        with requests.get(url, stream=True, timeout=60) as answer:
            for line in answer.iter_lines():
                message = json.loads(line[5:]) if line.startswith(b"data:") else {}
                if message.get("event_id") == event_id and message["msg"] == "process_completed":
                    return dict(message)
        raise AssertionError("the stream ended before the event")

    def run(self, fn_index: int, *data: Any) -> requests.Response:
        """A direct run, as a page sends it for an event that does not queue."""
        body = {"fn_index": fn_index, "data": list(data), "session_hash": self.hash}
        return requests.post(f"{self.url}run/predict", json=body, timeout=60)

    def made(self, rows: int = 1) -> dict[bool, int]:
        """Ids of what the app makes for this session: by whether it queues."""
        config = self.join(RENDER, rows)["output"]["render_config"]
        return {bool(made["queue"]): made["id"] for made in config["dependencies"]}


@pytest.fixture(scope="module")
def owner(process_platform: Platform) -> str:
    return process_platform.token("alice")


@pytest.fixture(scope="module")
def platform(process_platform: Platform, owner: str) -> Platform:
    assert process_platform.push(SPACE, owner, APPS / "made", timeout_s=300) == "RUNNING"
    process_platform.queue(SPACE, owner, max_running=1)
    return process_platform


@pytest.fixture
def marks(platform: Platform) -> Marks:
    return Marks(platform, "made")


@pytest.fixture
def session(platform: Platform) -> Session:
    return Session(platform)


@pytest.fixture
def busy(platform: Platform, marks: Marks) -> Iterator[threading.Thread]:
    """Somebody else's call runs, and takes the only place."""
    other, had = Session(platform), len(marks.read())
    thread = threading.Thread(target=other.join, args=(SLOW, "other"))
    thread.start()
    marks.wait_for("start other", had)
    yield thread
    thread.join(60)


def test_one_that_does_not_queue_answers_at_once(
    session: Session, busy: threading.Thread, marks: Marks
) -> None:
    made = session.made()[False]
    answer = session.run(made, "x")
    assert (answer.status_code, answer.json()["data"]) == (200, ["fast x 0"])


def test_made_anew_it_answers_under_its_new_id(session: Session) -> None:
    first = session.made(1)[False]
    again = session.made(2)[False]
    assert again != first
    assert session.run(again, "y").json()["data"] == ["fast y 1"]


def test_one_that_queues_streams_its_steps(session: Session, marks: Marks) -> None:
    had = len(marks.read())
    end = session.join(session.made()[True], "z")
    assert end["success"]
    assert marks.read()[had:] == ["start z", "end z"]


def test_one_that_queues_waits_in_line_even_if_it_is_run_directly(
    session: Session, owner: str, platform: Platform, marks: Marks
) -> None:
    """Whether a function may pass the line is the app's word, not the caller's."""
    made = session.made()[True]
    other, had = Session(platform), len(marks.read())
    first = threading.Thread(target=other.join, args=(SLOW, "before"))
    first.start()
    marks.wait_for("start before", had)
    sneaks = threading.Thread(target=session.run, args=(made, "direct"))
    sneaks.start()
    wait_until(lambda: platform.queue(SPACE, owner)["pending"], "it waits in line")
    first.join(60)
    sneaks.join(60)
    ran = marks.read()[had:]
    assert ran.index("end before") < ran.index("start direct")


def test_what_another_session_has_is_no_function_of_this_one(session: Session, platform: Platform) -> None:
    made = session.made()[False]
    for fn_index in (made, 999, 1_000_000, 10_000_000):
        assert Session(platform).run(fn_index, "x").status_code == 404


def test_a_closed_api_runs_none_of_them(
    platform: Platform, owner: str, session: Session, marks: Marks
) -> None:
    made = session.made()
    platform.queue(SPACE, owner, api_open=False)
    try:
        before = marks.read()
        for fn_index in made.values():
            answer = session.run(fn_index, "closed")
            assert answer.status_code == 403
            assert "api_open is off" in answer.text
        assert marks.read() == before
    finally:
        platform.queue(SPACE, owner, api_open=True)
