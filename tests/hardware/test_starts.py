"""Many starts at once: those that hang hold nothing up, and a busy machine is no app's fault."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

import pytest

from hardware import agent as agent_module
from hardware import readiness, redis_keys, replicas
from hardware.agent import Agent
from hardware.models import Replica
from hardware.runtimes.base import Artifact, Exit, ReplicaSpec, Running, Stats
from hardware.upkeep import starts
from infra.listening import Listener
from infra.redis_clients import sync_redis
from spaces.models import Space
from tests.hardware.test_agent import order, until
from tests.waiting import wait_until

if TYPE_CHECKING:
    from hardware.runtimes.process import ProcessRuntime

State = Replica.State
SILENT = Artifact(runtime="process", code="silent")


class Ports:
    """A runtime whose apps are open ports: they take connections and never answer, or answer at once."""

    name = place = "process"

    def __init__(self) -> None:
        self.apps: dict[int, socket.socket] = {}
        self.started: list[int] = []

    def start(self, replica_id: int, spec: ReplicaSpec, *, gpus: tuple[str, ...] = ()) -> Running:
        app = self.apps[replica_id] = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.started.append(replica_id)
        if spec.artifact != SILENT:
            threading.Thread(target=self._answer, args=(app,), daemon=True).start()
        return Running(runtime_id=str(replica_id), address=f"127.0.0.1:{app.getsockname()[1]}")

    @staticmethod
    def _answer(app: socket.socket) -> None:
        while True:
            try:
                asks, _ = app.accept()
            except OSError:
                return
            with asks:
                asks.recv(65536)
                asks.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")

    def running(self) -> dict[int, Running]:
        return {
            pk: Running(runtime_id=str(pk), address=f"127.0.0.1:{app.getsockname()[1]}")
            for pk, app in list(self.apps.items())
        }

    def poll(self, runtime_id: str) -> Exit | None:
        return None if int(runtime_id) in self.apps else Exit(code=0, reason="It is gone.")

    def stop(self, runtime_id: str, *, grace_s: float = 10) -> None:
        if (app := self.apps.pop(int(runtime_id), None)) is not None:
            app.close()

    def logs(self, runtime_id: str, *, since: float = 0) -> Iterator[Any]:
        return iter(())

    def listeners(self, runtime_id: str) -> set[Listener]:
        return {Listener(*self.apps[int(runtime_id)].getsockname())}

    def stats(self, runtime_id: str) -> Stats:
        return Stats(memory_bytes=0, memory_limit_bytes=0, cpu_seconds=0)


@pytest.fixture
def ports(space: Space, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Ports, Agent]]:
    monkeypatch.setattr(readiness, "CONFIG_S", 0.5)
    runtime = Ports()
    made = Agent("here", {"cpu": False}, cast("ProcessRuntime", runtime))
    made.start()
    yield runtime, made
    for row in Replica.objects.all():
        replicas.order_stop(row)
    wait_until(lambda: not runtime.apps, "all are stopped")
    made.stop()


def silent(space: Space, start_timeout_s: float = 600) -> Replica:
    return order(space, SILENT, sdk="gradio", start_timeout_s=start_timeout_s)


def test_starts_that_hang_hold_up_neither_starts_nor_stops(
    space: Space, ports: tuple[Ports, Agent], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starts, "SETTLES_S", 0.0)
    monkeypatch.setattr(agent_module, "CHECK_EVERY_S", 0.1)
    runtime, _ = ports
    hang = [silent(space) for _ in range(80)]  # more than there are threads
    wait_until(lambda: len(runtime.started) == 80, "all of them hang")
    stops = hang.pop()
    replicas.order_stop(stops)
    until(stops, State.STOPPED)
    answers = order(space, Artifact(runtime="process", code="answers"), sdk="docker")
    until(answers, State.READY)


def test_apps_that_hang_for_long_hold_up_no_other_start(
    space: Space, ports: tuple[Ports, Agent], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "CONFIG_S", 120)
    monkeypatch.setattr(starts, "SETTLES_S", 0.0)
    monkeypatch.setattr(agent_module, "CHECK_EVERY_S", 0.1)
    _, agent = ports
    hang = [silent(space) for _ in range(starts.THREADS + 4)]
    rows = {row.pk for row in hang}
    wait_until(lambda: rows == {pk for pk in rows if is_asked(agent, pk)}, "all of them are asked")
    answers = order(space, Artifact(runtime="process", code="answers"), sdk="docker")
    until(answers, State.READY)


def is_asked(agent: Agent, replica_id: int) -> bool:
    start = agent._starts.of(replica_id)
    return start is not None and start.is_probed


def test_as_many_start_at_once_as_there_are_cores(
    space: Space, ports: tuple[Ports, Agent], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starts, "at_once", lambda: 3)
    runtime, agent = ports
    monkeypatch.setattr(starts, "SETTLES_S", 600.0)
    monkeypatch.delattr(Ports, "stats")  # new ones are not measured: that may take a second
    rows = [silent(space) for _ in range(6)]
    wait_until(lambda: len(runtime.started) == 3, "three start")
    for _ in range(3):
        agent.reconcile()
    assert sorted(runtime.started) == [row.pk for row in rows[:3]]
    replicas.order_stop(rows[0])
    wait_until(lambda: len(runtime.started) == 4, "the next one starts")
    assert runtime.started[-1] == rows[3].pk


def test_the_busiest_start_first(
    space: Space, ports: tuple[Ports, Agent], monkeypatch: pytest.MonkeyPatch
) -> None:
    most = [0]
    monkeypatch.setattr(starts, "at_once", lambda: most[0])
    monkeypatch.setattr(starts, "SETTLES_S", 600.0)
    monkeypatch.delattr(Ports, "stats")
    runtime, _ = ports
    others = [Space.objects.create(owner=space.owner, name=f"s{n}", subdomain=f"s{n}") for n in range(3)]
    rows = [silent(one) for one in (space, *others)]
    number = int(time.time()) // 60
    for row, cores in zip(rows, (0.1, 0.0, 2.0, 0.5), strict=True):  # as all were used before a reboot
        minutes = {f"{number - n}:{row.pk}:1000:{cores / 2:.3f}:4.000": number - n for n in range(2)}
        sync_redis().zadd(redis_keys.usage(row.space_id), minutes)
        sync_redis().expire(redis_keys.usage(row.space_id), 60)
    for row in rows:
        until(row, State.STARTING)
    most[0] = 1
    for started in (rows[2], rows[3], rows[0], rows[1]):
        wait_until(lambda: len(runtime.started) and runtime.started[-1] == started.pk, "it starts")  # noqa: B023
        replicas.order_stop(started)
    assert len(runtime.started) == len(rows)


@pytest.mark.parametrize(
    ("age_s", "cores", "counts"),
    [(1, 0.0, True), (10, 0.0, False), (10, 1.0, True), (10, None, True), (61, 1.0, False)],
)
def test_a_start_counts_while_it_is_new_or_works(age_s: float, cores: float | None, counts: bool) -> None:
    assert starts.is_at_work(age_s, cores) is counts


@pytest.mark.parametrize(("took_s", "pause_s"), [(0.01, 0.05), (0.2, 0.05), (0.5, 2.0), (60.0, 15.0)])
def test_an_app_that_answers_slowly_is_asked_less_often(took_s: float, pause_s: float) -> None:
    assert starts.pause_s(took_s, 0.05) == pause_s


def test_who_is_late_on_a_busy_machine_is_tried_again(
    space: Space, ports: tuple[Ports, Agent], monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime, _ = ports
    monkeypatch.setattr(starts, "is_overloaded", lambda: len(runtime.started) < 2)
    row = until(silent(space, start_timeout_s=0.5), State.FAILED)
    assert runtime.started == [row.pk, row.pk]
    assert (row.restarts, row.reason) == (
        1,
        "The app did not answer on port 7860 within 0 s. It listens there, but gives no answer. "
        "If its start takes longer, write startup_duration_timeout into README.md.",
    )


def test_not_for_ever(space: Space, ports: tuple[Ports, Agent], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starts, "is_overloaded", lambda: True)
    row = until(silent(space, start_timeout_s=0.2), State.FAILED)
    assert row.restarts == agent_module.MAX_BUSY_RESTARTS


def test_an_app_that_ends_while_it_starts_fails(space: Space, ports: tuple[Ports, Agent]) -> None:
    runtime, _ = ports
    row = silent(space)
    wait_until(lambda: runtime.started, "it starts")
    runtime.stop(str(row.pk))
    assert until(row, State.FAILED).reason == "It is gone."
