"""`/metrics`: who may read it, what is in it, and that its reference tells the truth."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis as sync
from channels.testing import ApplicationCommunicator
from django.db import OperationalError
from django.test import Client, override_settings
from prometheus_client.parser import text_string_to_metric_families

from accounts import tokens
from accounts.models import User
from hardware import nodes, redis_keys, usage
from infra import redis_clients
from queueing.stats import rollup
from queueing.store.keys import SpaceKeys
from spaceport import health, metrics
from spaceport.up.run import web_names
from spaceport.web import monitor, reports
from spaceport.web.servers import by_cores
from spaces.building import workers
from spaces.models import Build, ReplicaRange, Space
from tests.people import make_people

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "metrics.md"
TOKEN = "watching-this-platform"


@pytest.fixture
def space(settings: Any, tmp_path: Any, db: None) -> Space:
    settings.SPACEPORT_HOME = tmp_path
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    return Space.objects.create(owner=make_people().lab, name="demo", sdk="gradio")


@pytest.fixture
def server() -> Iterator[sync.Redis]:
    client = redis_clients.sync_redis()
    client.flushdb()
    yield client
    client.flushdb()


def scrape() -> str:
    with override_settings(SPACEPORT_METRICS_TOKEN=TOKEN):
        answer = Client().get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    return answer.content.decode()


def samples() -> dict[tuple[str, ...], float]:
    """Sample by its name and its labels' values, as Prometheus's own parser reads them."""
    found = {}
    for family in text_string_to_metric_families(scrape()):
        for sample in family.samples:
            found[sample.name, *(v for _, v in sorted(sample.labels.items()))] = sample.value
    return found


def put(server: sync.Redis, space: Space, minute: int, **fields: int) -> None:
    k = SpaceKeys(space.pk)
    server.hset(k.minute(minute), mapping={name.replace("__", ":"): n for name, n in fields.items()})
    server.sadd(k.minutes, minute)


# --- who --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "environ",
    [
        {"REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "127.0.0.1:8000"},
        {"REMOTE_ADDR": "::1", "HTTP_HOST": "[::1]:8000"},
        {"REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "localhost"},
        {"REMOTE_ADDR": "192.0.2.7"},
        {"HTTP_X_FORWARDED_FOR": "127.0.0.1"},
        {"HTTP_AUTHORIZATION": "Bearer "},
    ],
)
def test_where_somebody_asks_from_opens_nothing(
    server: sync.Redis, space: Space, settings: Any, environ: dict[str, str]
) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    answer = Client().get("/metrics", **environ)  # type: ignore[arg-type]
    assert answer.status_code == 403
    assert b"spaceport_" not in answer.content


@pytest.mark.parametrize(
    ("status", "given"), [(200, "Bearer s3cret"), (403, "Bearer other"), (403, "s3cret"), (403, "Bearer é")]
)
def test_the_metrics_token_opens(
    server: sync.Redis, space: Space, settings: Any, status: int, given: str
) -> None:
    settings.SPACEPORT_METRICS_TOKEN = "s3cret"
    away = {"REMOTE_ADDR": "192.0.2.7", "HTTP_X_FORWARDED_FOR": "192.0.2.9", "HTTP_AUTHORIZATION": given}
    assert Client().get("/metrics", **away).status_code == status  # type: ignore[arg-type]


@pytest.mark.parametrize(("admin", "status"), [(True, 200), (False, 403)])
def test_administrators_may_read_by_token_and_signed_in(
    server: sync.Redis, space: Space, admin: bool, status: int
) -> None:
    user = User.objects.get(username="alice")
    user.is_superuser = admin
    user.save()
    _, token = tokens.issue(user, "watching", "read")
    given = Client().get("/metrics", headers={"Authorization": f"Bearer {token}"})
    browser = Client()
    browser.force_login(user)
    assert given.status_code == browser.get("/metrics").status_code == status


def test_why_something_is_not_well_is_told_to_administrators_only(
    server: sync.Redis, space: Space, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SPACEPORT_METRICS_TOKEN = "s3cret"

    def away() -> None:
        raise sync.ConnectionError("Error 111 connecting to redis.internal:6379")

    monkeypatch.setattr(workers, "sync_redis", away)
    stranger = Client().get("/healthz")
    assert (stranger.status_code, stranger.json()["problems"]["redis"]) == (503, "does not answer")
    assert "internal" not in stranger.content.decode()
    told = Client().get("/healthz", headers={"Authorization": "Bearer s3cret"})
    assert "redis.internal" in told.json()["problems"]["redis"]


# --- what -------------------------------------------------------------------------------------------


def test_queues_are_told_from_stored_and_newest_minutes(server: sync.Redis, space: Space) -> None:
    now = int(time.time()) // 60
    put(server, space, now - 9, page____main__0=3, completed__20__main__0=2, wait__0__main__0=2)
    rollup.store([space.pk])
    put(server, space, now, api____side__1=1, closed____main__0=4, failed__40__main__0=1, wait__67__main__0=1)
    k = SpaceKeys(space.pk)
    server.zadd(k.wait("main"), {"a": 1, "b": 2})
    server.zadd(k.running, {"c": time.time() - 100, "d": time.time()})
    found = samples()
    name = "lab/demo"
    assert found["spaceport_queue_pending", name] == 2
    assert found["spaceport_queue_running", name] == 2
    assert 99 <= found["spaceport_queue_oldest_running_seconds", name] < 160
    assert found["spaceport_queue_accepted_total", "page", name] == 3
    assert found["spaceport_queue_accepted_total", "api", name] == 1
    assert found["spaceport_queue_refused_total", "closed", name] == 4
    assert found["spaceport_queue_finished_total", "completed", name] == 2
    assert found["spaceport_queue_finished_total", "failed", name] == 1
    assert found["spaceport_queue_wait_seconds_bucket", "0.001", name] == 2
    assert found["spaceport_queue_wait_seconds_bucket", "3981", name] == 2
    assert found["spaceport_queue_wait_seconds_count", name] == 3
    # Bucket 20 ends at 0.1 s, bucket 40 at 10 s; the edges told are those of 18, 21, 39 and 42.
    edges = ("0.0631", "0.1259", "7.943", "15.85")
    assert [found["spaceport_queue_service_seconds_bucket", edge, name] for edge in edges] == [0, 2, 2, 3]
    assert found["spaceport_queue_service_seconds_count", name] == 3
    assert 8 < found["spaceport_queue_service_seconds_sum", name] < 11


def test_a_histogram_never_goes_down_from_one_edge_to_the_next(server: sync.Redis, space: Space) -> None:
    put(server, space, 1, **{f"wait__{bucket}__main__0": bucket + 1 for bucket in range(68)})
    answer = scrape()
    counts = [
        float(v)
        for v in re.findall(r'queue_wait_seconds_bucket\{le="[^"]*",space="lab/demo"\} (\S+)', answer)
    ]
    assert len(counts) == len(metrics.EDGES) + 1
    assert counts == sorted(counts)
    assert counts[-1] == sum(range(1, 69))


def test_nodes_replicas_and_worker_slots(server: sync.Redis, space: Space) -> None:
    nodes.register("here", {"cpu": False}, "process")
    nodes.leave(nodes.register("gone", {"cpu": False}, "process").pk)
    usage.publish_slots("here", busy=3, slots=64)
    usage.publish_standby("here", 90_000_000)
    found = samples()
    assert (found["spaceport_nodes", "yes"], found["spaceport_nodes", "no"]) == (1, 1)
    assert found["spaceport_replicas", "ready"] == 0
    assert found["spaceport_worker_slots", "here", "busy"] == 3
    assert found["spaceport_worker_slots", "here", "free"] == 61
    assert ("spaceport_worker_slots", "gone", "busy") not in found
    assert found["spaceport_standby_bytes", "here"] == 90_000_000


def test_control_that_is_late_and_missing_build_workers_are_shown(
    server: sync.Redis, space: Space, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes.register("here", {"cpu": False}, "process")
    assert set(health.problems()) == {"control", "build worker"}
    workers.control_ran()
    workers.announce_builder("builds")
    Build.objects.create(space=space, sha="0" * 40)
    assert health.problems() == {}
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 100)
    workers.announce_builder("builds")
    server.lpush("control", "{}", "{}")
    assert health.problems() == {"control": "scheduled work is 96 s late, 2 messages wait"}
    assert Client().get("/healthz").status_code == 503
    found = samples()
    assert found["spaceport_control_lag_seconds",] == pytest.approx(96, abs=1)
    assert found["spaceport_celery_messages", "control"] == 2
    assert found["spaceport_build_workers",] == 1
    assert (found["spaceport_builds", "queued"], found["spaceport_builds", "running"]) == (1, 0)


def test_without_the_database_the_queues_are_still_told(
    server: sync.Redis, space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(server, space, 1, page____main__0=3)
    samples()

    def away() -> None:
        raise OperationalError("the server closed the connection")

    monkeypatch.setattr(Space.objects, "exclude", lambda **_: away())
    found = samples()
    assert (found["spaceport_part_up", "database"], found["spaceport_part_up", "redis"]) == (0, 1)
    assert found["spaceport_queue_accepted_total", "page", "lab/demo"] == 3


def test_a_scrape_of_many_spaces_costs_a_few_round_trips(
    server: sync.Redis, space: Space, django_assert_max_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    Space.objects.bulk_create(
        Space(owner=space.owner, name=f"s{n}", subdomain=f"s{n}", sdk="gradio") for n in range(200)
    )
    samples()
    trips = []
    connection = sync.connection.Connection
    for method in ("send_command", "send_packed_command"):
        before = getattr(connection, method)

        def counted(self: Any, *args: Any, _before: Any = before, **kwargs: Any) -> Any:
            trips.append(1)
            return _before(self, *args, **kwargs)

        monkeypatch.setattr(connection, method, counted)
    with django_assert_max_num_queries(4):
        found = samples()
    assert ("spaceport_queue_pending", "lab/s199") in found
    assert len(trips) <= 9


def test_a_range_of_replicas_is_shown_with_what_it_did(server: sync.Redis, space: Space) -> None:
    assert not any(name.startswith("spaceport_space_replicas") for name, *_ in samples())
    ReplicaRange.objects.create(space=space, least=1, most=3, goal_s=10, quiet_s=20, added=5, removed=4)
    Space.objects.filter(pk=space.pk).update(replica_count=2)
    found = samples()
    name = str(space)
    assert found["spaceport_space_replicas_wanted", name] == 2
    assert found["spaceport_space_replicas_changed_total", "added", name] == 5
    assert found["spaceport_space_replicas_changed_total", "removed", name] == 4


def test_web_processes_are_shown_while_they_report(server: sync.Redis, space: Space) -> None:
    for name, age_s in (("web 2@other", 5.0), ("web@gone", 60.0)):
        report = reports.Report(0.25, {"websocket": 7, "sse": 0}, time.time() - age_s)
        server.hset(redis_keys.web_processes(), name, msgspec.json.encode(report))
    found = samples()
    shown = {sample[1] for sample in found if sample[0] == "spaceport_web_event_loop_lag_seconds"}
    assert shown == {"web 2@other", reports.mine()[0]}
    assert found["spaceport_web_open_sockets", "websocket", "web 2@other"] == 7
    server.delete(redis_keys.web_processes())


@pytest.mark.parametrize(("cores", "processes"), [(0.5, 1), (2, 1), (3.5, 1), (4, 2), (16, 8), (64, 8)])
def test_a_machine_has_a_web_process_for_two_cores(cores: float, processes: int) -> None:
    assert by_cores(cores) == processes
    assert len(set(web_names(processes))) == processes


# --- this process -----------------------------------------------------------------------------------


async def test_the_event_loops_lag_is_noticed() -> None:
    monitor._lags.clear()
    looking = asyncio.create_task(monitor._sample_forever())
    await asyncio.sleep(0)
    time.sleep(monitor.CHECK_EVERY_S + 0.3)  # noqa: ASYNC251  # what it is there to notice
    deadline = time.monotonic() + 10
    while not monitor._lags and time.monotonic() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    looking.cancel()
    assert monitor.lag_s() >= 0.25
    monitor._lags.clear()


@pytest.mark.parametrize(
    ("kind", "scope", "opening"),
    [
        ("websocket", {"type": "websocket"}, {"type": "websocket.accept"}),
        (
            "sse",
            {"type": "http"},
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"Content-Type", b"text/event-stream; charset=utf-8")],
            },
        ),
        (
            "",
            {"type": "http"},
            {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]},
        ),
    ],
)
async def test_open_sockets_are_counted_while_they_are_open(
    kind: str, scope: dict[str, Any], opening: dict[str, Any]
) -> None:
    monitor.sockets.clear()
    closing = asyncio.Event()

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send(opening)
        await closing.wait()

    served = ApplicationCommunicator(monitor.watched(app), scope)
    await served.receive_output(5)
    assert +monitor.sockets == ({kind: 1} if kind else {})
    closing.set()
    await served.wait(5)
    assert not +monitor.sockets
    for task in tuple(monitor._measuring):
        task.cancel()
    monitor._measuring.clear()


# --- its reference ----------------------------------------------------------------------------------


def test_the_reference_lists_every_metric_and_no_other(server: sync.Redis, space: Space) -> None:
    """Name, kind, labels and meaning as the collector gives them."""
    assert REFERENCE.read_text().split("<!-- metrics -->")[1] == metrics.reference()
