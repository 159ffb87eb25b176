"""Making people and organizations: every user and organization is an owner of Spaces by its name."""

from __future__ import annotations

import re

from django.db import IntegrityError, transaction

from accounts.models import Membership, Owner, User

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9])?")

#: Words that stand where an owner's name would: in the API's paths and on the platform's pages.
RESERVED = {
    "admin", "api", "buckets", "collections", "console", "dashboard", "datasets", "docs", "enter",
    "hardware", "healthz", "kernels", "login", "logout", "metrics", "models", "new", "oauth", "password",
    "run", "semantic-search", "settings", "signup", "spaces", "static", "templates", "tokens", "uploads",
    "ws", "zero-gpu",
}  # fmt: skip


MOST_LED = 20  # organizations of one user


class BadMember(ValueError):
    """No member can be so; the message gives the reason."""


class BadName(ValueError):
    """A name that no owner can have; the message gives the reason."""


def check_name(name: str) -> str:
    """The name, if an owner may have it.

    Raises:
        BadName
    """
    if not _NAME.fullmatch(name) or "--" in name or ".." in name:
        raise BadName(
            f"'{name}' is no name for a user or organization: use letters, digits, '-', '_' and '.', at most "
            "96 of them, beginning and ending with a letter or digit, without '--' or '..'."
        )
    if name.lower() in RESERVED:
        raise BadName(f"The name '{name}' is reserved.")
    if Owner.objects.filter(name__iexact=name).exists():
        raise BadName(f"The name '{name}' is taken.")
    return name


@transaction.atomic
def create_user(username: str, password: str | None = None, email: str = "") -> User:
    """A user, the owner of the same name, and the membership between them.

    Raises:
        BadName
    """
    # Only the very first user may have a reserved name: it is the installation's own `admin`.
    if username != "admin" or Owner.objects.filter(name__iexact=username).exists():
        check_name(username)
    user = User.objects.create_user(username, email=email, password=password)
    add_namespace(user)
    return user


@transaction.atomic
def add_namespace(user: User) -> Owner:
    """The owner of a new user's name, which is theirs."""
    owner = Owner.objects.create(name=user.username, kind=Owner.Kind.USER)
    Membership.objects.create(owner=owner, user=user, role=Membership.Role.ADMIN)
    return owner


@transaction.atomic
def create_organization(name: str, admin: User) -> Owner:
    """An organization with its first administrator.

    Raises:
        BadName
    """
    owner = Owner.objects.create(name=check_name(name), kind=Owner.Kind.ORGANIZATION)
    Membership.objects.create(owner=owner, user=admin, role=Membership.Role.ADMIN)
    return owner


def found_organization(name: str, user: User) -> Owner:
    """An organization made by a user, its first administrator.

    Raises:
        BadName
    """
    led = Membership.objects.filter(
        user=user, role=Membership.Role.ADMIN, owner__kind=Owner.Kind.ORGANIZATION
    )
    if led.count() >= MOST_LED:
        raise BadName(f"You lead {MOST_LED} organizations already.")
    try:
        return create_organization(name, user)
    except IntegrityError:
        raise BadName(f"The name '{name}' is taken.") from None


@transaction.atomic
def set_member(place: Membership, username: str, role: str) -> None:
    """The holder of this membership adds a member to the organization, or changes a member's role.

    Raises:
        BadMember
    """
    _must_lead(place)
    if role not in Membership.Role.values:
        raise BadMember(f"A role is one of {', '.join(Membership.Role.values)}.")
    user = User.objects.filter(username__iexact=username.replace("\0", ""), is_active=True).first()
    if user is None:
        raise BadMember(f"There is no user '{username[:100]}'.")
    if role != Membership.Role.ADMIN:
        _must_not_be_last(place.owner, user)
    Membership.objects.update_or_create(owner=place.owner, user=user, defaults={"role": role})


@transaction.atomic
def remove_member(place: Membership, username: str) -> None:
    """The holder of this membership removes a member, or leaves.

    Raises:
        BadMember
    """
    there = Membership.objects.filter(owner=place.owner, user__username__iexact=username.replace("\0", ""))
    member = there.select_related("user").first()
    if member is None:
        raise BadMember(f"'{username[:100]}' is no member.")
    if member.pk != place.pk:
        _must_lead(place)
    _must_not_be_last(place.owner, member.user)
    member.delete()


def _must_lead(place: Membership) -> None:
    if place.role != Membership.Role.ADMIN:
        raise BadMember(f"Only administrators of {place.owner} change its members.")


def _must_not_be_last(owner: Owner, user: User) -> None:
    """An organization without an administrator could never have one again."""
    Owner.objects.select_for_update().get(pk=owner.pk)  # two that leave at once are one after the other
    admins = Membership.objects.filter(owner=owner, role=Membership.Role.ADMIN)
    if list(admins.values_list("user_id", flat=True)) == [user.pk]:
        raise BadMember(f"{user} is the last administrator of {owner}: name another one first.")


def own_namespace(user: User) -> Owner:
    """The owner that is this user."""
    return Owner.objects.get(kind=Owner.Kind.USER, name=user.username)
