"""Limits in the code count: functions of different groups run beside each other, those of one as many at
once as its limit says, whoever's word that is."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from gradio_client import Client
from gradio_client.client import Job

from queueing.dispatch.prefetch import SHORT_S
from tests.platform_server import APPS, Platform
from tests.waiting import wait_until

SPACE = "alice/groups"
DEFAULTS = {"concurrency_count": 1, "max_running": None, "max_size": None}
FUNCTIONS = ("free", "alone", "three", "left", "right", "click", "submit")
MADE = ("made", "known")
OPEN, SHUT = True, False
GROUPS = ("/free", "/alone", "/three", "pair", "/click", "/polled")


@pytest.fixture(scope="module")
def alice(process_platform: Platform) -> str:
    token = process_platform.token("alice")
    assert process_platform.push(SPACE, token, APPS / "groups") == "RUNNING"
    return token


@pytest.fixture(scope="module")
def client(process_platform: Platform, alice: str) -> Client:
    return Client(process_platform.run_url(SPACE), verbose=False)


class Work:
    """Calls that stay inside their functions until they are let go."""

    def __init__(self, client: Client, queue: Callable[..., dict[str, Any]]) -> None:
        self.client, self.queue = client, queue
        self.jobs: list[Job] = []

    def start(self, *names: str) -> None:
        for name in names:
            self.jobs.append(self.client.submit(name, api_name=f"/{name}"))

    def inside(self) -> dict[str, int]:
        """How many calls of each kind are inside; of the pair together."""
        seen: Counter[str] = Counter()
        for name, count in self.client.predict(api_name="/look").items():
            seen["pair" if name in ("left", "right") else name] += count
        return dict(+seen)

    def settles(self, waiting: int, **inside: int) -> None:
        """All that may run is inside its function, and so many wait for their turn."""
        wait_until(lambda: self.inside() == inside, f"inside are {inside}, not {self.inside()}")
        assert self.queue()["pending"] == waiting

    def let_go(self) -> None:
        """All that were started end, and those started next stay inside again."""
        for name in FUNCTIONS:
            self.client.predict(name, OPEN, api_name="/let_go")
        for job in self.jobs:
            job.result(timeout=60)
        for name in FUNCTIONS:
            self.client.predict(name, SHUT, api_name="/let_go")
        self.jobs.clear()


@pytest.fixture
def work(process_platform: Platform, alice: str, client: Client) -> Iterator[Work]:
    made = Work(client, lambda **change: process_platform.queue(SPACE, alice, **change))
    made.queue(**DEFAULTS, groups=dict.fromkeys(GROUPS, "default"))
    yield made
    made.let_go()


def test_groups_run_beside_each_other_each_as_many_as_its_code_says(work: Work) -> None:
    work.start(*["alone"] * 3, *["free"] * 4, *["three"] * 4, *["left"] * 2, *["right"] * 2)
    work.settles(2 + 1 + 2, alone=1, free=4, three=3, pair=2)


def test_two_events_of_one_function_share_its_place(work: Work) -> None:
    work.start("click")
    work.settles(0, click=1)
    work.start("submit", "alone")
    work.settles(1, click=1, alone=1)


def test_the_owners_number_wins_over_the_codes_while_it_runs_and_goes_again(work: Work) -> None:
    work.start(*["left"] * 5, *["alone"] * 3)
    work.settles(3 + 2, pair=2, alone=1)
    work.queue(groups={"pair": 4, "/alone": 2})
    work.settles(1 + 1, pair=4, alone=2)
    work.queue(groups={"pair": None})
    work.settles(0 + 1, pair=5, alone=2)
    work.let_go()
    work.queue(groups={"pair": "default", "/alone": "default"})
    work.start(*["left"] * 3, *["alone"] * 2)
    work.settles(1 + 1, pair=2, alone=1)


def test_concurrency_count_is_for_each_group_without_a_number(work: Work) -> None:
    work.queue(concurrency_count=2)
    work.start(*["alone"] * 3, *["click"] * 3, *["left"] * 3)
    work.settles(1 + 1 + 1, alone=2, click=2, pair=2)


def test_a_total_bounds_all_groups_together(work: Work) -> None:
    work.queue(max_running=2)
    work.start(*["alone"] * 2, *["free"] * 2, *["three"] * 2)
    wait_until(lambda: sum(work.inside().values()) == 2, "two are inside")
    assert work.queue()["pending"] == 4
    work.let_go()


def test_polling_goes_on_beside_a_job(work: Work) -> None:
    work.start(*["alone"] * 2)
    work.settles(1, alone=1)
    assert work.client.predict(api_name="/polled") == 1


def test_the_queue_says_each_groups_limit_and_whose_word_it_is(work: Work) -> None:
    said = {one["group"]: one for one in work.queue(groups={"/free": 7})["lines"]}
    assert {name: (one["limit"], one["source"]) for name, one in said.items()} == {
        "/free": (7, "owner"), "/alone": (1, "default"), "/three": (3, "code"), "pair": (2, "code"),
        "/click": (1, "default"), "/polled": (1, "default"), "/apply": (None, "code"),  # the render's own
    }  # fmt: skip
    assert said["pair"]["functions"] == ["/left", "/right"]
    assert said["/click"]["functions"] == ["/click", "/submit"]


def test_a_group_there_is_not_is_refused_by_naming_those_there_are(work: Work) -> None:
    with pytest.raises(requests.HTTPError) as refused:
        work.queue(groups={"/nobody": 2})
    assert refused.value.response.status_code == 400
    assert re.search("'/nobody'.*/alone", refused.value.response.json()["error"])


class Rendered:
    """A session in which the app has made a button of its own and one of `alone`."""

    def __init__(self, run_url: str) -> None:
        self.api, self.hash = f"{run_url}gradio_api", secrets.token_hex(6)
        config = requests.get(f"{run_url}config", timeout=10).json()["dependencies"]
        (render,) = (one["id"] for one in config if one["render_id"] is not None)
        self.join(render, 1)
        with self.stream() as stream:
            assert any(b"process_completed" in line for line in stream.iter_lines())
        first = max(one["id"] for one in config) + 1
        self.numbers = {kind: first + n for n, kind in enumerate(MADE)}

    def join(self, fn_index: int, *data: Any) -> str:
        body = {"data": data, "fn_index": fn_index, "session_hash": self.hash}
        answer = requests.post(f"{self.api}/queue/join", json=body, timeout=10)
        answer.raise_for_status()
        return str(answer.json()["event_id"])

    def press(self, kind: str) -> str:
        return self.join(self.numbers[kind], kind)

    def stream(self) -> requests.Response:
        url = f"{self.api}/queue/data?session_hash={self.hash}"
        return requests.get(url, stream=True, timeout=30)

    def messages(self, event_id: str) -> Iterator[dict[str, Any]]:
        """What it is told of this event, to its end."""
        with self.stream() as stream:
            for line in stream.iter_lines():
                message = json.loads(line[5:]) if line.startswith(b"data:") else {}
                if message.get("event_id") == event_id:
                    yield message
                if message.get("msg") == "process_completed":
                    return


def let_go_of_made(work: Work) -> None:
    for kind in MADE:
        work.client.predict(kind, OPEN, api_name="/let_go")
    wait_until(lambda: not work.inside() and not work.queue()["running"], "all have ended")
    for kind in MADE:
        work.client.predict(kind, SHUT, api_name="/let_go")


def test_what_a_render_makes_is_together_and_a_known_function_is_limited_as_ever(
    process_platform: Platform, work: Work
) -> None:
    """Two sessions, each with a function of its own making and a button of `alone`."""
    for session in [Rendered(process_platform.run_url(SPACE)) for _ in range(2)]:
        for kind in MADE:
            session.press(kind)
    work.settles(1, made=2, known=1)
    let_go_of_made(work)
    assert work.client.predict(api_name="/look_back")["known"] == 1


def test_an_event_made_of_a_known_function_waits_in_the_line_of_its_group_and_hears_its_place(
    process_platform: Platform, work: Work
) -> None:
    work.start("alone")
    work.settles(0, alone=1)
    time.sleep(SHORT_S)  # a long call: none is sent ahead of its turn, so that both wait in line
    work.client.predict("alone", OPEN, api_name="/let_go")
    for _ in range(3):  # as many as it takes to promise a time
        work.client.predict("alone", api_name="/alone")
    work.client.predict("alone", SHUT, api_name="/let_go")
    work.start("alone", "alone")
    wait_until(lambda: work.queue()["pending"] == 1, "one waits in line")
    session = Rendered(process_platform.run_url(SPACE))
    event_id = session.press("known")
    wait_until(lambda: work.queue()["pending"] == 2, "both wait in line")
    assert work.inside() == {"alone": 1}
    lines = {one["group"]: one["pending"] for one in work.queue()["lines"]}
    assert lines["/alone"] == 2
    messages = session.messages(event_id)
    place = next(messages)
    assert (place["msg"], place["rank"], place["queue_size"]) == ("estimation", 1, 2)
    assert place["rank_eta"] is not None
    work.client.predict("known", OPEN, api_name="/let_go")
    work.let_go()
    assert [message["msg"] for message in messages][-1] == "process_completed"
    work.client.predict("known", SHUT, api_name="/let_go")
