"""Profiles of users and organizations, as the Hub's API gives them. They never contain e-mail addresses."""

from __future__ import annotations

from typing import Any

from django.templatetags.static import static

from accounts.models import Membership, Owner, User
from spaces.models import Like, Space
from spaces.search import visible

AVATAR = "spaceport/mark.svg"


def seen(viewer: User | None, name: str, kind: str) -> Owner | None:
    """The user or organization of this name, if the viewer may see it: signed-in users always may, everybody
    once it has a public Space."""
    if "\0" in name:
        return None
    owner = Owner.objects.filter(name__iexact=name, kind=kind).first()
    if owner is None or (viewer is None and not visible(None).filter(owner=owner).exists()):
        return None
    return owner


def user_of(owner: Owner) -> User | None:
    """The user that this namespace is."""
    return User.objects.filter(username=owner.name).first()


def user(viewer: User | None, owner: Owner, base_url: str) -> dict[str, Any]:
    """The profile of a user."""
    person = user_of(owner)
    orgs = Owner.objects.filter(memberships__user=person, kind=Owner.Kind.ORGANIZATION)
    shown = [org for org in orgs if seen(viewer, org.name, Owner.Kind.ORGANIZATION)]
    return {
        **account(owner.name, owner.full_name, base_url),
        "isPro": False,
        "isFollowing": False,
        "numModels": 0,
        "numDatasets": 0,
        "numPapers": 0,
        "numDiscussions": 0,
        "numUpvotes": 0,
        "numFollowers": 0,
        "numFollowing": 0,
        "numSpaces": spaces_of(viewer, owner),
        "numLikes": Like.objects.filter(user=person, space__in=visible(viewer)).count(),
        "orgs": [_short(org, base_url) for org in shown],
    }


def organization(viewer: User | None, owner: Owner, base_url: str) -> dict[str, Any]:
    """The profile of an organization."""
    return {
        **_short(owner, base_url),
        "isVerified": False,
        "isFollowing": False,
        "numUsers": Membership.objects.filter(owner=owner).count(),
        "numModels": 0,
        "numDatasets": 0,
        "numPapers": 0,
        "numFollowers": 0,
        "numSpaces": spaces_of(viewer, owner),
    }


def account(name: str, full_name: str, base_url: str) -> dict[str, Any]:
    """A user in a list."""
    return {
        "user": name,
        "fullname": full_name or name,
        "type": "user",
        "avatarUrl": avatar(base_url),
    }


def avatar(base_url: str) -> str:
    """The one picture that everybody has."""
    return f"{base_url}{static(AVATAR)}"


def spaces_of(viewer: User | None, owner: Owner) -> int:
    """How many Spaces of this owner the viewer may see."""
    return Space.objects.filter(pk__in=visible(viewer).filter(owner=owner)).count()


def _short(org: Owner, base_url: str) -> dict[str, Any]:
    full = org.full_name or org.name
    return {"name": org.name, "fullname": full, "type": "org", "avatarUrl": avatar(base_url)}
