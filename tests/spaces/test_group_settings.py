"""Each group's limit on the Settings tab and by the API: the owner's word over the code's, over the
default."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
from django.apps import apps

from hardware.models import Replica
from infra.redis_clients import sync_redis
from queueing import queue_settings
from queueing.models import QueueSettings
from queueing.settings_in_code import settings_in_code
from queueing.store.keys import SpaceKeys
from spaces.models import Space
from tests.people import People
from tests.spaces.pages import GOOD, HTMX, as_, folks, space_of, text_of

__all__ = ["folks"]
pytestmark = pytest.mark.django_db

CODE = [
    {"id": 0, "api_name": "slow", "group": "/slow", "concurrency_limit": "default"},
    {"id": 1, "api_name": "free", "group": "/free", "concurrency_limit": None},
    {"id": 2, "api_name": "left", "group": "gpu", "concurrency_limit": 2},
    {"id": 3, "api_name": "right", "group": "gpu", "concurrency_limit": "default"},
]


def found(space: Space, **report: Any) -> None:
    queue_settings.found_in_code(
        space.pk, settings_in_code({"queue": {}, "functions": CODE, "gate": 1, **report})
    )


def limits(space: Space) -> dict[str, tuple[int | None, str]]:
    return {one.group: (one.limit, one.source) for one in queue_settings.groups(space.pk)}


def published(space: Space) -> dict[str, str]:
    raw = sync_redis().hgetall(SpaceKeys(space.pk).limits)
    return {name.decode(): value.decode() for name, value in raw.items()}


@pytest.fixture
def space(folks: People) -> Space:
    made = space_of(folks)
    found(made)
    return made


def test_the_codes_limits_count(space: Space) -> None:
    assert limits(space) == {"/slow": (1, "default"), "/free": (None, "code"), "gpu": (2, "code")}
    assert published(space) == {"main:/free": "none", "main:gpu": "2", "main:~": "20"}


def test_what_is_made_later_may_take_half_of_the_threads_where_the_app_holds_it_back(
    space: Space,
) -> None:
    found(space, gate=0)
    assert "main:~" not in published(space)


def test_the_owners_number_wins_until_it_is_taken_back(space: Space) -> None:
    queue_settings.change(space.pk, {"groups": {"gpu": 5, "/free": 3, "/slow": None}})
    assert limits(space) == {"/slow": (None, "owner"), "/free": (3, "owner"), "gpu": (5, "owner")}
    queue_settings.change(space.pk, {"groups": {"gpu": "default"}})
    assert limits(space)["gpu"] == (2, "code")
    assert published(space) == {"main:/free": "3", "main:gpu": "2", "main:/slow": "none", "main:~": "20"}


def test_a_new_version_of_the_code_changes_what_its_owner_left_alone(space: Space) -> None:
    queue_settings.change(space.pk, {"groups": {"gpu": 5}})
    queue_settings.found_in_code(
        space.pk, settings_in_code({"functions": [{**CODE[0], "concurrency_limit": 7}]})
    )
    assert limits(space) == {"/slow": (7, "code")}
    assert published(space)["main:gpu"] == "5", "a number whose group is gone is kept"
    found(space)
    assert limits(space)["gpu"] == (5, "owner")


@pytest.mark.parametrize("number", [0, -1, True, 1001, 1.5, "2", [], {}])
def test_a_number_out_of_bounds_changes_nothing(space: Space, number: Any) -> None:
    with pytest.raises(queue_settings.BadSetting, match="/slow"):
        queue_settings.change(space.pk, {"groups": {"gpu": 3, "/slow": number}})
    assert limits(space)["gpu"] == (2, "code")


def test_a_group_there_is_not_is_refused_by_naming_those_there_are(space: Space) -> None:
    with pytest.raises(queue_settings.BadSetting, match="There are: /free, /slow, gpu"):
        queue_settings.change(space.pk, {"groups": {"/fast": 3}})


def test_threads_are_never_fewer_than_one_groups_calls(space: Space) -> None:
    queue_settings.change(space.pk, {"groups": {"gpu": 60}, "max_threads": 10})
    assert queue_settings.effective(space.pk).max_threads == 60


@pytest.mark.parametrize(
    ("queue", "expected"),
    [
        ({}, 1),
        ({"default_concurrency_limit": 4}, 4),
        ({"default_concurrency_limit": None}, None),
        ({"default_concurrency_limit": 5000}, 1000),
        ({"concurrency_count": 3}, 3),
    ],
)
def test_the_codes_default_is_concurrency_count(
    space: Space, queue: dict[str, Any], expected: int | None
) -> None:
    found(space, queue=queue)
    assert queue_settings.effective(space.pk).concurrency_count == expected
    assert limits(space)["/slow"] == (expected, "default")


def test_no_limit_at_all_is_published_as_such(space: Space) -> None:
    queue_settings.change(space.pk, {"concurrency_count": None})
    assert sync_redis().hget(SpaceKeys(space.pk).cfg, "concurrency_count") == b""


def test_a_report_that_is_no_report_breaks_nothing(space: Space) -> None:
    for functions in ("x", [1, None, {"batch": True, "max_batch_size": "many"}], {"a": 1}, 5):
        found(space, functions=functions, queue={"groups": 1, "gate": [], "max_size": "x"})
    assert queue_settings.effective(space.pk).batch is False


# --- the tab ---------------------------------------------------------------------------------------


def test_the_tab_has_a_row_for_each_group_and_one_for_all(folks: People, space: Space) -> None:
    page = text_of(as_(folks.alice).get("/lab/demo/settings"))
    for name, title, placeholder in (
        ("/slow", "/slow", "1, from the default"),
        ("/free", "/free", "no limit, from the code"),
        ("gpu", "gpu: /left, /right", "2, from the code"),
    ):
        assert f'name="group:{name}"' in page
        assert f">{title}</label>" in page
        assert f'placeholder="{placeholder}"' in page
    assert 'name="max_running"' in page


def test_an_app_of_one_function_has_one_number_as_before(folks: People, space: Space) -> None:
    queue_settings.found_in_code(space.pk, settings_in_code({"functions": CODE[:1]}))
    page = text_of(as_(folks.alice).get("/lab/demo/settings"))
    assert 'name="group:' not in page
    assert 'name="max_running"' not in page


def test_what_is_typed_for_a_group_is_saved_and_emptied_again(folks: People, space: Space) -> None:
    alice = as_(folks.alice)
    typed = {"group:gpu": " 6 ", "group:/slow": "None", "group:/free": ""}
    assert alice.post("/lab/demo/settings/queue", {**GOOD, **typed}, headers=HTMX).status_code == 200
    assert limits(space) == {"/slow": (None, "owner"), "/free": (None, "code"), "gpu": (6, "owner")}
    page = text_of(alice.get("/lab/demo/settings"))
    assert 'value="none"' in page
    alice.post("/lab/demo/settings/queue", {**GOOD, **typed, "group:gpu": ""}, headers=HTMX)
    assert limits(space)["gpu"] == (2, "code")


def test_a_bad_number_is_refused_beside_its_field(folks: People, space: Space) -> None:
    typed = {"group:gpu": "many", "group:/slow": "3"}
    answer = as_(folks.alice).post("/lab/demo/settings/queue", {**GOOD, **typed}, headers=HTMX)
    page = text_of(answer)
    assert answer.status_code == 422
    assert page.count('class="error"') == 1
    assert 'value="many"' in page
    assert limits(space)["/slow"] == (1, "default")


def test_a_wild_group_name_stays_text(folks: People, space: Space) -> None:
    name = '"><script>alert(1)</script>'
    queue_settings.found_in_code(
        space.pk, settings_in_code({"functions": [*CODE, {**CODE[0], "id": 9, "group": name}]})
    )
    page = text_of(as_(folks.alice).get("/lab/demo/settings"))
    assert "<script>alert" not in page


# --- installations of before -----------------------------------------------------------------------


@pytest.mark.parametrize(("functions", "total"), [(CODE, 3), (CODE[:1], None), ([], None)])
def test_a_chosen_concurrency_count_goes_on_as_the_total(
    space: Space, functions: list[Any], total: int | None
) -> None:
    row = QueueSettings.objects.get(space=space)
    row.chosen = {"concurrency_count": 3}
    row.save()
    Replica.objects.create(space=space, tier="cpu", spec={}, report={"functions": functions})
    migration = importlib.import_module("queueing.migrations.0003_max_running")
    migration.keep_the_total(apps, None)
    row.refresh_from_db()
    assert row.chosen.get("max_running") == total
    assert row.chosen["concurrency_count"] == 3
