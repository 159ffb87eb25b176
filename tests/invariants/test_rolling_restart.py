"""A rolling restart under load: no request fails, nobody is refused."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
import requests
from gradio_client import Client

from tests.platform_server import APPS, WEB, Platform
from tests.waiting import wait_until

SPACE = "alice/rolls"
LONG_S = 45.5
PAUSE_S = 0.25  # of a caller between two requests
SHORT_PAUSE_S = 0.02  # the same, of callers who are to meet one moment
NOT_SO_LONG_S = 15.5  # the second time; longer than the web process needs to be replaced
PARTS = {"web": WEB, "build worker": "build@", "node worker": "manage.py\0node", "beat": "beat-schedule"}


@pytest.fixture(scope="module", params=["process_platform", "uvicorn_platform"])
def here(request: pytest.FixtureRequest) -> Platform:
    """A platform whose web is served by Daphne, and one with uvicorn."""
    found: Platform = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module")
def space(here: Platform) -> str:
    assert here.push(SPACE, here.token("alice"), APPS / "slow") == "RUNNING"
    here.queue(SPACE, here.token("alice"), concurrency_count=4)
    return SPACE


@dataclass
class Load:
    """Callers that go on until they are told to stop, and what became of every one of their requests."""

    platform: Platform
    stopping: threading.Event = field(default_factory=threading.Event)
    done: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    threads: list[threading.Thread] = field(default_factory=list)

    def clients(self, count: int, seconds: float) -> None:
        """Official clients, each in a loop, whose calls take so long."""
        for _ in range(count):
            client = Client(self.platform.run_url(SPACE), verbose=False)
            self._start("events", lambda client=client: self._call(client, seconds))

    def requests(self) -> None:
        """One connection for each request, and one that is kept for all."""
        page = f"{self.platform.url}/{SPACE}"
        self._start("requests", lambda: requests.get(page, timeout=60).raise_for_status())
        session = requests.Session()
        self._start("kept", lambda: session.get(page, timeout=60).raise_for_status())

    @staticmethod
    def _call(client: Client, seconds: float) -> None:
        assert client.predict(seconds, api_name="/slow") == f"slept {seconds}"

    def _start(self, what: str, ask: object) -> None:
        def forever() -> None:
            assert callable(ask)
            while not self.stopping.is_set():
                try:
                    ask()
                    self.done[what] += 1
                    self.stopping.wait(PAUSE_S)
                except Exception as error:
                    self.failed.append(f"{what}: {error!r}")

        thread = threading.Thread(target=forever, daemon=True)
        thread.start()
        self.threads.append(thread)

    def more(self) -> None:
        """Wait until each kind was answered again."""
        before = dict(self.done)
        wait_until(lambda: all(self.done[what] > before[what] for what in before), "the load goes on", 60)

    def end(self) -> None:
        self.stopping.set()
        for thread in self.threads:
            thread.join(60)


@pytest.fixture
def load(here: Platform, space: str) -> Iterator[Load]:
    load = Load(here)
    yield load
    load.end()


def renew(platform: Platform) -> None:
    """Ask for a rolling restart, and wait until it is over."""
    assert platform.process is not None
    before = platform.log().count("all processes are new")
    os.kill(platform.process.pid, signal.SIGHUP)
    wait_until(
        lambda: platform.log().count("all processes are new") > before,
        f"renewed:\n{platform.log()[-2000:]}",
        180,
    )


def test_no_request_fails_while_every_process_is_replaced_under_load(here: Platform, load: Load) -> None:
    before = {part: set(here.pids(line)) for part, line in PARTS.items()}
    assert all(before.values()), before
    # Runs on in its container while one worker leaves it and the next takes it up.
    long_s = LONG_S if here.web_server == "daphne" else NOT_SO_LONG_S
    long = Client(here.run_url(SPACE), verbose=False).submit(long_s, api_name="/slow")
    load.clients(3, 0.3)
    load.requests()
    wait_until(lambda: {"events", "requests", "kept"} <= set(load.done), "the load has begun", 60)
    renew(here)
    load.more()
    load.end()
    assert load.failed == []
    assert long.result(timeout=120) == f"slept {long_s}"
    after = {part: set(here.pids(line)) for part, line in PARTS.items()}
    assert all(after.values()), after
    wait_until(
        lambda: not any(before[part] & set(here.pids(line)) for part, line in PARTS.items()),
        "the old processes ended",
        60,
    )


def test_a_killed_web_process_refuses_no_connection(here: Platform, space: str) -> None:
    """Who is being answered when it dies is cut; who comes while there is none waits."""
    url = f"{here.url}/healthz"
    refused: list[str] = []
    answered: list[tuple[float, float]] = []
    stopping = threading.Event()

    def ask() -> None:
        while not stopping.wait(SHORT_PAUSE_S):
            began = time.monotonic()
            try:
                requests.get(url, timeout=60)
                answered.append((began, time.monotonic()))
            except requests.ConnectionError as error:
                if "refused" in str(error):
                    refused.append(str(error))

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(answered) > 20, "requests are answered")
    (old,) = here.pids(WEB)
    os.kill(old, signal.SIGKILL)
    killed = time.monotonic()
    wait_until(lambda: any(began > killed for began, _ in answered), "answered again", 60)
    stopping.set()
    for thread in threads:
        thread.join(60)
    assert refused == []
    assert here.pids(WEB) != [old]
