"""The Statistics tab and its API: who sees them, and that they tell what was counted."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

import pytest
from django.test import Client

from accounts import tokens
from infra import redis_clients
from queueing.models import QueueMinute
from queueing.store.keys import SpaceKeys
from spaces import creation
from spaces.models import Space
from tests.people import People
from tests.spaces.pages import as_, folks

__all__ = ["folks"]

pytestmark = pytest.mark.django_db
RANGES = ["1h", "24h", "7d", "30d"]


@pytest.fixture
def space(folks: People) -> Space:
    redis_clients.sync_redis().flushdb()
    return creation.create(folks.lab, "demo", sdk="gradio", author="alice")


def busy(space: Space) -> None:
    """A stored minute of a little while ago, and one that goes on."""
    now = int(time.time()) // 60
    at = datetime.fromtimestamp((now - 4) * 60, UTC)
    row = {
        "lane": "main",
        "fn": "0",
        "api_name": "greet",
        "wait": {"45": 10},
        "service": {"30": 7},
        "left": {"44": 20},
    }
    QueueMinute.objects.create(space=space, minute=at, page=8, api=2, completed=7, failed=1, full=3, **row)
    QueueMinute.objects.create(space=space, minute=at, pending=6, running=2, calls=2)
    k = SpaceKeys(space.pk)
    redis = redis_clients.sync_redis()
    redis.hset(k.minute(now), mapping={"page::main:0": 1, "batch:4:main:7": 2, "api::main:7": 8})
    redis.expire(k.minute(now), 600)
    redis.sadd(k.minutes, now)
    redis.expire(k.minutes, 600)


@pytest.mark.parametrize("path", ["/statistics", "/statistics/figures"])
def test_the_tab_is_the_owners(folks: People, space: Space, path: str) -> None:
    for client in (Client(), as_(folks.charlie), as_(folks.reader)):
        assert client.get(f"/lab/demo{path}").status_code == 404
        assert "/lab/demo/statistics" not in client.get("/lab/demo").content.decode()
    for user in (folks.alice, folks.bob):
        assert as_(user).get(f"/lab/demo{path}").status_code == 200
    assert "/lab/demo/statistics" in as_(folks.bob).get("/lab/demo").content.decode()


def test_the_api_is_the_owners(folks: People, space: Space) -> None:
    url = "/api/spaces/lab/demo/statistics"
    assert Client().get(url).status_code == 403
    assert as_(folks.charlie).get(url).status_code == 403
    assert as_(folks.reader).get(url).status_code == 403
    assert as_(folks.bob).get(url).status_code == 200
    _, secret = tokens.issue(folks.alice, "reading", "read")
    assert Client().get(url, headers={"Authorization": f"Bearer {secret}"}).status_code == 200
    space.visibility = "private"
    space.save()
    assert as_(folks.charlie).get(url).status_code == 404
    assert Client().get(url).status_code == 401


@pytest.mark.parametrize("name", RANGES)
def test_the_api_tells_what_was_counted(folks: People, space: Space, name: str) -> None:
    busy(space)
    told = as_(folks.bob).get(f"/api/spaces/lab/demo/statistics?range={name}").json()
    assert told["range"] == name
    totals = told["totals"]
    assert (totals["events"], totals["page"], totals["api"]) == (19, 9, 10)
    assert (totals["completed"], totals["failed"], totals["refused_full"]) == (7, 1, 3)
    assert (totals["most_pending"], totals["most_running"]) == (6, 2)
    assert (totals["left"], totals["patience_p50_s"]) == (20, 25.1)  # the end of bucket 44
    assert totals["wait_p50_s"] == pytest.approx(28.2, rel=0.01)  # the middle of bucket 45
    greet, other = told["functions"]
    assert (greet["api_name"], greet["events"], greet["service_p50_s"]) == ("greet", 11, 0.891)
    assert (other["fn"], other["mean_batch"]) == ("7", 4)
    series = told["series"]
    assert len({len(values) for values in series.values()}) == 1
    minutes = told["step_s"] / 60
    assert sum(series["page"]) * minutes == pytest.approx(9, abs=0.3)
    assert max(series["pending"]) == 6
    assert series["time"] == sorted(series["time"])
    assert series["time"][-1] <= time.time() < series["time"][-1] + told["step_s"] + 60


def test_a_range_there_is_not_is_refused(folks: People, space: Space) -> None:
    answer = as_(folks.bob).get("/api/spaces/lab/demo/statistics?range=1y")
    assert answer.status_code == 400
    assert "'1h', '24h', '7d' or '30d'" in answer.json()["error"]
    assert as_(folks.bob).get("/lab/demo/statistics?range=1y").status_code == 404


def test_the_api_is_in_the_openapi_document(folks: People) -> None:
    document = json.loads(Client().get("/api/openapi.json").content)
    operation = document["paths"]["/api/spaces/{owner}/{name}/statistics"]["get"]
    assert [p["name"] for p in operation["parameters"]] == ["owner", "name", "range"]


def test_the_page_shows_figures_and_functions(folks: People, space: Space) -> None:
    busy(space)
    text = as_(folks.bob).get("/lab/demo/statistics").content.decode()
    assert "<dd>19</dd>" in text
    assert "<code>/greet</code>" in text
    assert "function 7" in text
    assert "gave up waiting, half by 25 s" in text
    assert "Mean batch" in text
    assert 'data-statistics="/api/spaces/lab/demo/statistics?range=1h"' in text
    part = as_(folks.bob).get("/lab/demo/statistics/figures").content.decode()
    assert "<html" not in part
    assert "<dd>19</dd>" in part


@pytest.mark.parametrize("name", RANGES)
def test_an_empty_page_says_what_will_be_there(folks: People, space: Space, name: str) -> None:
    text = as_(folks.bob).get(f"/lab/demo/statistics?range={name}").content.decode()
    assert "Nothing happened in the last" in text


def test_a_static_space_has_no_statistics(folks: People) -> None:
    creation.create(folks.lab, "page", sdk="static", author="alice")
    assert as_(folks.bob).get("/lab/page/statistics").status_code == 404
    assert "/lab/page/statistics" not in as_(folks.bob).get("/lab/page").content.decode()


def test_a_functions_name_is_no_markup(folks: People, space: Space) -> None:
    at = datetime.fromtimestamp(int(time.time()) // 60 * 60 - 120, UTC)
    name = "<script>x</script>"
    QueueMinute.objects.create(space=space, minute=at, lane="main", fn="0", api_name=name, page=1)
    assert "<script>x" not in as_(folks.bob).get("/lab/demo/statistics").content.decode()


def test_advice_stands_beside_its_setting(folks: People, space: Space) -> None:
    assert 'class="measured"' not in as_(folks.bob).get("/lab/demo/settings").content.decode()
    at = datetime.fromtimestamp(int(time.time()) // 60 * 60 - 120, UTC)
    QueueMinute.objects.create(space=space, minute=at, lane="main", fn="0", page=50, completed=50)
    QueueMinute.objects.create(space=space, minute=at, running=1, calls=7)
    text = as_(folks.bob).get("/lab/demo/settings").content.decode()
    assert "At most 7 of 40 calls ran at once: it is high enough." in text
