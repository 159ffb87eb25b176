"""The API of join tokens, for administrators; and what nodes ask for, which have a credential of their own
and no account."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import msgspec
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.views.decorators.csrf import csrf_exempt
from ninja import Router, Schema
from pydantic import ConfigDict, Field

from hardware.models import JoinToken
from hardware.trust import joining, sending, tokens
from spaces.api.deploy import as_on_the_hub
from spaces.api.hub import HubError, administrator, error_response, ok, read_json

router = Router()


class NewToken(Schema):
    """How long it lasts."""

    model_config = ConfigDict(extra="forbid")

    hours: float = Field(tokens.HOURS, description=f"At most {tokens.MOST_HOURS}.")


@router.get("/join-tokens", summary="Tokens with which machines join as nodes")
def listing(request: HttpRequest) -> HttpResponse:
    as_on_the_hub(request, administrator)
    return ok([_answer(row) for row in tokens.shown()])


@router.post("/join-tokens", summary="Make a token with which one machine joins, once")
def make(request: HttpRequest, wish: NewToken) -> HttpResponse:
    user = as_on_the_hub(request, administrator)
    try:
        row, plain = tokens.issue(user.username, wish.hours)
    except tokens.BadHours as error:
        raise HubError(400, str(error)) from error
    return ok(_answer(row) | {"token": plain})


@router.delete("/join-tokens/{token_id}", summary="Revoke a token that no machine has used")
def revoke(request: HttpRequest, token_id: int) -> HttpResponse:
    as_on_the_hub(request, administrator)
    if not tokens.revoke(token_id):
        raise HubError(404, "There is no such token that is unused.")
    return ok({"id": token_id})


def _answer(row: JoinToken) -> dict[str, Any]:
    return {
        "id": row.pk,
        "lastFour": row.last_four,
        "state": tokens.describe(row),
        "createdBy": row.created_by,
        "createdAt": row.created_at.isoformat(),
        "expiresAt": row.expires_at.isoformat(),
    }


# --- of nodes ---------------------------------------------------------------------------------------


class Renewal(msgspec.Struct):
    """For a certificate, as PEM."""

    request: str


class PartOf(msgspec.Struct):
    """What is asked for of what the replica's build made."""

    replica: int
    part: sending.Part


class Order(msgspec.Struct):
    """The replica whose order is asked for."""

    replica: int


def _of_machines(
    view: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    @csrf_exempt
    @functools.wraps(view)
    def wrapped(request: HttpRequest) -> HttpResponseBase:
        try:
            if request.method != "POST":
                raise HubError(405, "Only POST here.")
            return view(request)
        except joining.Refused as error:
            return error_response(HubError(error.status, str(error)))
        except HubError as error:
            return error_response(error)

    return wrapped


@_of_machines
def join(request: HttpRequest) -> HttpResponseBase:
    """A machine with a join token becomes a node."""
    return ok(asdict(joining.join(read_json(request, joining.Request))))


@_of_machines
def check(request: HttpRequest) -> HttpResponseBase:
    """Whether the node that asks is one still."""
    return ok({"node": joining.of_credential(_credential(request)).node.name})


@_of_machines
def renew(request: HttpRequest) -> HttpResponseBase:
    """A node's next certificate."""
    row = joining.of_credential(_credential(request))
    return ok({"certificate": joining.renew(row, read_json(request, Renewal).request)})


@_of_machines
def spec(request: HttpRequest) -> HttpResponseBase:
    """The order of a replica that is placed on the node that asks."""
    row = joining.of_credential(_credential(request))
    return ok({"spec": joining.spec_json(row, read_json(request, Order).replica)})


@_of_machines
def part(request: HttpRequest) -> HttpResponseBase:
    """What the build of a replica on the node made: its environment or its code, as a tar archive."""
    row = joining.of_credential(_credential(request))
    asked = read_json(request, PartOf)
    folder = sending.folder_for(row, asked.replica, asked.part)
    return StreamingHttpResponse(sending.archive(folder), content_type="application/x-tar")


def _credential(request: HttpRequest) -> str:
    kind, _, value = request.headers.get("Authorization", "").partition(" ")
    return value.strip() if kind.lower() == "bearer" else ""
