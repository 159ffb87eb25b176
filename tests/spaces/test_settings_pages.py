"""The Settings tab: what is saved, what is refused beside its field, and what is never shown again."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from accounts import tokens
from hardware import nodes
from queueing import queue_settings
from queueing.setting_fields import Settings
from spaces.models import ReplicaRange, Secret, Space, Stage, Variable
from tests.people import People
from tests.spaces.pages import GOOD, HTMX, as_, folks, space_of, text_of

__all__ = ["folks"]
pytestmark = pytest.mark.django_db


def test_queue_settings_are_saved_and_act(folks: People) -> None:
    space = space_of(folks)
    answer = as_(folks.alice).post("/lab/demo/settings/queue", GOOD, headers=HTMX)
    assert answer.status_code == 200
    assert "Saved" in text_of(answer)
    wanted = Settings(
        concurrency_count=4,
        max_size=20,
        batch=True,
        max_batch_size=8,
        api_open=False,
        policy="fair",
        page_weight=3,
    )
    assert queue_settings.effective(space.pk) == wanted


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("concurrency_count", "-3"),
        ("concurrency_count", "a lot"),
        ("concurrency_count", "9" * 5000),
        ("max_size", "0"),
        ("max_batch_size", "1.5"),
        ("max_threads", ""),
        ("max_threads", '"><script>'),
        ("policy", "mine first"),
        ("page_weight", "11"),
        ("max_per_visitor", "-1"),
    ],
)
@pytest.mark.parametrize("headers", [HTMX, {}])
def test_bad_settings_are_refused_beside_the_field(
    folks: People, name: str, typed: str, headers: dict[str, str]
) -> None:
    space = space_of(folks)
    answer = as_(folks.alice).post("/lab/demo/settings/queue", {**GOOD, name: typed}, headers=headers)
    page = text_of(answer)
    assert answer.status_code == 422
    assert f'id="e-{name}"' in page
    assert page.count('class="error"') == 1
    assert 'value="20"' in page or name == "max_size"  # what was typed elsewhere is kept
    assert '"><script>' not in page
    assert queue_settings.effective(space.pk) == Settings()


def test_what_is_left_alone_stays_the_codes_to_decide(folks: People) -> None:
    space = space_of(folks)
    queue_settings.found_in_code(space.pk, {"max_batch_size": 16})
    now = {
        "concurrency_count": "2",
        "max_size": "",
        "max_batch_size": "16",
        "max_threads": "40",
        "api_open": "on",
        "policy": "fifo",
        "page_weight": "2",
        "max_per_visitor": "",
        "retry": "on",
        "step_down": "on",
    }
    as_(folks.alice).post("/lab/demo/settings/queue", now)
    queue_settings.found_in_code(space.pk, {"max_batch_size": 32})
    assert queue_settings.effective(space.pk).max_batch_size == 32
    assert queue_settings.effective(space.pk).concurrency_count == 2


def test_hardware_without_a_node_is_told_at_once(folks: People) -> None:
    nodes.register("here", {"cpu": False, "t4": True}, "process")
    space_of(folks)
    client = as_(folks.alice)
    page = text_of(client.get("/lab/demo/settings"))
    assert "simulated" in page
    assert page.count("no node is up") == 1
    assert client.post("/lab/demo/settings/hardware", {"tier": "a100"}, headers=HTMX)["HX-Refresh"] == "true"
    assert Space.objects.get(name="demo").hardware == "a100"
    assert "No node with NVIDIA A100 hardware is up" in text_of(client.get("/lab/demo/settings"))
    answer = client.post("/lab/demo/settings/hardware", {"tier": "abacus"}, headers=HTMX)
    assert answer.status_code == 422
    assert "no hardware &#x27;abacus&#x27;" in text_of(answer)


def test_a_secret_is_never_shown_again(folks: People) -> None:
    space = space_of(folks)
    client = as_(folks.alice)
    answer = client.post("/lab/demo/settings/secrets", {"key": "KEY", "value": "open sesame"}, headers=HTMX)
    assert "KEY" in text_of(answer)
    assert Secret.objects.get(space=space).value == "open sesame"
    for shown in (answer, client.get("/lab/demo/settings")):
        assert "sesame" not in text_of(shown)
    refused = client.post(
        "/lab/demo/settings/secrets", {"key": "1 bad", "value": "open sesame"}, headers=HTMX
    )
    assert refused.status_code == 422
    assert "sesame" not in text_of(refused)
    client.post("/lab/demo/settings/secrets", {"key": "KEY", "value": "new"}, headers=HTMX)
    assert Secret.objects.get(space=space).value == "new"
    client.post("/lab/demo/settings/secrets", {"key": "KEY", "delete": "KEY"}, headers=HTMX)
    assert not Secret.objects.exists()


def test_variables_are_added_changed_deleted(folks: People) -> None:
    space_of(folks)
    client = as_(folks.alice)
    client.post("/lab/demo/settings/variables", {"key": "SIZE", "value": "a", "description": "how big"})
    client.post("/lab/demo/settings/variables", {"key": "SIZE", "value": "b"})
    one = Variable.objects.get()
    assert (one.value, one.description) == ("b", "how big")
    refused = client.post("/lab/demo/settings/variables", {"key": "no space", "value": "kept"}, headers=HTMX)
    assert refused.status_code == 422
    assert 'id="variables-key-error"' in text_of(refused)
    assert 'value="kept"' in text_of(refused)
    client.post("/lab/demo/settings/variables", {"key": "SIZE", "delete": "SIZE"})
    assert not Variable.objects.exists()


def test_sleep_visibility_pause(folks: People) -> None:
    space = space_of(folks)
    client = as_(folks.alice)
    client.post("/lab/demo/settings/sleep", {"seconds": "300"})
    client.post("/lab/demo/settings/visibility", {"visibility": "private"})
    client.post("/lab/demo/settings/action/pause")
    space.refresh_from_db()
    assert (space.sleep_time_s, space.visibility, space.stage) == (300, "private", Stage.PAUSED)
    assert client.post("/lab/demo/settings/sleep", {"seconds": "-5"}, headers=HTMX).status_code == 422
    assert client.post("/lab/demo/settings/visibility", {"visibility": "x"}, headers=HTMX).status_code == 422
    assert client.post("/lab/demo/settings/nothing").status_code == 404
    assert client.post("/lab/demo/settings/action/nothing").status_code == 404


def test_a_space_runs_on_more_replicas(folks: People) -> None:
    space = space_of(folks)
    client = as_(folks.alice)
    assert "Saved" in text_of(client.post("/lab/demo/settings/replicas", {"replicas": "3"}, headers=HTMX))
    assert 'value="3"' in text_of(client.get("/lab/demo/settings"))
    for typed in ("0", "11", "many", "9" * 5000, ""):
        refused = client.post("/lab/demo/settings/replicas", {"replicas": typed}, headers=HTMX)
        assert (refused.status_code, "1 to 10 replicas" in text_of(refused)) == (422, True)
    space.refresh_from_db()
    assert space.replica_count == 3
    Space.objects.update(sdk="static")
    assert "Replicas" not in text_of(client.get("/lab/demo/settings"))
    refused = client.post("/lab/demo/settings/replicas", {"replicas": "2"}, headers=HTMX)
    assert "needs no replicas" in text_of(refused)


def test_a_space_runs_on_as_many_replicas_as_its_visitors_need(folks: People) -> None:
    space = space_of(folks)
    client = as_(folks.alice)
    path = "/lab/demo/settings/replicas"
    typed = {"scale": "range", "replicas": "1", "least": "2", "most": "5", "goal_s": "7,5", "quiet_s": ""}
    assert "Saved" in text_of(client.post(path, typed, headers=HTMX))
    row = ReplicaRange.objects.get(space=space)
    assert (row.least, row.most, row.goal_s, row.quiet_s) == (2, 5, 7.5, 20)
    assert "2 to 5 replicas" in text_of(client.get("/lab/demo/settings"))
    assert "2 to 5 replicas" in text_of(client.get("/lab/demo/settings/scaling"))
    for wrong, message in (
        ({"least": "0"}, "The least is 1 to 10"),
        ({"most": "1"}, "The most is 2"),
        ({"goal_s": "soon"}, "The goal for the wait is 0.5 to 3600 seconds"),
        ({"quiet_s": "-1"}, "The time without need is 1 to 86400 seconds"),
    ):
        refused = client.post(path, typed | wrong, headers=HTMX)
        assert (refused.status_code, message in text_of(refused)) == (422, True)
    assert "Saved" in text_of(client.post(path, {"scale": "fixed", "replicas": "1"}, headers=HTMX))
    assert not ReplicaRange.objects.exists()


def test_a_range_is_set_and_read_by_the_api(folks: People) -> None:
    space_of(folks)
    token = {"Authorization": f"Bearer {tokens.issue(folks.alice, 'scaling')[1]}"}
    asked = {"min_replicas": 1, "max_replicas": 3, "goal_p90_s": 10, "quiet_s": 60}

    def post(values: dict[str, Any]) -> Any:
        return Client().post(
            "/api/spaces/lab/demo/replicas", values, content_type="application/json", headers=token
        )

    assert post(asked).json()["replicas"]["requested"] == 1
    found = Client().get("/api/spaces/lab/demo/replicas", headers=token).json()
    assert (found["range"], found["now"]) == (asked, "1 to 3 replicas, when it runs.")
    for wrong, message in (
        ({"replicas": 2, "max_replicas": 3}, "Either 'replicas' or a range"),
        ({"min_replicas": 1, "goal_p90_s": 5}, "'max_replicas' is missing"),
        ({}, "'replicas' must be a whole number"),
        (asked | {"min_replicas": True}, "'min_replicas' must be a whole number"),
        (asked | {"goal_p90_s": "10"}, "'goal_p90_s' must be a number of seconds"),
        (asked | {"goal_p90_s": 1e300}, "0.5 to 3600 seconds"),
        (asked | {"max_replicas": 99}, "to 10 replicas"),
    ):
        refused = post(wrong)
        assert (refused.status_code, message in refused.json()["error"]) == (400, True), refused.json()
    assert post({"replicas": 2}).status_code == 200
    found = Client().get("/api/spaces/lab/demo/replicas", headers=token).json()
    assert (found["requested"], found["range"]) == (2, None)


def test_deleting_needs_the_typed_name(folks: People) -> None:
    space_of(folks)
    client = as_(folks.alice)
    answer = client.post("/lab/demo/settings/delete", {"confirm": "demo"})
    assert answer.status_code == 422
    assert "Type lab/demo exactly" in text_of(answer)
    assert Space.objects.exists()
    client.post("/lab/demo/settings/delete", {"confirm": "lab/demo"})
    assert not Space.objects.exists()
