"""Each way a call ends, and then what its client does next, beside the same app run by itself: every answer
is its own call's, and nothing that is over is told again."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client

from tests.platform_server import APPS, Platform, free_port
from tests.raw_client import Message, RawSession, is_end
from tests.waiting import wait_until

SPACE = "alice/streams"
FOREVER = 100_000  # ticks

End = Callable[[RawSession], list[Any]]


@pytest.fixture(scope="module")
def space(process_platform: Platform) -> str:
    assert process_platform.push(SPACE, process_platform.token("alice"), APPS / "streams") == "RUNNING"
    return process_platform.run_url(SPACE)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    env = {**os.environ, "GRADIO_SERVER_PORT": str(port), "GRADIO_ANALYTICS_ENABLED": "False"}
    log = (tmp_path_factory.mktemp("alone") / "log").open("wb")
    app = subprocess.Popen(
        [sys.executable, str(APPS / "streams" / "app.py")], env=env, stdout=log, stderr=log
    )
    url = f"http://127.0.0.1:{port}/"
    try:
        wait_until(lambda: _answers(url), "the app is up by itself", 90)
        yield url
    finally:
        app.terminate()
        app.wait(30)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}config").status_code == 200
    except httpx.TransportError:
        return False


class Nth:
    """True at the n-th step of a generator."""

    def __init__(self, n: int, then: Callable[[], Any] | None = None) -> None:
        self.left, self.then = n, then

    def __call__(self, message: Message) -> bool:
        if message["msg"] == "process_generating":
            self.left -= 1
            if self.left == 0 and self.then is not None:
                self.then()
        return self.left <= 0 and self.then is None


# --- the ways to end ------------------------------------------------------------------------------------


def normal_end(session: RawSession) -> list[Any]:
    session.join("say", "first")
    return session.listen()


def error(session: RawSession) -> list[Any]:
    session.join("fail")
    return session.listen()


def cancelled(session: RawSession) -> list[Any]:
    event = session.join("ticks", FOREVER)
    # How many steps come before its end, chance decides.
    told = session.listen(Nth(2, lambda: session.cancel(event)))
    return [told[0], *told[-2:]]


def hung_up_on_the_end(session: RawSession) -> list[Any]:
    session.join("say", "first")
    return session.listen(is_end)


def hung_up_on_an_error(session: RawSession) -> list[Any]:
    session.join("fail")
    return session.listen(is_end)


def hung_up_on_a_cancelled_end(session: RawSession) -> list[Any]:
    event = session.join("ticks", FOREVER)
    step = Nth(2, lambda: session.cancel(event))
    session.listen(lambda message: step(message) or is_end(message))
    return []


def hung_up_amid(session: RawSession) -> list[Any]:
    session.join("ticks", FOREVER)
    session.listen(Nth(2))
    return []


def hung_up_amid_and_cancelled(session: RawSession) -> list[Any]:
    event = session.join("ticks", FOREVER)
    session.listen(Nth(2))
    session.cancel(event)
    return []


OVER = [normal_end, error, cancelled, hung_up_on_the_end, hung_up_on_an_error, hung_up_on_a_cancelled_end]
AMID = [hung_up_amid, hung_up_amid_and_cancelled]


def steps(session: RawSession, end: End) -> list[Any]:
    """What is told of a call that ends so, and of the calls after it."""
    told = [end(session)]
    for word in ("second", "third"):  # read to the stream's end
        session.join("say", word)
        told.append(session.listen())
    told.append([session.say(word) for word in ("fourth", "fifth", "sixth")])
    told.append(end(session))
    told.append(session.say("last"))
    return told


@pytest.mark.parametrize("end", OVER)
def test_the_next_calls_of_the_session_are_told_as_by_the_app_itself(
    space: str, alone: str, end: End
) -> None:
    told = steps(RawSession(space), end)
    assert told == steps(RawSession(alone), end)
    assert told[-1] == ["said last"]


@pytest.mark.parametrize("end", AMID)
def test_who_hangs_up_amid_a_call_and_makes_another_hears_of_that_one_only(space: str, end: End) -> None:
    """By itself, Gradio never ends the stream of such a session."""
    told = steps(RawSession(space), end)
    assert [[message[2] for message in stream] for stream in told[1:3]] == [
        [None, ["said second"], None],
        [None, ["said third"], None],
    ]
    assert told[3:] == [[["said fourth"], ["said fifth"], ["said sixth"]], [], ["said last"]]


@pytest.mark.parametrize("end", [*OVER, *AMID])
def test_another_sessions_next_call_hears_nothing_of_it(space: str, end: End) -> None:
    end(RawSession(space))
    other = RawSession(space)
    other.join("say", "other")
    assert [told[:3] for told in other.listen()] == [
        ("process_starts", 0, None),
        ("process_completed", 0, ["said other"]),
        ("close_stream", None, None),
    ]


@pytest.mark.parametrize("end", OVER)
def test_who_cancels_what_is_over_changes_nothing(space: str, alone: str, end: End) -> None:
    for root in (space, alone):
        session = RawSession(root)
        end(session)
        assert session.cancel(session.calls[-1]) == 200
        assert session.say("next") == ["said next"]


@pytest.mark.parametrize("end", [normal_end, hung_up_on_the_end])
def test_who_listens_before_the_next_call_hears_that_call_only(space: str, alone: str, end: End) -> None:
    told = {}
    for root in (space, alone):
        session = RawSession(root)
        end(session)
        session.listening.clear()
        thread = threading.Thread(target=lambda s=session, r=root: told.update({r: s.listen()}))
        thread.start()
        assert session.listening.wait(30)
        session.join("say", "next")
        thread.join(30)
        assert not thread.is_alive()
    assert told[space] == told[alone]


def test_who_lost_the_network_amid_a_call_hears_the_rest(space: str) -> None:
    session = RawSession(space)
    session.join("ticks", 12)
    session.listen(Nth(2))
    rest = session.listen()
    assert [message[0] for message in rest[-2:]] == ["process_completed", "close_stream"]
    assert rest[-2][2] == [11], "the last step is whole"
    assert all(call in (0, None) for _, call, *_ in rest)


def test_the_stream_ends_with_the_last_event(space: str) -> None:
    """In one piece, so that whoever answers the one has heard the other."""
    session = RawSession(space)
    for word in ("one", "two"):
        session.join("say", word)
    with session.http.stream(
        "GET", f"{space}gradio_api/queue/data", params={"session_hash": session.hash}
    ) as answer:
        chunks = list(answer.iter_raw())
    assert b"said two" in chunks[-1]
    assert chunks[-1].endswith(b'data: {"msg":"close_stream","event_id":null}\n\n')


# --- gradio_client --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def client(space: str) -> Client:
    return Client(space, verbose=False, analytics_enabled=False)


def client_end(client: Client) -> None:
    assert client.predict("first", api_name="/say") == "said first"


def client_error(client: Client) -> None:
    with pytest.raises(Exception, match="no such thing"):
        client.predict(api_name="/fail")


def client_cancel(client: Client) -> None:
    job = client.submit(FOREVER, api_name="/ticks")
    wait_until(lambda: len(job.outputs()) >= 2, "it ticks")
    job.cancel()


@pytest.mark.parametrize("end", [client_end, client_error, client_cancel])
def test_gradio_clients_next_call_gets_its_own_answer(client: Client, end: Callable[[Client], None]) -> None:
    for word in ("one", "two", "three"):
        end(client)
        assert client.predict(word, api_name="/say") == f"said {word}"


@pytest.mark.parametrize("end", [client_end, client_error])
def test_gradio_clients_next_call_in_another_session_gets_its_own_answer(
    client: Client, end: Callable[[Client], None]
) -> None:
    """It has one stream for all its sessions, and must have heard of the end of that."""
    for word in ("one", "two", "three"):
        end(client)
        client.reset_session()
        assert client.predict(word, api_name="/say") == f"said {word}"


def test_of_calls_made_all_at_once_in_one_session_each_gets_its_own_answer(client: Client) -> None:
    for _ in range(5):
        jobs = {word: client.submit(word, api_name="/say") for word in map(str, range(20))}
        assert [job.result(timeout=60) for job in jobs.values()] == [f"said {word}" for word in jobs]


# --- @gradio/client -------------------------------------------------------------------------------------


def test_the_javascript_clients_next_call_gets_its_own_answer(space: str) -> None:
    from tests.compat.conftest import node_modules

    script = Path(__file__).parent / "ends.mjs"
    folder = node_modules()
    (folder / script.name).write_text(script.read_text())
    done = subprocess.run(
        ["node", script.name, space], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == ["end", "error", "cancel", "cancel-one-of-two", "at-once"]
