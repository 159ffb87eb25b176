"""Names of owners, what membership allows, and whose a namespace is."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser

from accounts import access, people
from accounts.models import Membership, Owner
from accounts.people import BadName
from tests.people import make_people

pytestmark = pytest.mark.django_db


def test_a_user_is_an_owner_and_its_administrator() -> None:
    user = people.create_user("dora", password="long enough")
    owner = people.own_namespace(user)
    assert (owner.name, owner.kind) == ("dora", Owner.Kind.USER)
    assert Membership.objects.get(owner=owner, user=user).role == Membership.Role.ADMIN
    assert user.check_password("long enough")
    assert not people.create_user("nopassword").has_usable_password()


@pytest.mark.parametrize(
    "name", ["", "-a", "a-", ".a", "a b", "a/b", "a--b", "a..b", "ü", "x" * 97, "api", "Spaces", "run", "a\n"]
)
def test_bad_and_reserved_names_are_refused(name: str) -> None:
    with pytest.raises(BadName):
        people.create_user(name)
    assert not Owner.objects.filter(name=name).exists()


def test_a_name_is_taken_whatever_its_case_and_kind() -> None:
    alice = people.create_user("Alice")
    with pytest.raises(BadName, match="taken"):
        people.create_user("alice")
    with pytest.raises(BadName, match="taken"):
        people.create_organization("ALICE", alice)


def test_only_the_first_user_may_be_admin() -> None:
    people.create_user("admin")
    with pytest.raises(BadName):
        people.create_user("Admin")
    with pytest.raises(BadName):
        people.create_user("admin")


def test_who_may_read_and_write() -> None:
    who = make_people()
    staff = people.create_user("staff")
    staff.is_superuser = True
    expected = {
        who.alice: (True, True),
        who.bob: (True, True),
        who.reader: (True, False),
        who.charlie: (False, False),
        staff: (True, True),
    }
    for user, (read, write) in expected.items():
        assert access.can_read(user, who.lab.pk, "private") is read, user
        assert access.can_write(user, who.lab.pk) is write, user
        assert access.can_read(user, who.lab.pk, "public")
    for nobody in (None, AnonymousUser()):
        assert access.can_read(nobody, who.lab.pk, "public")
        assert not access.can_read(nobody, who.lab.pk, "private")
        assert not access.can_write(nobody, who.lab.pk)
