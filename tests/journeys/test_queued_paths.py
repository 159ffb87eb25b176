"""Queued paths of a Docker Space: a request waits its turn, and the answer is the container's own."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any
from uuid import uuid4

import pytest
import requests

from tests.platform_server import APPS, Platform, engine_answers
from tests.waiting import wait_until

pytestmark = pytest.mark.docker
SPACE = "alice/paths"
ASYNC = {"Prefer": "respond-async"}


class Paths:
    """The Space, and what its container says of itself by paths that do not queue."""

    def __init__(self, platform: Platform, token: str) -> None:
        self.platform, self.token = platform, token
        self.url = platform.run_url(SPACE).rstrip("/")
        self.http = requests.Session()

    def log(self) -> dict[str, Any]:
        value: dict[str, Any] = self.http.get(f"{self.url}/log", timeout=30).json()
        return value

    def open(self, door: str) -> None:
        assert self.http.get(f"{self.url}/open?door={door}", timeout=30).text == "opened"

    def ask(self, path: str, **options: Any) -> requests.Response:
        method = options.pop("method", "POST")
        return requests.request(method, f"{self.url}{path}", timeout=60, **options)

    def at(self, answer: requests.Response) -> str:
        """Where to ask for a request that was answered 202."""
        assert answer.status_code == 202, answer.text
        return f"{self.platform.url}{answer.headers['Location']}"

    def ends(self, place: str) -> requests.Response:
        """The answer at this place, once it is one."""
        found: list[requests.Response] = []

        def look() -> bool:
            found.append(requests.get(place, timeout=30))
            return found[-1].status_code != 202

        wait_until(look, "the request ended", timeout_s=60)
        return found[-1]

    def pending(self) -> int:
        return int(self.platform.queue(SPACE, self.token)["pending"])


@pytest.fixture(scope="module")
def space(platform: Platform, alice: str) -> Paths:
    if not engine_answers():
        pytest.skip("no Docker engine answers")
    assert platform.push(SPACE, alice, APPS / "docker_paths", sdk="docker") == "RUNNING"
    return Paths(platform, alice)


@pytest.fixture
def paths(space: Paths) -> Iterator[Paths]:
    """The Space with nothing in its queue and its settings as they were."""
    yield space
    space.platform.queue(SPACE, space.token, concurrency_count=1, max_size=None, api_open=True)


@pytest.fixture
def busy(paths: Paths) -> Iterator[Callable[[], None]]:
    """A request that runs until `busy()` is called, or the test ends; how long others take is known."""
    for _ in range(3):
        assert paths.ask("/predict").status_code == 200
    door = uuid4().hex
    place = paths.at(paths.ask(f"/predict?door={door}&name=first", headers=ASYNC))
    wait_until(lambda: requests.get(place, timeout=30).json()["state"] == "running", "it runs")
    wait_until(lambda: "first" in paths.log()["order"], "it is in the container")
    with ExitStack() as once:
        once.callback(paths.ends, place)
        once.callback(paths.open, door)
        yield once.close


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_the_answer_is_the_containers_own(paths: Paths, method: str) -> None:
    sent = bytes(range(256)) * 5
    answer = paths.ask("/models/a%20b:run?status=418&x=1", method=method, data=sent)
    assert answer.status_code == 418
    assert answer.headers["Content-Type"] == "application/x-told"
    assert answer.headers["X-Own"] == "one, two"
    told, _, body = answer.content.partition(b"\n")
    assert json.loads(told)["method"] == method
    assert json.loads(told)["path"] == "/models/a%20b:run?status=418&x=1"
    assert body == sent


def test_no_more_run_at_once_than_the_owner_allows(paths: Paths) -> None:
    for allowed in (1, 3):
        paths.platform.queue(SPACE, paths.token, concurrency_count=allowed)
        assert paths.ask("/predict").status_code == 200
        with ThreadPoolExecutor(12) as pool:
            asked = [pool.submit(paths.ask, "/predict?s=0.05", data=b"x") for _ in range(12)]
            assert {one.result().status_code for one in asked} == {200}
        assert paths.log()["most"] == allowed


def test_who_came_first_is_served_first_and_told_the_place(paths: Paths, busy: Callable[[], None]) -> None:
    names = [uuid4().hex for _ in range(4)]
    asked = [paths.ask(f"/predict?name={name}", headers=ASYNC) for name in names]
    assert [answer.json()["position"] for answer in asked] == [0, 1, 2, 3]
    assert {answer.headers["Preference-Applied"] for answer in asked} == {"respond-async"}
    place = requests.get(paths.at(asked[2]), timeout=30)
    assert place.status_code == 202
    assert (place.json()["state"], place.json()["position"], place.json()["size"]) == ("pending", 2, 4)
    assert 0 <= place.json()["eta"] <= place.json()["eta_max"]
    busy()
    answers = [paths.ends(paths.at(answer)) for answer in asked]
    assert {answer.status_code for answer in answers} == {200}
    assert [json.loads(answer.content)["prefer"] for answer in answers] == [None] * 4
    assert paths.log()["order"][-4:] == names
    again = requests.get(paths.at(asked[0]), timeout=30)
    assert again.content == answers[0].content


def test_one_that_waits_can_be_cancelled(paths: Paths, busy: Callable[[], None]) -> None:
    name = uuid4().hex
    place = paths.at(paths.ask(f"/predict?name={name}", headers=ASYNC))
    assert requests.delete(place, timeout=30).status_code == 200
    gone = requests.get(place, timeout=30)
    assert (gone.status_code, gone.json()["error"]) == (410, "This request was cancelled.")
    busy()
    assert paths.ask("/predict").status_code == 200
    assert name not in paths.log()["order"]
    assert requests.get(f"{place[:-4]}0000", timeout=30).status_code == 404


def test_one_that_runs_keeps_its_place_though_it_was_cancelled(paths: Paths) -> None:
    door, name = uuid4().hex, uuid4().hex
    place = paths.at(paths.ask(f"/predict?door={door}", headers=ASYNC))
    wait_until(lambda: requests.get(place, timeout=30).json()["state"] == "running", "it runs")
    assert requests.delete(place, timeout=30).status_code == 200
    assert paths.ends(place).status_code == 410
    following = paths.at(paths.ask(f"/predict?name={name}", headers=ASYNC))
    assert requests.get(following, timeout=30).json()["state"] == "pending"
    paths.open(door)
    assert paths.ends(following).status_code == 200
    assert requests.delete(following, timeout=30).status_code == 409


def test_who_hangs_up_gives_the_place_away(paths: Paths, busy: Callable[[], None]) -> None:
    name = uuid4().hex
    with socket.create_connection(("127.0.0.1", paths.platform.port)) as visitor:
        head = f"POST /run/{SPACE}/predict?name={name} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0"
        visitor.sendall(f"{head}\r\n\r\n".encode())
        wait_until(lambda: paths.pending() == 1, "it waits")
    wait_until(lambda: paths.pending() == 0, "its place is given away")
    busy()
    assert paths.ask("/predict").status_code == 200
    assert name not in paths.log()["order"]


def test_a_full_queue_refuses_and_says_when_to_come_back(paths: Paths, busy: Callable[[], None]) -> None:
    paths.platform.queue(SPACE, paths.token, max_size=1)
    waiting = paths.at(paths.ask("/predict", headers=ASYNC))
    for headers in ({}, ASYNC):
        refused = paths.ask("/predict", headers=headers)
        assert refused.status_code == 503
        assert refused.json()["code"] == "queue.full"
        assert int(refused.headers["Retry-After"]) >= 1
    busy()
    assert paths.ends(waiting).status_code == 200


def test_a_closed_api_lets_only_the_page_in(paths: Paths) -> None:
    paths.platform.queue(SPACE, paths.token, api_open=False)
    refused = paths.ask("/predict")
    assert (refused.status_code, refused.json()["code"]) == (403, "queue.api_closed")
    host = f"alice-paths.localhost:{paths.platform.port}"
    shown = requests.get(f"{paths.platform.url}/{SPACE}", timeout=30).text
    visit = shown.partition("/?__visit=")[2].partition('"')[0]
    assert visit
    page = {"Host": host, "Referer": f"http://{host}/?__visit={visit}"}
    url = f"{paths.platform.url}/predict"
    assert requests.post(url, headers=page, data=b"by the page", timeout=60).content.endswith(b"by the page")
    strange = {**page, "Referer": f"http://elsewhere.localhost/?__visit={visit}"}
    assert requests.post(url, headers=strange, timeout=60).status_code == 403


@pytest.mark.parametrize(
    "spelling",
    ["/predict/", "//predict", "/Predict", "/predict%2f", "/%2570redict", "/predict;a=1", "/models//"],
)  # fmt: skip
def test_no_spelling_slips_past_the_queue(paths: Paths, spelling: str) -> None:
    before = paths.log()["order"]
    url = f"http://127.0.0.1:{paths.platform.port}/run/{SPACE}{spelling}"
    request = requests.Request("POST", url).prepare()
    request.url = url  # as it is written here
    answer = requests.Session().send(request, timeout=60)
    if spelling == "/models//":  # below a queued path: it is one
        assert answer.status_code == 200
    else:
        assert answer.status_code == 404
        assert paths.log()["order"] == before


def test_no_other_kind_of_request_slips_past_the_queue(paths: Paths, busy: Callable[[], None]) -> None:
    before = paths.log()["order"]
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    upgrade["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZQ=="
    host = {"Host": f"alice-paths.localhost:{paths.platform.port}"}
    for spelling in ("predict", "predict/"):
        url = f"{paths.platform.url}/{spelling}"
        assert requests.get(url, headers={**host, **upgrade}, timeout=60).status_code >= 400
    head = paths.at(paths.ask("/predict", method="HEAD", headers=ASYNC))
    assert requests.get(head, timeout=30).json()["state"] == "pending"
    asked = requests.options(f"{paths.platform.url}/predict", headers=host, timeout=60)
    assert asked.status_code == 501, "the container's own answer, and at once"
    assert paths.log()["order"] == before
    busy()
    assert paths.ends(head).status_code == 200


def test_a_body_that_is_too_large_is_told_the_limit(paths: Paths) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(11):
            yield bytes(1024 * 1024)

    for data in (bytes(11 * 1024 * 1024), endless()):
        refused = paths.ask("/predict", data=data)
        assert (refused.status_code, refused.json()["code"]) == (413, "queue.body_too_large")
        assert "10 MiB" in refused.json()["error"]


def test_an_answer_that_is_too_large_is_told_the_limit(paths: Paths) -> None:
    assert len(paths.ask(f"/predict?large={20 * 2**20}").content) == 20 * 2**20
    refused = paths.ask(f"/predict?large={33 * 2**20}")
    assert refused.status_code == 502
    assert "32 MiB" in refused.json()["error"]


def test_the_same_key_runs_once_for_an_account(paths: Paths) -> None:
    name = uuid4().hex
    headers = {"Authorization": f"Bearer {paths.token}", "Idempotency-Key": name}
    answers = [paths.ask(f"/predict?name={name}", headers=headers).content for _ in range(2)]
    assert answers[0] == answers[1]
    assert paths.log()["order"].count(name) == 1
    other = paths.ask(f"/predict?name={name}&other=1", headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "queue.key_reused")


def test_what_is_not_named_passes_and_statistics_name_the_path(paths: Paths) -> None:
    host = {"Host": f"alice-paths.localhost:{paths.platform.port}", "Accept": "text/html"}
    assert "Queued paths" in requests.get(f"{paths.platform.url}/", headers=host, timeout=30).text
    answer = requests.get(
        f"{paths.platform.url}/api/spaces/{SPACE}/statistics",
        headers={"Authorization": f"Bearer {paths.token}"}, timeout=30,
    )  # fmt: skip
    assert {"/predict", "/models/*"} <= {function["api_name"] for function in answer.json()["functions"]}


def test_a_request_that_kills_the_app_is_told_so_and_those_behind_it_are_served(paths: Paths) -> None:
    deadly = f"/predict?die={uuid4().hex}"
    fatal = paths.at(paths.ask(deadly, headers=ASYNC))
    behind = paths.at(paths.ask("/predict", headers=ASYNC))
    answer = paths.ends(fatal)
    assert (answer.status_code, answer.json()["code"]) == (502, "queue.no_answer")
    assert "crashed the demo twice" in answer.json()["error"]
    assert paths.ends(behind).status_code == 200
    again = paths.ask(deadly)
    assert (again.status_code, again.json()["code"]) == (422, "queue.poison_input")
