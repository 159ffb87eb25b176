"""Organizations: made by anybody who is signed in, and led by their administrators. Pages, and the same by
the API."""

from __future__ import annotations

from typing import Literal

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods
from ninja import Router, Schema
from pydantic import ConfigDict, Field

from accounts import people
from accounts.models import Membership, Owner, User
from spaces.api.deploy import as_on_the_hub
from spaces.api.hub import HubError, ok, unlimited

router = Router()
PAGE = "spaces/organizations.html"


def of(user: User, name: str) -> Membership | None:
    """The user's place in the organization of this name."""
    rows = Membership.objects.filter(user=user, owner__kind=Owner.Kind.ORGANIZATION)
    return rows.select_related("owner").filter(owner__name__iexact=name.replace("\0", "")).first()


# --- pages ------------------------------------------------------------------------------------------


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    """One's organizations; POST makes one."""
    assert isinstance(request.user, User)
    name, error = request.POST.get("name", "").strip(), ""
    if request.method == "POST":
        try:
            made = people.found_organization(name, request.user)
        except people.BadName as problem:
            error = str(problem)
        else:
            return redirect("organization", made.name)
    mine = Membership.objects.filter(user=request.user, owner__kind=Owner.Kind.ORGANIZATION)
    rows = mine.select_related("owner").order_by("owner__name")
    return render(request, PAGE, {"rows": rows, "name": name, "error": error}, status=422 if error else 200)


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def one(request: HttpRequest, name: str) -> HttpResponse:
    """Its members; POST adds, changes or removes one."""
    assert isinstance(request.user, User)
    place = of(request.user, name)
    if place is None:
        raise Http404("There is no such organization, or you are not in it.")
    error = ""
    if request.method == "POST":
        try:
            _change(place, request)
        except people.BadMember as problem:
            error = str(problem)
        else:
            return (
                redirect("organization", place.owner.name)
                if of(request.user, name)
                else redirect("organizations")
            )
    members = place.owner.memberships.select_related("user").order_by("user__username")
    leads = place.role == Membership.Role.ADMIN
    context = {"place": place, "members": members, "leads": leads, "error": error}
    return render(request, PAGE, context, status=422 if error else 200)


def _change(place: Membership, request: HttpRequest) -> None:
    username, role = request.POST.get("user", ""), request.POST.get("role", "")
    if request.POST.get("remove"):
        people.remove_member(place, request.POST["remove"])
        messages.success(request, f"{request.POST['remove']} is no member any more.")
    else:
        people.set_member(place, username, role)
        messages.success(request, f"{username} is a member: {role}.")


# --- the API ----------------------------------------------------------------------------------------


class NewOrganization(Schema):
    """An organization to make."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=96)


class Member(Schema):
    """What a member may do."""

    model_config = ConfigDict(extra="forbid")

    role: Literal["admin", "write", "read"]


@router.post("/organizations", summary="Make an organization, and lead it")
def make(request: HttpRequest, new: NewOrganization) -> HttpResponse:
    try:
        made = people.found_organization(new.name, _user(request))
    except people.BadName as error:
        raise HubError(400, str(error)) from error
    return ok({"name": made.name})


@router.put("/organizations/{name}/members/{user}", summary="Add a member, or change the role of one")
def put_member(request: HttpRequest, name: str, user: str, member: Member) -> HttpResponse:
    try:
        people.set_member(_place(request, name), user, member.role)
    except people.BadMember as error:
        raise HubError(400, str(error)) from error
    return ok({"user": user, "role": member.role})


@router.delete("/organizations/{name}/members/{user}", summary="Remove a member, or leave")
def delete_member(request: HttpRequest, name: str, user: str) -> HttpResponse:
    try:
        people.remove_member(_place(request, name), user)
    except people.BadMember as error:
        raise HubError(400, str(error)) from error
    return ok()


def _place(request: HttpRequest, name: str) -> Membership:
    place = of(_user(request), name)
    if place is None:
        raise HubError(404, f"You are in no organization '{name[:100]}'.")
    return place


def _user(request: HttpRequest) -> User:
    user = as_on_the_hub(request, lambda request: unlimited(request).user)
    assert user is not None
    return user
