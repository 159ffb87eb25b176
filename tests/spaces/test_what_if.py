"""What other settings would have done: the page, the API, and that nothing changes before it is applied."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from hardware import redis_keys
from hardware.models import HardwareTier
from hardware.tiers import TIERS
from infra import redis_clients
from queueing import queue_settings
from queueing.groups import Group
from queueing.models import AppliedSettings, QueueMinute
from queueing.routes import App, Function, Route, encode
from queueing.store.keys import SpaceKeys
from queueing.tuning import traffic, what_if
from spaces import creation
from spaces.models import Space
from tests.people import People
from tests.spaces.pages import as_, folks

__all__ = ["folks"]

pytestmark = pytest.mark.django_db

API = "/api/spaces/lab/demo/what-if"
#: Service times of about 2 s: bucket 33 ends at 2.0 s.
TWO_S = "33"


@pytest.fixture
def space(folks: People) -> Space:
    redis_clients.sync_redis().flushdb()
    return creation.create(folks.lab, "demo", sdk="gradio", author="alice")


def crowded(space: Space, minutes: int = 20, events: int = 40, **more: Any) -> None:
    """Forty events of 2 s in each minute, for one call at once: ten a minute too many."""
    begin = timezone.now().replace(second=0, microsecond=0) - timedelta(minutes=minutes + 3)
    for n in range(minutes):
        QueueMinute.objects.create(
            space=space, minute=begin + timedelta(minutes=n), lane="main", fn="0", api_name="greet",
            page=events, completed=events, service={TWO_S: events}, wait={"40": events}, **more,
        )  # fmt: skip


def ask(folks: People, **query: Any) -> dict[str, Any]:
    answer = as_(folks.bob).get(API, query)
    assert answer.status_code == 200, answer.content
    return dict(answer.json())


def test_more_at_once_shortens_the_wait_of_the_same_events(folks: People, space: Space) -> None:
    crowded(space)
    found = ask(folks, concurrency_count=2)
    assert found["events"] == found["now"]["accepted"] == found["then"]["accepted"] == 800
    # 800 events of 1.6 to 2 s take at least 1,280 s one after the other, and 1,200 s brought them.
    assert found["now"]["wait_p95_s"] > 60
    assert found["then"]["wait_p95_s"] < 10
    assert found["now"]["mean_running"] <= 1
    assert found["measured"]["wait_p50_s"] == pytest.approx(8.9, rel=0.01)
    assert queue_settings.effective(space.pk).concurrency_count == 1
    series = found["series"]
    assert len({len(values) for values in series.values()}) == 1
    assert max(filter(None, series["now_wait_s"])) > max(filter(None, series["then_wait_s"]))


def test_the_minute_that_goes_on_is_part_of_it(folks: People, space: Space) -> None:
    k, redis = SpaceKeys(space.pk), redis_clients.sync_redis()
    now = int(timezone.now().timestamp()) // 60
    for minute in (now - 1, now):
        fields = {"page::main:0": 30, f"completed:{TWO_S}:main:0": 30, "wait:40:main:0": 30, "pending": 9}
        redis.hset(k.minute(minute), mapping=fields)
        redis.expire(k.minute(minute), 600)
        redis.sadd(k.minutes, minute)
    redis.expire(k.minutes, 600)
    found = ask(folks)
    assert (found["events"], found["measured"]["most_pending"]) == (60, 9)
    # Stored a moment ago, and still here: it counts once.
    QueueMinute.objects.create(
        space=space, minute=datetime.fromtimestamp(60 * (now - 1), UTC), lane="main", fn="0", page=30
    )
    assert ask(folks)["events"] == 60


def test_two_replicas_and_a_faster_call_help_as_well(folks: People, space: Space) -> None:
    crowded(space)
    for query, hours in (({"replicas": 2}, 2 / 3), ({"speed": 2}, 1 / 3)):
        found = ask(folks, **query)
        assert found["then"]["wait_p95_s"] < 10 < found["now"]["wait_p95_s"]
        assert found["then"]["replica_hours"] == pytest.approx(hours, abs=0.001)


def test_hours_have_their_tiers_price(folks: People, space: Space) -> None:
    crowded(space)
    assert ask(folks, replicas=2)["then"]["cost"] == 0
    HardwareTier.objects.filter(name="cpu").update(price_per_hour="1.5")
    TIERS.forget()
    assert ask(folks, replicas=2)["then"]["cost"] == pytest.approx(1, abs=0.01)
    assert "1.00 USD" in as_(folks.bob).get("/lab/demo/what-if?replicas=2").content.decode()


def test_a_queue_with_a_limit_refuses_and_those_in_it_wait_less(folks: People, space: Space) -> None:
    crowded(space)
    found = ask(folks, max_size=3)
    assert found["then"]["refused"] > 0
    assert found["then"]["most_pending"] == 3
    assert found["then"]["wait_p95_s"] < 10
    queue_settings.change(space.pk, {"max_size": 3})
    found = ask(folks, max_size="none")
    assert (found["now"]["refused"] > 0, found["then"]["refused"]) == (True, 0)


def test_cores_that_calls_keep_busy_bound_what_more_at_once_gains(folks: People, space: Space) -> None:
    crowded(space)
    redis = redis_clients.sync_redis()
    for minute in QueueMinute.objects.values_list("minute", flat=True):
        number = int(minute.timestamp()) // 60
        # 40 events of 1.8 s on average in a minute, each with 1.5 cores.
        redis.zadd(redis_keys.usage(space.pk), {f"{number}:1:1000:{40 * 1.8 * 1.5 / 60:.3f}:2.0": number})
    redis.expire(redis_keys.usage(space.pk), 600)
    demand = traffic.recorded(space.pk, timezone.now() - timedelta(days=1))
    assert what_if.cores_of_a_call(space.pk, demand) == pytest.approx(1.5, rel=0.02)
    found = ask(folks, concurrency_count=8)
    # The tier has 2 cores: 1.33 calls at full speed, which is just enough.
    assert any("slow each other on the 2 cores" in note for note in found["notes"])
    assert found["then"]["wait_p95_s"] < found["now"]["wait_p95_s"]
    assert ask(folks, concurrency_count=8, replicas=4)["then"]["mean_running"] < found["then"]["mean_running"]


def test_visitors_who_give_up_give_up_in_the_model_too(folks: People, space: Space) -> None:
    """Half of those who had waited 10 s were gone."""
    crowded(space, left={"40": 40})
    found = ask(folks, concurrency_count=3)
    assert found["measured"]["left"] == 800
    assert found["now"]["left"] > 50 > found["then"]["left"]
    assert found["now"]["accepted"] == 800
    assert "Half of the visitors give up before they have waited 10 s, as they did." in found["notes"]


def test_people_who_will_come(folks: People, space: Space) -> None:
    crowded(space, minutes=2)
    found = ask(folks, people=300, events_each=2, minutes=10)
    assert (found["events"], found["measured"]) == (600, None)
    assert (found["from"], found["to"]) == (0, 600)
    assert found["then"]["wait_p95_s"] > 60
    found = ask(folks, people=100_000, events_each=1000, minutes=1000)
    assert found["events"] == 20_000
    assert found["notes"][0] == "The first 0 of 1000 minutes."


def test_a_week_is_cut_to_its_busiest_stretch(folks: People, space: Space) -> None:
    crowded(space, minutes=30, events=1000)
    found = ask(folks)
    assert found["events"] <= 20_000
    assert found["notes"][0].startswith("The busiest 20 minutes of this time, with 20,000 events.")


def test_what_cannot_be_asked_is_said(folks: People, space: Space) -> None:
    answer = as_(folks.bob).get(API)
    assert (answer.status_code, answer.json()["error"][:30]) == (409, "No call of this time was measu")
    crowded(space)
    answer = as_(folks.bob).get(API, {"concurrency_count": 0})
    assert answer.status_code == 400
    assert "from 1 to 1,000" in answer.json()["error"]
    assert as_(folks.bob).get(API, {"speed": 0}).status_code == 400
    assert as_(folks.bob).get(API, {"range": "1y"}).status_code == 400


def test_it_is_the_owners(folks: People, space: Space) -> None:
    crowded(space)
    assert Client().get(API).status_code == as_(folks.charlie).get(API).status_code == 403
    for path in ("/what-if", "/what-if/answer"):
        for client in (Client(), as_(folks.charlie), as_(folks.reader)):
            assert client.get(f"/lab/demo{path}").status_code == 404
        assert as_(folks.bob).get(f"/lab/demo{path}").status_code == 200
    assert as_(folks.charlie).post("/lab/demo/what-if/apply", {"max_size": 1}).status_code == 404
    creation.create(folks.lab, "page", sdk="static", author="alice")
    assert as_(folks.bob).get("/lab/page/what-if").status_code == 404


def test_the_page_applies_what_it_showed_and_offers_the_way_back(folks: People, space: Space) -> None:
    crowded(space)
    client = as_(folks.bob)
    text = client.get("/lab/demo/what-if?concurrency_count=4&max_size=50").content.decode()
    assert "800 events" in text
    assert "Apply concurrency_count 4, max_size 50" in text
    part = client.get("/lab/demo/what-if/answer?concurrency_count=0").content.decode()
    assert "from 1 to 1,000" in part
    assert "<html" not in part
    answer = client.post("/lab/demo/what-if/apply", {"concurrency_count": "4", "max_size": "50"}, follow=True)
    settings = queue_settings.effective(space.pk)
    assert (settings.concurrency_count, settings.max_size) == (4, 50)
    text = answer.content.decode()
    assert "In force: concurrency_count 1 → 4, max_size none → 50." in text
    assert 'name="max_size" value="none"' in text
    client.post("/lab/demo/what-if/apply", {"concurrency_count": "1", "max_size": "none"})
    settings = queue_settings.effective(space.pk)
    assert (settings.concurrency_count, settings.max_size) == (1, None)
    answer = client.post("/lab/demo/what-if/apply", {"max_size": "0"}, follow=True)
    assert "from 1 to" in answer.content.decode()


def test_groups_with_a_number_of_their_own(folks: People, space: Space) -> None:
    queue_settings.found_in_code(space.pk, {"groups": [Group("/greet", 1, ("greet",))]})
    app = App(protocol="sse_v3", functions=(Function(id=0, api_name="greet", group="/greet"),))
    route = Route(
        space_id=space.pk, owner="lab", owner_id=1, name="demo", subdomain="lab-demo", sdk="gradio",
        private=False, stage="RUNNING", app=app,
    )  # fmt: skip
    redis_clients.sync_redis().set(SpaceKeys(space.pk).route, encode(route))
    crowded(space)
    found = ask(folks, concurrency_count=4)
    assert found["then"] == found["now"]  # the code's number wins
    found = ask(folks, **{"group:/greet": 4})
    assert found["then"]["wait_p95_s"] < 10 < found["now"]["wait_p95_s"]
    client = as_(folks.bob)
    for wrong in ("0", "x", "-1", "9" * 5000):
        assert client.get(API, {"group:/greet": wrong}).status_code == 400
    assert client.get(API, {"group:/other": 2}).status_code == 400
    assert "Calls at once of /greet" in client.get("/lab/demo/what-if").content.decode()
    answer = client.post("/lab/demo/what-if/apply", {"group:/greet": "4"}, follow=True)
    assert "In force: group:/greet 1 → 4." in answer.content.decode()
    assert 'name="group:/greet" value="1"' in answer.content.decode()
    assert queue_settings.groups(space.pk)[0].limit == 4
    (change,) = client.get(f"{API}/applied").json()
    assert (change["before"], change["after"]) == ({"group:/greet": 1}, {"group:/greet": 4})


def test_a_forecast_is_compared_with_what_came_of_it(folks: People, space: Space) -> None:
    crowded(space)
    client = as_(folks.bob)
    client.post("/lab/demo/what-if/apply", {"concurrency_count": "2", "range": "24h"})
    (change,) = client.get(f"{API}/applied").json()
    assert (change["before"], change["after"]) == ({"concurrency_count": 1}, {"concurrency_count": 2})
    assert (change["by"], change["until"], change["measured"]) == ("bob", None, None)
    assert change["expected"]["wait_p95_s"] == ask(folks)["now"]["wait_p95_s"] < 10
    # A while ago; since then the same visitors came, and waited 9 s.
    AppliedSettings.objects.update(applied_at=timezone.now() - timedelta(minutes=25))
    (change,) = client.get(f"{API}/applied").json()
    assert change["measured"]["wait_p95_s"] == pytest.approx(9.9, abs=0.2)
    assert change["modelled"]["wait_p95_s"] == pytest.approx(change["expected"]["wait_p95_s"], rel=0.05)
    measured, modelled = (change[name]["wait_p95_s"] for name in ("measured", "modelled"))
    assert change["error"] == pytest.approx(modelled / measured - 1)
    text = client.get("/lab/demo/what-if").content.decode()
    assert "concurrency_count 1 → 2" in text
    assert f"({change['error']:+.0%})" in text
    client.post("/lab/demo/what-if/apply", {"concurrency_count": "2"})  # changes nothing
    client.post("/lab/demo/what-if/apply", {"max_size": "9"})
    newest, before = client.get(f"{API}/applied").json()
    assert (newest["after"], before["until"]) == ({"max_size": 9}, newest["at"])
    assert before["modelled"] is None


def test_the_page_without_anything_measured_says_so(folks: People, space: Space) -> None:
    text = as_(folks.bob).get("/lab/demo/what-if").content.decode()
    assert "No call of this time was measured" in text
