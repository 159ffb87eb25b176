"""The main job: push with the official client, see it run, call it with the unmodified gradio_client."""

from __future__ import annotations

import concurrent.futures
import os
import time
from pathlib import Path

import pytest
import requests
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from tests.platform_server import APPS, Platform
from tests.waiting import wait_until

SPACE = "alice/everything"


@pytest.fixture(scope="module")
def space(platform: Platform, alice: str) -> str:
    answer = platform.hf(alice, "upload", SPACE, str(APPS / "everything"), ".", "--repo-type", "space")
    assert answer.returncode == 0, answer.stderr
    assert platform.settled(SPACE, alice) == "RUNNING", platform.hf(alice, "spaces", "logs", SPACE).stdout
    return SPACE


@pytest.fixture
def client(platform: Platform, space: str) -> Client:
    return Client(platform.run_url(space), verbose=False)


def test_the_official_client_finds_the_space_by_its_name(
    platform: Platform, space: str, alice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = platform.api(alice).space_info(space).host
    assert host == platform.run_url(space)
    assert Client(host, verbose=False).predict("bob", api_name="/echo") == "hello bob"


def test_hard_coded_launch_arguments_do_not_matter(client: Client) -> None:
    assert client.predict("bob", api_name="/echo") == "hello bob"


def test_a_generator_streams_every_step(client: Client) -> None:
    assert list(client.submit(4, api_name="/count_up")) == ["x", "xx", "xxx", "xxxx"]


def test_state_lives_between_the_calls_of_one_session_only(platform: Platform, client: Client) -> None:
    assert [client.predict(api_name="/remember") for _ in range(3)] == [1, 2, 3]
    assert Client(platform.run_url(SPACE), verbose=False).predict(api_name="/remember") == 1


def test_files_and_images_go_in_and_out(client: Client, tmp_path: Path) -> None:
    picture = tmp_path / "in.png"
    Image.new("RGB", (16, 9), "red").save(picture)
    out = client.predict(handle_file(str(picture)), api_name="/image")
    assert Image.open(out).size == (16, 9)
    blob = tmp_path / "blob.bin"
    blob.write_bytes(os.urandom(1_000_000))
    assert client.predict(handle_file(str(blob)), api_name="/size") == 1_000_000


def test_batch_functions_are_called_with_what_waits(
    platform: Platform, space: str, alice: str, client: Client
) -> None:
    assert platform.queue(space, alice)["batch"] is True
    jobs = [client.submit(f"t{n}", api_name="/shout") for n in range(9)]
    answers = [job.result(timeout=30) for job in jobs]
    assert [a.split()[0] for a in answers] == [f"T{n}" for n in range(9)]
    assert max(int(a.split()[-1]) for a in answers) > 1


def test_one_bad_input_does_not_fail_its_batch(client: Client) -> None:
    jobs = [client.submit(t, api_name="/shout") for t in ("a", "poison", "b", "c")]
    results = []
    for job in jobs:
        try:
            results.append(job.result(timeout=30).split()[0])
        except AppError:
            results.append("failed")
    assert results == ["A", "failed", "B", "C"]


def test_an_error_of_the_app_reaches_the_client_with_its_text(client: Client) -> None:
    with pytest.raises(AppError, match="no such thing as unicorns"):
        client.predict("unicorns", api_name="/fail")
    with pytest.raises(AppError):
        client.predict("x", api_name="/bug")


def test_progress_and_position_are_told_live(client: Client) -> None:
    jobs = [client.submit(f"s{n}", api_name="/slow") for n in range(3)]
    wait_until(
        lambda: {j.status().rank for j in jobs if j.status().code.name == "IN_QUEUE"} == {0, 1},
        "two wait at positions 0 and 1",
    )
    assert [job.result(timeout=30) for job in jobs] == ["s0", "s1", "s2"]
    job = client.submit("p", api_name="/step")
    seen = set()
    while not job.done():
        if data := job.status().progress_data:
            seen.add(data[0].index)
        time.sleep(0.02)
    assert job.result() == "p"
    assert len(seen) >= 2


def test_a_running_generator_is_cancelled_and_its_place_is_free_again(client: Client) -> None:
    job = client.submit(api_name="/forever")
    wait_until(lambda: len(job.outputs()) >= 2, "it runs")
    job.cancel()
    assert client.predict("next", api_name="/echo") == "hello next"


def test_forty_calls_at_once_in_one_session_all_come_back(client: Client) -> None:
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(lambda n: client.predict(str(n), api_name="/echo"), range(40)))
    assert answers == [f"hello {n}" for n in range(40)]


def test_the_simple_call_api(platform: Platform, space: str) -> None:
    base = f"{platform.run_url(space)}gradio_api/call"
    for path, body in (("count_up", {"data": [3]}), ("v2/echo", {"text": "curl"})):
        event_id = requests.post(f"{base}/{path}", json=body, timeout=10).json()["event_id"]
        name = path.rpartition("/")[2]
        lines = requests.get(f"{base}/{name}/{event_id}", timeout=30).text.split("\n\n")
        assert lines[-2].startswith("event: complete")
    assert lines[-2].endswith('data: ["hello curl"]')


def test_direct_runs_wait_in_the_same_queue(platform: Platform, space: str) -> None:
    url = f"{platform.run_url(space)}gradio_api/run/echo"
    assert requests.post(url, json={"data": ["direct"]}, timeout=30).json()["data"] == ["hello direct"]


def test_a_code_only_push_installs_nothing_and_fails_no_visitor(
    platform: Platform, space: str, alice: str, client: Client
) -> None:
    code = (APPS / "everything" / "app.py").read_text().replace("no such thing", "sorry, no such thing")
    platform.api(alice).upload_file(
        path_or_fileobj=code.encode(), path_in_repo="app.py", repo_id=space, repo_type="space"
    )
    answers: list[str] = []

    def updated() -> bool:
        with pytest.raises(AppError) as told:
            Client(platform.run_url(space), verbose=False).predict("x", api_name="/fail")
        answers.append(str(told.value))
        return answers[-1] == "sorry, no such thing as x"

    wait_until(updated, "the new version serves", timeout_s=90)
    assert set(answers) <= {"no such thing as x", "sorry, no such thing as x"}
    log = platform.hf(alice, "spaces", "logs", space, "--build").stdout
    assert "Building alice/everything" in log
    assert "Downloading" not in log


def test_a_crashed_container_comes_back_and_the_crasher_is_told(
    platform: Platform, space: str, alice: str
) -> None:
    crasher = Client(platform.run_url(space), verbose=False)
    innocent = Client(platform.run_url(space), verbose=False)
    crash = crasher.submit("boom", api_name="/crash")
    waiting = [innocent.submit(f"w{n}", api_name="/echo") for n in range(3)]
    with pytest.raises(AppError, match="crashed the demo twice"):
        crash.result(timeout=90)
    assert [job.result(timeout=90) for job in waiting] == ["hello w0", "hello w1", "hello w2"]
    assert platform.settled(space, alice) == "RUNNING"
    config = f"{platform.run_url(space)}config"
    wait_until(lambda: requests.get(config, timeout=30).ok, "its container answers again", timeout_s=90)


def test_unknown_and_foreign_events_are_refused(platform: Platform, space: str) -> None:
    base = f"{platform.run_url(space)}gradio_api"
    assert requests.get(f"{base}/call/echo/{'0' * 32}", timeout=10).status_code == 404
    join = {"data": ["x"], "fn_index": 1, "session_hash": "mine"}
    event_id = requests.post(f"{base}/queue/join", json=join, timeout=10).json()["event_id"]
    stolen = requests.post(
        f"{base}/cancel", json={"session_hash": "theirs", "event_id": event_id, "fn_index": 1}, timeout=10
    )
    assert stolen.status_code == 404
    for bad in (b"{", b"[]", b"{}", b'{"session_hash":"s"}', b'{"session_hash":"s","fn_index":"x"}'):
        answer = requests.post(f"{base}/queue/join", data=bad, timeout=10)
        assert answer.status_code == 400
        assert answer.json()["detail"]


@pytest.mark.parametrize(
    "path", ["%2e%2e/etc/passwd", "a/%2e%2e/b", "__spaceport__/report", "a%5cb", "a%00b"]
)
def test_paths_that_lead_astray_are_refused(platform: Platform, space: str, path: str) -> None:
    assert requests.get(f"{platform.run_url(space)}{path}", timeout=10).status_code == 400


def test_programs_door_serves_no_page_and_takes_no_cookie(platform: Platform, space: str) -> None:
    page = requests.get(platform.run_url(space), headers={"Accept": "text/html"}, timeout=10)
    assert page.status_code == 406
    config = requests.get(f"{platform.run_url(space)}config", timeout=10)
    assert config.json()["root"] == platform.run_url(space).rstrip("/")
    assert "set-cookie" not in config.headers
