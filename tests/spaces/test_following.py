"""News of a replica that was lost on its way, with a worker or a server that died, is caught up with."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from msgspec import structs

from accounts.models import Owner
from hardware import readiness
from hardware.models import Replica
from hardware.replica_client import Unreachable
from infra.redis_clients import sync_redis
from queueing.routes import App, Route, encode
from queueing.store import keys
from queueing.store.keys import SpaceKeys
from spaces import following, lifecycle, publishing
from spaces.models import Space, Stage
from spaces.room import idle
from tests.spaces.events import CHANNEL, join

State = Replica.State
NOWHERE = "127.0.0.1:9"


class _Other(BaseHTTPRequestHandler):
    """An app that is not Gradio's: it answers, and knows no /config."""

    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def answering(count: int) -> Iterator[list[str]]:
    """The addresses of so many apps that answer."""
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), _Other) for _ in range(count)]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield [f"127.0.0.1:{server.server_port}" for server in servers]
    for server in servers:
        server.shutdown()


@pytest.fixture(scope="module")
def addresses() -> Iterator[list[str]]:
    with answering(2) as found:
        yield found


@pytest.fixture
def space(transactional_db: None, addresses: list[str]) -> Iterator[Space]:
    owner = Owner.objects.create(name="alice")
    space = Space.objects.create(owner=owner, name="follows", subdomain="alice-follows", card={})
    space.replica = Replica.objects.create(
        space=space, tier="cpu", spec={}, state=State.READY, address=addresses[0]
    )
    space.stage = Stage.RUNNING
    space.save()
    publishing.publish(space)
    yield space
    publishing.withdraw(space)


def test_visitors_who_come_together_wake_it_once(space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    Space.objects.filter(pk=space.pk).update(stage=Stage.SLEEPING)
    visitors = [Space.objects.get(pk=space.pk) for _ in range(3)]
    started: list[int] = []

    def starts(found: Space) -> None:
        started.append(found.pk)
        time.sleep(0.3)  # the others ask meanwhile
        Space.objects.filter(pk=found.pk).update(stage=Stage.APP_STARTING)

    def comes(visitor: Space) -> None:
        lifecycle.wake(visitor)
        connection.close()

    monkeypatch.setattr(lifecycle, "restart", starts)
    with ThreadPoolExecutor() as pool:
        list(pool.map(comes, visitors))
    assert started == [space.pk]


def followed(space: Space) -> tuple[str, str]:
    """Look once; the Space's stage, and where visitors are sent."""
    following.reconcile_spaces()
    space.refresh_from_db()
    route = publishing.published(space.pk)
    assert route is not None
    assert route.stage == space.stage
    return space.stage, route.address


def becomes(space: Space, **change: str) -> None:
    Replica.objects.filter(space=space).update(**change)


def test_what_is_told_already_is_left_alone(
    space: Space, addresses: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []
    monkeypatch.setattr(lifecycle, "replica_changed", told.append)
    assert followed(space) == (Stage.RUNNING, addresses[0])
    assert told == []


def test_an_app_that_died_is_no_longer_visited(space: Space) -> None:
    becomes(space, state=State.STARTING, address="")
    assert followed(space) == (Stage.APP_STARTING, "")


def test_an_app_that_was_started_again_is_visited_again(space: Space, addresses: list[str]) -> None:
    becomes(space, state=State.STARTING, address="")
    followed(space)
    becomes(space, state=State.READY, address=addresses[1])
    assert followed(space) == (Stage.RUNNING, addresses[1])


def test_one_that_died_and_came_back_between_two_looks_is_visited_where_it_is(
    space: Space, addresses: list[str]
) -> None:
    becomes(space, address=addresses[1])
    assert followed(space) == (Stage.RUNNING, addresses[1])


def test_a_stage_that_did_not_get_to_the_gateway_is_told_again(space: Space) -> None:
    becomes(space, state=State.FAILED, address="")
    Space.objects.filter(pk=space.pk).update(stage=Stage.RUNTIME_ERROR)
    assert followed(space) == (Stage.RUNTIME_ERROR, "")


def test_nobody_is_sent_to_an_app_that_died_before_it_said_what_it_offers(
    space: Space, addresses: list[str]
) -> None:
    """Else its functions would be called past the queue; it is asked again until it answers."""
    route = publishing.published(space.pk)
    assert route is not None
    offers = structs.replace(route, app=App(protocol="sse_v3", version="6.31"))
    sync_redis().set(SpaceKeys(space.pk).route, encode(offers))
    becomes(space, address=NOWHERE)
    assert followed(space) == (Stage.RUNNING, "")
    known = publishing.published(space.pk)
    assert known is not None
    assert known.app == offers.app
    becomes(space, address=addresses[1])
    assert followed(space) == (Stage.RUNNING, addresses[1])


def test_who_waited_for_an_app_that_failed_is_told_so(space: Space) -> None:
    """Its stage was told everywhere, but whoever did that died before the last step."""
    join(space)
    becomes(space, state=State.FAILED, address="")
    Space.objects.filter(pk=space.pk).update(stage=Stage.RUNTIME_ERROR)
    space.refresh_from_db()
    publishing.publish(space)
    assert followed(space) == (Stage.RUNTIME_ERROR, "")
    ((_, fields),) = sync_redis().xrange(SpaceKeys(space.pk).messages(CHANNEL))
    assert b"stopped with an error" in fields[b"d"]


def test_who_reads_that_it_runs_can_call_it(space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    Space.objects.filter(pk=space.pk).update(stage=Stage.APP_STARTING)
    publish, read = publishing.publish, []

    def slow(moved: Space) -> Route:
        read.append(Space.objects.get(pk=moved.pk).stage)
        return publish(moved)

    monkeypatch.setattr(publishing, "publish", slow)
    assert space.replica is not None
    lifecycle.replica_changed(space.replica.pk)
    assert read == [Stage.APP_STARTING]
    assert Space.objects.get(pk=space.pk).stage == Stage.RUNNING


def test_however_many_apps_a_server_names_they_are_asked_within_the_time_of_one(
    space: Space, addresses: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They hold a thread that all Spaces share."""
    now, given = [0.0], []

    async def hangs(_address: str, mount: str, total_s: float) -> tuple[int, None]:
        given.append(total_s)
        now[0] += total_s
        if mount:
            raise Unreachable("it hangs")
        now[0] -= 1.0
        return 200, None

    monkeypatch.setattr(publishing, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(readiness, "config", hangs)
    report = {"guards": True, "mounts": ["", *(f"/app{number}" for number in range(49))]}
    Replica.objects.filter(space=space).update(address=addresses[1], report=report)
    assert followed(space) == (Stage.RUNNING, addresses[1])
    assert len(given) == 50
    assert sum(given) < 2 * readiness.CONFIG_S


# --- what a round costs -----------------------------------------------------------------------------


@pytest.fixture
def many(space: Space) -> Iterator[list[Space]]:
    """Spaces that run and have nothing to do, `space` the first."""
    made = [space]
    for n in range(20):
        row = Space.objects.create(owner=space.owner, name=f"r{n}", subdomain=f"r{n}", sleep_time_s=60)
        row.replica = Replica.objects.create(
            space=row, tier="cpu", spec={}, state=State.READY, address=f"10.0.0.1:{n}"
        )
        row.stage = Stage.RUNNING
        row.save()
        route = Route(
            space_id=row.pk, owner="alice", name=row.name, owner_id=row.owner_id, subdomain=row.subdomain,
            sdk="gradio", private=False, stage=row.stage, replica_id=row.replica.pk,
            address=row.replica.address,
        )  # fmt: skip
        sync_redis().set(SpaceKeys(row.pk).route, encode(route))
        made.append(row)
    yield made
    for row in made[1:]:
        publishing.withdraw(row)


def test_a_round_loads_only_spaces_that_there_is_something_to_do_for(
    many: list[Space], monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries: Any
) -> None:
    loaded: list[int] = []
    monkeypatch.setattr(following, "_reconcile", lambda one: loaded.append(one.pk))
    with django_assert_max_num_queries(3):  # one of them: Spaces on several replicas
        following.reconcile_spaces()
    assert loaded == []
    # News that were lost; a version that another one replaced; one that failed while nobody was told.
    Replica.objects.filter(space=many[1]).update(address="10.0.0.2:1")
    Replica.objects.create(space=many[2], tier="cpu", spec={}, state=State.READY, set_aside_at=timezone.now())
    Replica.objects.filter(space=many[3]).update(state=State.FAILED, address="")
    with django_assert_max_num_queries(3):
        following.reconcile_spaces()
    assert sorted(loaded) == [one.pk for one in many[1:4]]


def test_a_round_of_sleeping_looks_closer_only_at_spaces_that_nobody_visited_for_their_time(
    many: list[Space], monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries: Any
) -> None:
    long_ago = time.time() - 3600
    sync_redis().zadd(keys.VISITED, {str(one.pk): long_ago for one in many[1:3]})
    Space.objects.filter(pk=many[3].pk).update(last_modified=timezone.now() - timedelta(hours=1))
    Space.objects.filter(pk=many[4].pk).update(
        last_modified=timezone.now() - timedelta(hours=1), stage=Stage.PAUSED
    )
    join(many[2])
    with django_assert_max_num_queries(1):
        assert sorted(idle.over_their_time()) == [one.pk for one in many[1:4]]
    # What a killed dispatcher leaves of a line that is empty is no work.
    sync_redis().zadd(SpaceKeys(many[1].pk).lines, {"main": 1})
    found = idle.idle_of(many[1:5])
    assert found[many[2].pk] is None, "somebody waits"
    assert (found[many[1].pk] or 0) > 3000
    assert (found[many[4].pk] or 0) < 3000, "as its row was when it was loaded"
