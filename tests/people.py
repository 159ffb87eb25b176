"""The people of the tests: alice owns things, bob is in her organization `lab`, charlie is a stranger."""

from __future__ import annotations

from dataclasses import dataclass

from accounts import people
from accounts.models import Membership, Owner, User


@dataclass(frozen=True)
class People:
    """Who there is."""

    alice: User
    bob: User
    reader: User
    charlie: User
    lab: Owner


def make_people() -> People:
    """Everybody, in the database that Django is connected to."""
    alice, bob, reader, charlie = (
        people.create_user(name, password=f"{name}-secret") for name in ("alice", "bob", "reader", "charlie")
    )
    lab = people.create_organization("lab", alice)
    Membership.objects.create(owner=lab, user=bob, role=Membership.Role.WRITE)
    Membership.objects.create(owner=lab, user=reader, role=Membership.Role.READ)
    return People(alice, bob, reader, charlie, lab)
