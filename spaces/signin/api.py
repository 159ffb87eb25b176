"""Spaceport's routes about the CI jobs that a Space trusts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema
from pydantic import ConfigDict, Field

from spaces.api.deploy import space_of
from spaces.api.hub import HubError, current_caller, ok
from spaces.models import Space
from spaces.signin import publishers

router = Router()


class NewPublisher(Schema):
    """CI jobs to trust."""

    model_config = ConfigDict(extra="forbid")

    issuer: str = Field(description="The address of who vouches for the job.", max_length=500)
    claims: dict[str, str] = Field(description="What the job's id token must say, like `repository`.")


class Publisher(Schema):
    """Trusted CI jobs."""

    id: int
    issuer: str
    claims: dict[str, str]
    created_at: datetime


PATH = "/spaces/{owner}/{name}/trusted-publishers"


@router.get(PATH, response=list[Publisher], summary="The CI jobs that may push without a stored token")
def get_publishers(request: HttpRequest, owner: str, name: str) -> Any:
    return list(_space(request, owner, name).publishers.order_by("pk"))


@router.post(PATH, response=Publisher, summary="Trust the jobs of an issuer whose id tokens say this")
def add_publisher(request: HttpRequest, owner: str, name: str, new: NewPublisher) -> Any:
    space = _space(request, owner, name)
    user = current_caller(request).user
    assert user is not None
    try:
        return publishers.add(space, user, new.issuer, new.claims)
    except publishers.BadPublisher as error:
        raise HubError(400, str(error)) from error


@router.delete(PATH + "/{publisher_id}", summary="Trust them no more")
def remove_publisher(request: HttpRequest, owner: str, name: str, publisher_id: int) -> HttpResponse:
    rows = _space(request, owner, name).publishers.filter(pk=min(publisher_id, 2**62))
    if not rows.delete()[0]:
        raise HubError(404, "There is no such trusted publisher.")
    return ok()


def _space(request: HttpRequest, owner: str, name: str) -> Space:
    """The Space, if the caller may write to it with more than a token for it alone: such a token may be a
    job's own."""
    space = space_of(request, owner, name, write=True)
    token = current_caller(request).token
    if token is not None and token.space_id is not None:
        raise HubError(403, f"This token is for {space} alone, and does not change who is trusted.")
    return space
