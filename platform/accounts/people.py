"""Making people and organizations: every user and organization is an owner of Spaces by its name."""

from __future__ import annotations

import re

from django.db import transaction

from accounts.models import Membership, Owner, User

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9])?")

#: Words that stand where an owner's name would: in the API's paths and on the platform's pages.
RESERVED = {
    "admin", "api", "buckets", "console", "dashboard", "datasets", "docs", "enter", "hardware", "healthz",
    "kernels", "login", "logout", "metrics", "models", "new", "oauth", "password", "run", "semantic-search",
    "settings", "signup", "spaces", "static", "templates", "tokens", "ws", "zero-gpu",
}  # fmt: skip


class BadName(ValueError):
    """A name that no owner can have; the message says why."""


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


def own_namespace(user: User) -> Owner:
    """The owner that is this user."""
    return Owner.objects.get(kind=Owner.Kind.USER, name=user.username)
