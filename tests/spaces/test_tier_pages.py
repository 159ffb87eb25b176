"""Administrators add, change, limit and delete tiers, on the console's page and by the API; and what owners
meet of that."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts import tokens
from hardware.models import HardwareTier, Replica
from hardware.nodes import register
from hardware.tiers import TIERS, tier
from spaces import creation
from spaces.models import Space
from tests.people import People
from tests.spaces.pages import as_, folks, space_of, text_of

__all__ = ["folks"]
pytestmark = pytest.mark.django_db

L4 = {
    "name": "l4", "title": "NVIDIA L4", "cpus": "8", "memory_gb": "30", "pids": "1024", "gpu": "L4",
    "gpu_memory_gb": "24", "aliases": "l4x1, l4", "price_per_hour": "0.8", "note": "Mid-sized models.",
}  # fmt: skip


@pytest.fixture
def admin(folks: People, django_capture_on_commit_callbacks: Any) -> Client:
    """An administrator's browser; what a request does once it is committed is done at its end."""
    folks.bob.is_superuser = folks.bob.is_staff = True
    folks.bob.save()
    return Acting(as_(folks.bob), django_capture_on_commit_callbacks)  # type: ignore[return-value]


class Acting:
    def __init__(self, client: Client, capture: Any) -> None:
        self.client, self.capture = client, capture

    def __getattr__(self, method: str) -> Any:
        def act(*arguments: Any, **named: Any) -> Any:
            with self.capture(execute=True):
                return getattr(self.client, method)(*arguments, **named)

        return act


def change(admin: Client, of: str, **values: str) -> Any:
    """The form of a tier that is there, filled in anew; an empty box is left out."""
    page = admin.get(f"/console/tiers/edit/{of}")
    now = {key: value for key, value in page.context["form"].initial.items() if value not in (None, False)}
    return admin.post(f"/console/tiers/edit/{of}", now | values)


def choose(who: Any, space: Space, name: str) -> Any:
    return as_(who).post(f"/{space}/settings/hardware", {"tier": name})


def test_a_tier_that_was_added_is_offered_priced_and_chosen(
    folks: People, admin: Client, settings: Any
) -> None:
    settings.SPACEPORT_CURRENCY = "EUR"
    space = space_of(folks)
    made = admin.post("/console/tiers/new", {**L4, "aliases": "l4x1", "sandbox": "runsc"})
    assert made["Location"] == "/console/tiers"
    assert "0.8 EUR" in text_of(admin.get("/console/tiers"))
    assert tier("l4").limits.to_json()["sandbox"] == "runsc"
    page = text_of(as_(folks.alice).get("/lab/demo/settings"))
    for said in (
        "NVIDIA L4",
        "8 cores, 30 GB memory, 24 GB on the GPU · 0.8 EUR an hour",
        "Mid-sized models. Spaces run in the sandbox runsc.",
    ):
        assert said in page
    assert choose(folks.alice, space, "l4x1").status_code == 302
    space.refresh_from_db()
    assert space.hardware == "l4"
    offered = {one["name"]: one for one in Client().get("/api/spaces/hardware").json()}
    assert offered["l4x1"]["pricePerHour"] == {"amount": "0.8", "currency": "EUR"}
    assert (offered["l4x1"]["unitCostUSD"], offered["l4x1"]["accelerator"]["vram"]) == (0, "24 GB")
    settings.SPACEPORT_CURRENCY = "USD"
    offered = {one["name"]: one for one in Client().get("/api/spaces/hardware").json()}
    assert offered["l4x1"]["unitCostMicroUSD"] == 13333


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("name", "L4!", "Lower-case letters"),
        ("name", "t4-small", "&#x27;t4-small&#x27; is NVIDIA T4 hardware already."),
        ("aliases", "l4x1, cpu-basic", "&#x27;cpu-basic&#x27; is CPU hardware already."),
        ("aliases", "l4", "is its name already"),
        ("aliases", "<b>", "&#x27;&lt;b&gt;&#x27;: lower-case letters"),
        ("cpus", "0", "greater than or equal to 0.1"),
        ("cpus", "nan", "Enter a number."),
        ("memory_gb", "", "This field is required."),
        ("gpu", "L4; rm", "Words of its model"),
        ("gpu", "", "The model that has this memory."),
        ("gpu_memory_gb", "", "How much memory the GPU has."),
        ("sandbox", "runsc --platform=ptrace", "As `docker info` names it"),
        ("price_per_hour", "-1", "greater than or equal to 0"),
        ("owners", "alice", "everybody may use it"),
        ("most_per_owner", "0", "greater than or equal to 1"),
    ],
)
def test_a_bad_value_is_refused_beside_its_field(admin: Client, field: str, value: str, said: str) -> None:
    answer = admin.post("/console/tiers/new", {**L4, "aliases": "l4x1", field: value})
    assert answer.status_code == 422
    assert said in text_of(answer)
    assert HardwareTier.objects.count() == 3


def test_an_unknown_owner_is_named(admin: Client) -> None:
    answer = change(admin, "t4", is_restricted="on", owners="alice, nobody-here")
    assert "There is no user or organization &#x27;nobody-here&#x27;." in text_of(answer)


def test_a_tier_keeps_its_name(admin: Client) -> None:
    assert "keeps its name" in text_of(change(admin, "t4", name="t5"))
    assert tier("t4").name == "t4"


def test_a_restricted_tier_is_for_the_owners_that_are_named(folks: People, admin: Client) -> None:
    space = space_of(folks)
    assert change(admin, "a100", is_restricted="on", owners="ALICE").status_code == 302
    assert "NVIDIA A100" not in text_of(as_(folks.alice).get("/lab/demo/settings"))
    assert "for some owners only" in text_of(choose(folks.alice, space, "a100"))
    names = [one["name"] for one in Client().get("/api/spaces/hardware").json()]
    assert names == ["cpu-basic", "t4-small"]
    assert change(admin, "a100", is_restricted="on", owners="lab").status_code == 302
    assert choose(folks.alice, space, "a100").status_code == 302
    assert change(admin, "a100", is_restricted="on", owners="").status_code == 302
    assert "NVIDIA A100" in text_of(as_(folks.alice).get("/lab/demo/settings")), "the Space is on it"
    moved = as_(folks.alice).post("/lab/demo/settings/move", {"owner": "alice", "name": "demo"})
    assert "for some owners only" in text_of(moved)


def test_a_closed_tier_keeps_its_spaces_and_takes_no_more(folks: People, admin: Client) -> None:
    there, other = space_of(folks), space_of(folks, "other")
    choose(folks.alice, there, "t4")
    assert change(admin, "t4", is_closed="on").status_code == 302
    assert "takes no more Spaces" in text_of(choose(folks.alice, other, "t4"))
    assert choose(folks.alice, there, "t4").status_code == 302
    with pytest.raises(ValueError, match="takes no more Spaces"):
        creation.create(folks.lab, "third", sdk="gradio", author="alice", hardware="t4-small")


def test_a_tier_is_deleted_once_no_space_is_on_it(folks: People, admin: Client) -> None:
    space = space_of(folks)
    choose(folks.alice, space, "t4")
    kept = text_of(admin.post("/console/tiers/delete/t4", follow=True))
    assert "1 Space is on NVIDIA T4 hardware. Move them first, or close it to new ones." in kept
    assert "so it stays" in text_of(admin.post("/console/tiers/delete/cpu", follow=True))
    choose(folks.alice, space, "cpu")
    assert "NVIDIA T4 is deleted." in text_of(admin.post("/console/tiers/delete/t4", follow=True))
    assert list(TIERS) == ["cpu", "a100"]
    assert "no hardware &#x27;t4&#x27;" in text_of(choose(folks.alice, space, "t4"))


def test_pages_show_what_is_left_of_a_deleted_tier(folks: People, admin: Client) -> None:
    space_of(folks)
    register("old", {"gone": False}, "process")
    assert "gone" in text_of(admin.get("/console"))


def test_tiers_are_changed_by_the_api_too(folks: People, admin: Client) -> None:
    def call(method: str, path: str, who: Any = folks.bob, **body: Any) -> Any:
        token = tokens.issue(who, "tests")[1]
        return getattr(admin, method)(
            path, body, content_type="application/json", headers={"Authorization": f"Bearer {token}"}
        )

    made = call("put", "/api/tiers/h100", title="NVIDIA H100", cpus=16, memory_gb=200, gpu="H100",
                gpu_memory_gb=80, aliases=["h100"], owners=["lab"], is_restricted=True)  # fmt: skip
    assert made.json()["error"] == "aliases: 'h100' is its name already."
    made = call("put", "/api/tiers/h100", title="NVIDIA H100", cpus=16, memory_gb=200, gpu="H100",
                gpu_memory_gb=80, owners=["lab"], is_restricted=True)  # fmt: skip
    assert (made.status_code, made.json()["owners"], made.json()["pids"]) == (200, ["lab"], 512)
    changed = call("put", "/api/tiers/h100", price_per_hour="2.5")
    assert (changed.json()["price_per_hour"], changed.json()["cpus"]) == ("2.5", 16.0)
    assert [one["name"] for one in call("get", "/api/tiers").json()] == ["cpu", "t4", "a100", "h100"]
    assert call("put", "/api/tiers/h100", colour="red").status_code == 400
    assert call("put", "/api/tiers/h100", cpus=0).json()["error"].startswith("cpus: Ensure this value is")
    assert call("put", "/api/tiers/h100", folks.alice, cpus=1).status_code == 403
    assert call("delete", "/api/tiers/cpu").status_code == 409
    assert call("delete", "/api/tiers/h100").status_code == 200
    assert call("delete", "/api/tiers/h100").status_code == 404


def test_hours_on_hardware_are_shown_to_their_owner(folks: People, admin: Client, settings: Any) -> None:
    settings.SPACEPORT_CURRENCY = "EUR"
    space = space_of(folks)
    now = timezone.now()
    two_hours = {"ready_at": now - timedelta(hours=2), "ended_at": now, "price_per_hour": Decimal("0.5")}
    Replica.objects.create(space=space, tier="t4", spec={}, state=Replica.State.STOPPED, **two_hours)
    settings_page = text_of(as_(folks.alice).get("/lab/demo/settings"))
    assert "h on NVIDIA T4" in settings_page
    month = f"{now:%Y-%m}"
    answer = as_(folks.alice).get(f"/api/usage?month={month}").json()
    assert answer["currency"] == "EUR"
    found = answer["usage"]
    assert {(one["owner"], one["space"], one["tier"]) for one in found} == {("lab", "lab/demo", "t4")}
    assert as_(folks.charlie).get("/api/usage").json()["usage"] == []
    assert as_(folks.alice).get("/api/usage?month=soon").status_code == 400
    assert Client().get("/api/usage").status_code == 401


def test_strangers_find_none_of_these_pages(folks: People) -> None:
    for client in (Client(), as_(folks.alice)):
        assert client.get("/console/tiers").status_code == 404
        assert client.post("/console/tiers/new", L4).status_code == 404
        assert client.post("/console/tiers/delete/t4").status_code == 404


def test_hardware_that_a_card_suggests_is_checked(folks: People) -> None:
    def warnings(hardware: str) -> Any:
        card = f"---\nsdk: gradio\nsuggested_hardware: {hardware}\n---\n"
        answer = Client().post("/api/validate-yaml", {"content": card}, content_type="application/json")
        return [one["message"] for one in answer.json()["warnings"]]

    assert warnings("t4-medium") == []
    assert warnings("quantum")[0].startswith("suggested_hardware: There is no hardware 'quantum'.")
