"""Real processes killed and frozen in the middle of a call: one platform whose node has two
workers, and an app that notes its runs in a file the platform knows nothing of."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from redis import Redis

from hardware.runtimes import shim
from queueing.messages import INTERRUPTED
from tests.chaos.ledger import overlap
from tests.invariants.workers import NODE, TwoWorkers, pid_of, two_workers
from tests.platform_server import APPS
from tests.waiting import wait_until

SPACE = "alice/faults"
CALL = "gradio_api/call/work"  # the address of its function
TIME_LIMIT_S = 30
RECLAIM_S = 20.0  # the promise, where another worker lives
BUSY_S = 10.0  # more, on a machine that is busy with other things
LOOK_S = 0.1  # between two requests of somebody who looks all the time
LONG_S = 20.0  # a call that outlives a lease
SHIM = "shim.py"  # one for each start of an app; the app may be a fork of what stays


@dataclass
class Faults:
    """The platform, and what its only app was asked and did."""

    platform: TwoWorkers
    token: str
    notes: Path

    def post(self, key: str, seconds: float, kind: str = "ok") -> requests.Response:
        return requests.post(
            f"{self.platform.run_url(SPACE)}{CALL}",
            json={"data": [str(self.notes), key, seconds, kind]},
            headers={"Authorization": f"Bearer {self.token}", "Idempotency-Key": key},
            timeout=30,
        )

    def submit(self, key: str, seconds: float, kind: str = "ok") -> str:
        answer = self.post(key, seconds, kind)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["event_id"])

    def end(self, event_id: str) -> str:
        """The event's last words, heard however late: `complete […]`, or `error …`."""
        with requests.get(
            f"{self.platform.run_url(SPACE)}{CALL}/{event_id}",
            headers={"Authorization": f"Bearer {self.token}"}, timeout=90, stream=True,
        ) as answer:  # fmt: skip
            word = ""
            for raw in answer.iter_lines():
                line = raw.decode()
                if line.startswith("event: "):
                    word = line[7:]
                elif line.startswith("data: ") and word in ("complete", "error"):
                    return f"{word} {line[6:]}"
        raise AssertionError(f"{event_id} never ended")

    def finals(self, event_id: str) -> int:
        """How many final messages the event has in its record."""
        return sum(fields[b"f"] == b"1" for fields in self.record(event_id))

    def codes(self, event_id: str) -> list[str]:
        """What the event's visitor was told by us on the way."""
        messages = [json.loads(fields[b"d"]) for fields in self.record(event_id)]
        return [message["code"] for message in messages if message.get("code")]

    def record(self, event_id: str) -> list[dict[bytes, bytes]]:
        with self.platform.valkey() as client:
            (key,) = [k for k in client.scan_iter("sp:*:msgs:*", count=1000) if _has(client, k, event_id)]
            return [fields for _, fields in client.xrange(key) if fields[b"e"].decode() == event_id]

    def starts(self, key: str) -> int:
        text = self.notes.read_text() if self.notes.exists() else ""
        return sum(line.startswith(f"start {key} ") for line in text.splitlines())

    def serving(self) -> str:
        with self.platform.valkey() as client:
            return self.platform.holder(client)

    def begun(self, key: str, seconds: float) -> tuple[str, str]:
        """An event whose call runs now, and who holds the lease."""
        event_id = self.submit(key, seconds)
        wait_until(lambda: self.starts(key), f"{key} runs")
        return event_id, wait_until(self.serving, "somebody serves")

    def begun_by(self, worker: int, key: str, seconds: float) -> tuple[str, str]:
        """The same of a worker, by its process: a dispatcher stays a moment after a short call."""
        for n in range(50):
            self.end(self.submit(f"before-{key}-{n}", 0.01))
            if (holder := self.serving()) and pid_of(holder) == worker:
                event_id, holder = self.begun(key, seconds)
                assert pid_of(holder) == worker
                return event_id, holder
            wait_until(lambda: not self.serving(), "nobody serves")
        raise AssertionError(f"{worker} never served")

    def leases(self) -> int:
        with self.platform.valkey() as client:
            return self.platform.leases(client)

    def taken_over(self, before: int) -> float:
        """Seconds until there is one more lease: a dispatcher may end at once, if the call has."""
        began = time.monotonic()
        wait_until(lambda: self.leases() > before, "it is claimed again", RECLAIM_S + 40)
        return time.monotonic() - began


def _has(client: Redis, key: bytes, event_id: str) -> bool:
    return any(fields[b"e"].decode() == event_id for _, fields in client.xrange(key))


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faults]:
    with two_workers(SPACEPORT_EVENT_TIMEOUT_S=str(TIME_LIMIT_S)) as platform:
        token = platform.token("alice")
        assert platform.push(SPACE, token, APPS / "chaos") == "RUNNING"
        yield Faults(platform, token, tmp_path_factory.mktemp("faults") / "notes")


@pytest.fixture
def second(faults: Faults) -> Iterator[int]:
    """A second worker of the node, ready."""
    pid = faults.platform.start_second()
    with faults.platform.valkey() as client:
        wait_until(lambda: _consumers(client) >= 2, "both workers listen", 60)
    yield pid
    faults.platform.stop_second()


def _consumers(client: Redis) -> int:
    """Workers that wait for messages of the node's queue."""
    waiting: list[str] = [one["cmd"] for one in client.client_list() if one["cmd"] == "brpop"]
    return len(waiting) - 1  # one of them is the build worker


@pytest.mark.usefixtures("second")
def test_a_call_whose_worker_was_killed_is_claimed_within_20_s_and_runs_once(faults: Faults) -> None:
    """The run goes on in the app; another worker takes it up."""
    event_id, holder = faults.begun("killed", LONG_S)
    leases = faults.leases()
    os.kill(pid_of(holder), signal.SIGKILL)
    assert faults.taken_over(leases) <= RECLAIM_S + BUSY_S
    assert faults.end(event_id) == 'complete ["killed done"]'
    assert faults.starts("killed") == 1
    assert faults.codes(event_id) == [INTERRUPTED]
    assert faults.finals(event_id) == 1


def test_a_frozen_worker_loses_its_call_within_20_s_and_its_late_result_is_dropped(
    faults: Faults, second: int
) -> None:
    """Both have heard the call's end when the frozen one wakes. It is the one without the node's agent, whose
    silence would mean that the node is gone."""
    event_id, holder = faults.begun_by(second, "frozen", LONG_S)
    leases = faults.leases()
    os.kill(pid_of(holder), signal.SIGSTOP)
    try:
        assert faults.taken_over(leases) <= RECLAIM_S + BUSY_S
        assert faults.end(event_id) == 'complete ["frozen done"]'
    finally:
        os.kill(pid_of(holder), signal.SIGCONT)
    assert faults.end(faults.submit("after", 0.01)) == 'complete ["after done"]'
    assert faults.starts("frozen") == 1
    assert faults.finals(event_id) == 1


def test_the_only_worker_goes_on_at_once_when_it_wakes(faults: Faults) -> None:
    event_id, holder = faults.begun("asleep", LONG_S)
    leases = faults.leases()
    os.kill(pid_of(holder), signal.SIGSTOP)
    try:
        wait_until(lambda: not faults.serving(), "its lease is over")
    finally:
        os.kill(pid_of(holder), signal.SIGCONT)
    assert faults.taken_over(leases) <= BUSY_S, "at once"
    assert faults.end(event_id) == 'complete ["asleep done"]'
    assert faults.starts("asleep") == 1
    assert faults.finals(event_id) == 1


def test_an_endless_call_ends_at_the_time_limit_and_the_next_one_runs(faults: Faults) -> None:
    """It cannot be stopped, so its container is started again."""
    before = faults.platform.pids(SHIM)
    event_id = faults.submit("endless", 0, "hang")
    assert f"Timed out after {TIME_LIMIT_S} s" in faults.end(event_id)
    assert faults.end(faults.submit("next", 0.01)) == 'complete ["next done"]'
    wait_until(lambda: not set(before) & set(faults.platform.pids(SHIM)), "another app runs", 60)
    assert faults.starts("endless") == 1


def test_a_call_whose_container_died_is_told_and_tried_again(faults: Faults) -> None:
    event_id, _ = faults.begun("died", 4)
    for pid in faults.platform.pids("spaceport_launcher"):
        os.kill(pid, signal.SIGKILL)
    assert faults.end(event_id) == 'complete ["died done"]'
    assert faults.starts("died") == 2
    assert faults.codes(event_id) == [INTERRUPTED]
    assert faults.finals(event_id) == 1


def test_ten_hints_make_one_call(faults: Faults) -> None:
    """A hint that a broker delivers again finds the lease held."""
    event_id, holder = faults.begun("hinted", 6)
    with faults.platform.valkey() as client:
        (key,) = client.scan_iter("sp:*:lease:*", count=1000)
    _, space, _, replica = key.decode().split(":")
    kwargs = {"space_id": int(space.strip("{}")), "replica_id": int(replica)}
    what = f"'queueing.tasks.drain', kwargs={kwargs}, queue='hw.cpu@{NODE}'"
    send = f"from celery import current_app\nfor _ in range(10): current_app.send_task({what})"
    faults.platform.manage("shell", "-c", send)
    assert faults.end(event_id) == 'complete ["hinted done"]'
    assert faults.starts("hinted") == 1
    assert faults.finals(event_id) == 1
    assert faults.serving() in (holder, ""), "it may be done and have let go"


def test_an_event_repeated_by_its_key_says_so(faults: Faults) -> None:
    first, again = faults.post("twice", 0.01), faults.post("twice", 0.01)
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert first.json() == again.json()
    assert faults.end(first.json()["event_id"]) == 'complete ["twice done"]'
    assert faults.starts("twice") == 1


def _load(faults: Faults, name: str, until: threading.Event, ends: list[str]) -> None:
    """One client: an event after the other, each once more where it was not accepted."""
    count = 0
    while not until.is_set():
        count += 1
        key = f"{name}-{count}"
        while (answer := faults.post(key, 0.1)).status_code != 200:
            assert answer.status_code == 503, answer.text  # never refused for what is not its fault
            if until.is_set():
                return
            time.sleep(0.1)
        ends.append(faults.end(answer.json()["event_id"]))


def _is_back(faults: Faults) -> bool:
    """Whether PostgreSQL is; while it is not, everybody is told to come again."""
    answer = requests.get(f"{faults.platform.url}/api/spaces/{SPACE}", timeout=30)
    assert answer.ok or (answer.status_code == 503 and "Retry-After" in answer.headers), answer.text
    return answer.ok


def _look(faults: Faults, until: threading.Event) -> None:
    while not until.wait(LOOK_S):
        _is_back(faults)


def _restart(faults: Faults, _goes_on: Callable[[], object]) -> None:
    pid_file = faults.platform.home / "postgres" / "postmaster.pid"
    before = pid_file.read_text().split()[0]
    os.kill(int(before), signal.SIGQUIT)
    wait_until(
        lambda: pid_file.exists() and pid_file.read_text().split()[:1] not in ([], [before]),
        "it was started again",
    )


def _standstill(faults: Faults, goes_on: Callable[[], object]) -> None:
    server = int((faults.platform.home / "postgres" / "postmaster.pid").read_text().split()[0])
    processes = [server, *shim.descendants(server)]
    try:
        for pid in processes:
            os.kill(pid, signal.SIGSTOP)
        wait_until(lambda: not _is_back(faults), "everybody is told to come again")
        goes_on()
    finally:
        for pid in processes:
            os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("fault", [_restart, _standstill])
def test_postgresql_that_is_away_under_load_fails_no_event(
    faults: Faults, fault: Callable[[Faults, Callable[[], object]], None]
) -> None:
    """What runs and what waits needs Redis alone."""
    done, ends = threading.Event(), list[str]()

    def goes_on() -> None:
        more = len(ends) + 30
        wait_until(lambda: len(ends) > more, "load goes on", 60)

    with ThreadPoolExecutor(7) as pool:
        clients = [pool.submit(_load, faults, f"{fault.__name__}{n}", done, ends) for n in range(6)]
        clients.append(pool.submit(_look, faults, done))
        try:
            wait_until(lambda: len(ends) > 10, "load runs")
            fault(faults, goes_on)
            goes_on()
        finally:
            done.set()
        for client in clients:
            client.result()
    assert all(end.startswith("complete") for end in ends), [e for e in ends if e.startswith("error")][:3]
    wait_until(lambda: _is_back(faults), "PostgreSQL has recovered", 60)


def test_settings_changed_all_the_time_are_obeyed_and_lose_nothing(faults: Faults) -> None:
    """Ten changes a second under load."""
    done, ends = threading.Event(), list[str]()
    faults.platform.queue(SPACE, faults.token, concurrency_count=1, max_size=20)
    began = faults.notes.stat().st_size
    with ThreadPoolExecutor(8) as pool:
        clients = [pool.submit(_load, faults, f"set{n}", done, ends) for n in range(8)]
        try:
            for n in range(60):
                faults.platform.queue(SPACE, faults.token, concurrency_count=1 + n % 3, max_size=15 + n % 5)
                time.sleep(0.1)
        finally:
            done.set()
        for client in clients:
            client.result()
    faults.platform.queue(SPACE, faults.token, concurrency_count=1, max_size=None)
    part = faults.notes.with_suffix(".settings")
    part.write_bytes(faults.notes.read_bytes()[began:])
    most, again, _ = overlap(part)
    assert 1 <= most <= 3
    assert again == 0
    assert len(ends) >= 20
    assert all(end.startswith("complete") for end in ends)
