"""The API of nodes and hardware tiers, for administrators."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema
from pydantic import ConfigDict, Field

from accounts.models import Membership
from hardware import load, nodes
from hardware.models import HardwareTier, HardwareUse, Node
from hardware.tiers import metering, rows
from hardware.tiers.form import TierForm, values_of
from hardware.upkeep import draining
from spaces.api.deploy import as_on_the_hub
from spaces.api.hub import HubError, administrator, ok, operator, signed_in
from spaces.models import Space
from spaces.room import tiers

router = Router()


class TierChange(Schema):
    """Any subset of a tier's values; a new one needs title, cpus and memory_gb."""

    model_config = ConfigDict(extra="forbid")

    title: str = ""
    note: str = ""
    cpus: float = 0
    memory_gb: float = 0
    pids: int = 512
    gpu: str = Field("", description="Words of its model's name, as nvidia-smi prints them; empty for none.")
    gpu_memory_gb: float = 0
    aliases: list[str] = Field([], description="The Hub's names for it; the first is the one in answers.")
    sandbox: str = Field("", description="The engine's runtime: runsc is gVisor; empty for the engine's own.")
    price_per_hour: Decimal = Decimal(0)
    most_per_owner: int | None = Field(None, description="Replicas of one owner on it at once.")
    is_closed: bool = Field(default=False, description="No Space can choose it any more; those on it stay.")
    is_restricted: bool = Field(default=False, description="Only `owners` may choose it.")
    owners: list[str] = []


@router.get("/tiers", summary="All hardware tiers")
def listing(request: HttpRequest) -> HttpResponse:
    as_on_the_hub(request, administrator)
    return ok([_answer(row) for row in HardwareTier.objects.order_by("pk")])


@router.put("/tiers/{name}", summary="Make or change a hardware tier")
def put(request: HttpRequest, name: str, change: TierChange) -> HttpResponse:
    as_on_the_hub(request, administrator)
    row = HardwareTier.objects.filter(name=name).first()
    before = values_of(row) if row is not None else TierChange.model_construct().model_dump()
    given = change.model_dump(exclude_unset=True)
    values = {key: _typed(value) for key, value in (before | given).items()}
    form = TierForm({**values, "name": name}, row=row)
    try:
        if not form.is_valid():
            found = [f"{field}: {text}" for field, texts in form.errors.items() for text in texts]
            raise forms.ValidationError(found)
        return ok(_answer(form.save()))
    except forms.ValidationError as error:
        raise HubError(400, " ".join(error.messages)) from error


@router.delete("/tiers/{name}", summary="Delete a hardware tier that nothing uses")
def delete(request: HttpRequest, name: str) -> HttpResponse:
    as_on_the_hub(request, administrator)
    row = HardwareTier.objects.filter(name=name).first()
    if row is None:
        raise HubError(404, f"There is no tier '{name[:40]}'.")
    try:
        tiers.delete(row)
    except tiers.InUse as error:
        raise HubError(409, str(error)) from error
    return ok({"name": name})


@router.get("/usage", summary="Hours on hardware and what they cost, by Space, in a month")
def get_usage(request: HttpRequest, month: str = "") -> HttpResponse:
    """Of the caller's own Spaces and those of the caller's organizations; for administrators of all. `month`:
    like 2026-11; this one, where not given."""
    user = as_on_the_hub(request, signed_in).user
    assert user is not None
    try:
        first = date.fromisoformat(f"{month}-01") if month else None
    except ValueError as error:
        raise HubError(400, f"month is '{month[:20]}', but should be like 2026-11.") from error
    owners = Membership.objects.filter(user=user).values_list("owner_id", flat=True)
    uses = metering.of_all(first, None if user.is_superuser else list(owners))
    return ok({"currency": settings.SPACEPORT_CURRENCY, "usage": [_use(use) for use in uses]})


def _use(use: HardwareUse) -> dict[str, Any]:
    names = {
        "owner": use.owner.name,
        "space": use.space_name,
        "tier": use.tier,
        "month": f"{use.month:%Y-%m}",
    }
    return names | {"hours": round(use.hours, 3), "cost": f"{use.cost:.4f}"}


# --- nodes ------------------------------------------------------------------------------------------


@router.get("/nodes", summary="All nodes: what they serve and run, and how far a drain is")
def list_nodes(request: HttpRequest) -> HttpResponse:
    as_on_the_hub(request, administrator)
    return ok([_node(node) for node in Node.objects.order_by("name")])


@router.get("/nodes/{name}/load", summary="The load of a node's machine over time")
def get_load(request: HttpRequest, name: str, range: Literal["1h", "24h"] = "1h") -> HttpResponse:  # noqa: A002
    as_on_the_hub(request, operator)
    return ok(load.history(_found(name).pk, range))


@router.post("/nodes/{name}/drain", summary="Move what a node runs to others, and send nothing new there")
def drain(request: HttpRequest, name: str) -> HttpResponse:
    return _order(request, name, draining.drain)


@router.post("/nodes/{name}/undrain", summary="Send replicas to a node again")
def undrain(request: HttpRequest, name: str) -> HttpResponse:
    return _order(request, name, draining.undrain)


@router.delete("/nodes/{name}", summary="Forget a node that is down, or drained, and runs nothing")
def remove_node(request: HttpRequest, name: str) -> HttpResponse:
    return _order(request, name, draining.remove)


def _order(request: HttpRequest, name: str, order: Callable[[Node], str]) -> HttpResponse:
    as_on_the_hub(request, administrator)
    try:
        return ok({"message": order(_found(name))})
    except draining.Refused as error:
        raise HubError(409, str(error)) from error


def _found(name: str) -> Node:
    node = Node.objects.filter(name=name).first()
    if node is None:
        raise HubError(404, f"There is no node '{name[:200]}'.")
    return node


def _node(node: Node) -> dict[str, Any]:
    now = draining.progress(node)
    names = {space.pk: str(space) for space in Space.objects.filter(pk__in=now.stays).select_related("owner")}
    drain = {
        "moved": now.moved,
        "of": now.of,
        "stays": {names[pk]: why for pk, why in now.stays.items() if pk in names},
    }
    return {
        "name": node.name,
        "state": draining.describe(node),
        "tiers": node.tiers,
        "capacity": node.capacity,
        "replicas": node.replicas.filter(state__in=nodes.ACTIVE).count(),
        "drain": drain if node.draining_since else None,
    }


# --- in common --------------------------------------------------------------------------------------


def _answer(row: HardwareTier) -> dict[str, Any]:
    names = {"aliases": row.aliases, "owners": [owner.name for owner in row.owners.order_by("name")]}
    return values_of(row) | names | {"price_per_hour": rows.of(row).price}


def _typed(value: Any) -> Any:
    return ", ".join(value) if isinstance(value, list) else value
