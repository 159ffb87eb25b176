"""What is counted is stored once, and read back from both places."""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis as sync
from django.db import DatabaseError, OperationalError
from django.utils import timezone

from infra import redis_clients
from queueing.models import QueueMinute
from queueing.stats import history, rollup, totals
from queueing.stats.counters import Minute
from queueing.store.keys import SpaceKeys
from spaces.models import Space
from tests.people import make_people


@pytest.fixture
def space(settings: Any, tmp_path: Any, db: None) -> Space:
    settings.SPACEPORT_HOME = tmp_path
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    return Space.objects.create(owner=make_people().lab, name="demo", sdk="gradio")


@pytest.fixture
def server() -> Any:
    client = redis_clients.sync_redis()
    client.flushdb()
    yield client
    client.flushdb()


NOW = 0


@pytest.fixture(autouse=True)
def this_minute() -> None:
    """NOW, for each test anew: the run takes minutes."""
    global NOW
    NOW = int(time.time()) // 60


def put(server: sync.Redis, space: Space, minute: int, **fields: int) -> None:
    """A minute as the scripts leave it; `__` stands for a colon."""
    k = SpaceKeys(space.pk)
    server.hset(k.minute(minute), mapping={name.replace("__", ":"): n for name, n in fields.items()})
    server.expire(k.minute(minute), 3600)
    server.sadd(k.minutes, minute)


def rows(space: Space) -> list[tuple[Any, ...]]:
    found = QueueMinute.objects.filter(space=space).order_by("minute", "lane", "fn")
    return list(found.values_list("minute", "lane", "fn", "page", "completed", "service", "pending"))


def at(minute: int) -> datetime:
    return datetime.fromtimestamp(minute * 60, UTC)


def test_minutes_that_are_over_become_rows_and_leave_redis(server: sync.Redis, space: Space) -> None:
    put(server, space, NOW - 5, page____main__0=3, completed__20__main__0=2, pending=4)
    put(server, space, NOW, page____main__0=1)
    assert rollup.store([space.pk]) == 1
    assert rows(space) == [
        (at(NOW - 5), "", "", 0, 0, {}, 4),
        (at(NOW - 5), "main", "0", 3, 2, {"20": 2}, 0),
    ]
    k = SpaceKeys(space.pk)
    assert not server.exists(k.minute(NOW - 5))
    assert server.smembers(k.minutes) == {str(NOW).encode()}


def test_a_minute_is_left_alone_until_a_minute_after_its_end(server: sync.Redis, space: Space) -> None:
    seconds, _ = server.time()
    put(server, space, seconds // 60 - 1, page____main__0=1)
    assert rollup.store([space.pk]) == 0


def test_a_rollup_that_dies_before_redis_forgets_doubles_nothing(
    server: sync.Redis, space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(server, space, NOW - 5, page____main__0=3, wait__9__main__0=3)

    def die(minute: Minute) -> dict[str, int]:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(totals, "changes", die)
        with pytest.raises(KeyboardInterrupt):
            rollup.store([space.pk])
    assert totals.load([space.pk])[space.pk].counts["page"] == 3
    before = rows(space)
    assert rollup.store([space.pk]) == 1
    assert rows(space) == before
    assert before[0][3] == 3
    assert totals.load([space.pk])[space.pk].counts["page"] == 3


def test_two_rollups_at_once_count_a_minute_once(server: sync.Redis, space: Space) -> None:
    """Both have read it before either is done: the slower one folds it a second time."""
    put(server, space, NOW - 5, page____main__0=3)
    rollup._store(space.pk, [NOW - 5])
    put_back = {b"page::main:0": b"3"}
    server.hset(SpaceKeys(space.pk).minute(NOW - 5), mapping=put_back)
    rollup._store(space.pk, [NOW - 5])
    assert [row[3] for row in rows(space)] == [3]
    assert totals.load([space.pk])[space.pk].counts["page"] == 3


def test_nothing_is_lost_while_the_database_is_away(
    server: sync.Redis, space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(server, space, NOW - 5, page____main__0=3)

    def away(*_: Any, **__: Any) -> None:
        raise OperationalError("the server closed the connection")

    with monkeypatch.context() as patched:
        patched.setattr(QueueMinute.objects, "bulk_create", away)
        with pytest.raises(DatabaseError):
            rollup.store([space.pk])
    assert server.hgetall(SpaceKeys(space.pk).minute(NOW - 5)) == {b"page::main:0": b"3"}
    assert rollup.store([space.pk]) == 1
    assert [row[3] for row in rows(space)] == [3]


@pytest.mark.django_db(transaction=True)  # the refusal comes at the end of the transaction
def test_the_minutes_of_a_deleted_space_do_not_stop_the_others(server: sync.Redis, space: Space) -> None:
    gone = Space(pk=space.pk + 1000)
    put(server, gone, NOW - 5, page____main__0=1)
    put(server, space, NOW - 5, page____main__0=3)
    assert rollup.store([gone.pk, space.pk]) == 2
    assert [row[3] for row in rows(space)] == [3]


def test_rows_are_kept_thirty_days(space: Space) -> None:
    for days in (29, 31):
        QueueMinute.objects.create(space=space, minute=timezone.now() - timedelta(days=days), fn="0")
    assert rollup.forget() == 1
    assert QueueMinute.objects.count() == 1


# --- what is read back ------------------------------------------------------------------------------


def test_stored_and_newest_minutes_are_read_as_one(server: sync.Redis, space: Space) -> None:
    put(server, space, NOW - 5, page____main__0=3, wait__20__main__0=3, pending=7)
    rollup.store([space.pk])
    put(server, space, NOW, api____main__0=2, failed__30__main__0=1, batch__4__main__0=2)
    found = history.history(space.pk, "1h")
    assert found.total.counts == Counter(page=3, api=2, failed=1)
    assert found.bins[(NOW - 5) * 60].main.wait == {20: 3}
    assert found.bins[(NOW - 5) * 60].pending == 7
    assert found.functions["main", "0"].mean_batch == 4
    assert len(list(found.points())) == 60


def test_a_minute_in_both_places_counts_once(server: sync.Redis, space: Space) -> None:
    put(server, space, NOW - 5, page____main__0=3)
    QueueMinute.objects.create(space=space, minute=at(NOW - 5), lane="main", fn="0", page=3)
    assert history.history(space.pk, "1h").total.counts["page"] == 3


@pytest.mark.parametrize(("name", "points"), [("1h", 60), ("24h", 288), ("7d", 168), ("30d", 180)])
def test_every_range_adds_up_its_minutes_and_no_others(
    server: sync.Redis, space: Space, name: str, points: int
) -> None:
    back_s, step_s = history.RANGES[name]
    inside = [NOW - 1, NOW - (back_s - step_s) // 60 + 1]
    for minute in (*inside, NOW - back_s // 60 - step_s // 60):
        QueueMinute.objects.create(
            space=space, minute=at(minute), lane="main", fn="0", page=1, wait={"5": 1}, service={"7": 1}
        )
    found = history.history(space.pk, name)
    assert found.total.counts["page"] == 2
    assert found.main.wait == {5: 2}
    assert found.functions["main", "0"].service == {7: 2}
    assert sum(one.all.counts["page"] for _, one in found.points()) == 2
    assert len(list(found.points())) == points


def test_another_space_is_not_counted(server: sync.Redis, space: Space) -> None:
    other = Space.objects.create(owner=space.owner, name="other", sdk="gradio", subdomain="other")
    QueueMinute.objects.create(space=other, minute=at(NOW - 1), lane="main", fn="0", page=9)
    assert history.history(space.pk, "24h").total.arrivals == 0


def test_totals_never_go_back_while_minutes_are_stored(server: sync.Redis, space: Space) -> None:
    """Also with a backlog longer than what is read of it."""
    seen = [0]
    for minute in range(NOW - 200, NOW - 4):
        put(server, space, minute, page____main__0=1)
    seen.append(totals.load([space.pk])[space.pk].counts["page"])
    for start in range(NOW - 200, NOW - 4, 30):
        rollup._store(space.pk, list(range(start, min(start + 30, NOW - 4))))
        seen.append(totals.load([space.pk])[space.pk].counts["page"])
    assert seen == sorted(seen)
    assert seen[-1] == 196
