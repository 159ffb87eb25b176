"""Signing in and out, and the tokens page: a token's value is shown once, and only its owner ends it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from accounts import people, tokens
from accounts.models import AccessToken, Owner, User
from tests.spaces.pages import as_, text_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada(settings: Any) -> User:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    return people.create_user("ada", password="engine no 1")


def test_signing_in_and_out(ada: User) -> None:
    client = Client()
    wrong = client.post("/login", {"username": "ada", "password": "no"})
    assert "Please enter a correct username and password" in text_of(wrong)
    given = {"username": "ada", "password": "engine no 1"}
    assert client.post("/login", given)["Location"] == "/dashboard"
    assert client.get("/logout").status_code == 405
    assert client.post("/logout")["Location"] == "/"
    assert client.get("/dashboard")["Location"] == "/login?next=/dashboard"


@pytest.mark.parametrize(
    "target",
    ["https://evil.test/", "//evil.test/", "/\\evil.test/", "https:evil.test", "javascript:alert(1)"],
)
def test_signing_in_leads_nowhere_else(ada: User, target: str) -> None:
    given = {"username": "ada", "password": "engine no 1", "next": target}
    assert Client().post("/login", given)["Location"] == "/dashboard"


def test_forms_need_the_csrf_token(ada: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(ada)
    for path in ("/login", "/logout", "/tokens"):
        assert client.post(path, {"name": "x", "scope": "write"}).status_code == 403
    assert not AccessToken.objects.exists()


def test_a_token_is_shown_once_and_works(ada: User) -> None:
    client = as_(ada)
    made = client.post("/tokens", {"name": "laptop", "scope": "read"})
    plain = re.findall(r"hf_[A-Za-z0-9]{34}", text_of(made))[0]
    found = tokens.check(plain)
    assert found is not None
    assert (found.user, found.scope) == (ada, "read")
    assert "no-store" in made["Cache-Control"]
    later = text_of(client.get("/tokens"))
    assert plain not in later
    assert f"hf_…{plain[-4:]}" in later


@pytest.mark.parametrize("given", [{"name": ""}, {"name": "x" * 97}, {"scope": "root"}])
def test_bad_tokens_are_refused_beside_the_field(ada: User, given: dict[str, str]) -> None:
    answer = as_(ada).post("/tokens", {"name": "laptop", "scope": "write", **given})
    assert answer.status_code == 422
    assert 'class="error"' in text_of(answer)
    assert not AccessToken.objects.exists()


def test_only_its_owner_revokes_a_token(ada: User) -> None:
    row, plain = tokens.issue(ada, "laptop")
    eve = people.create_user("eve")
    assert as_(eve).post(f"/tokens/{row.pk}/revoke").status_code == 404
    assert tokens.check(plain) is not None
    assert as_(ada).post(f"/tokens/{row.pk}/revoke").status_code == 302
    assert tokens.check(plain) is None


def test_the_records_make_users_with_their_owner(ada: User) -> None:
    ada.is_staff = ada.is_superuser = True
    ada.save()
    client = as_(ada)
    word = "difference engine"
    given = {"username": "babbage", "usable_password": "true", "password1": word, "password2": word}
    assert client.post("/console/records/accounts/user/add/", given).status_code == 302
    made = User.objects.get(username="babbage")
    assert Owner.objects.filter(name="babbage", memberships__user=made).exists()
    refused = client.post("/console/records/accounts/user/add/", {**given, "username": "console"})
    assert "reserved" in text_of(refused)
    for page in ("user", "owner", "accesstoken", "owner/add"):
        assert client.get(f"/console/records/accounts/{page}/").status_code == 200
