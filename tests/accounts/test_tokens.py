"""Tokens: shown once, kept as a digest, and what a request with one, or with a bad one, is."""

from __future__ import annotations

import base64

import pytest
from django.test import RequestFactory

from accounts import people, tokens
from accounts.auth import BadCredentials, Caller, caller_of
from accounts.models import AccessToken, User

pytestmark = pytest.mark.django_db


@pytest.fixture
def dora() -> User:
    return people.create_user("dora")


def caller(value: str) -> Caller:
    return caller_of(RequestFactory().get("/", headers={"authorization": value}))


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


def test_only_the_digest_is_kept(dora: User) -> None:
    row, plain = tokens.issue(dora, "laptop")
    assert plain.startswith("hf_")
    assert len(plain) == 37
    assert plain not in str(AccessToken.objects.values().get())
    assert row.last_four == plain[-4:]
    assert tokens.issue(dora, "laptop")[1] != plain


def test_a_token_is_checked_and_its_use_noted(dora: User) -> None:
    row, plain = tokens.issue(dora, "laptop", AccessToken.Scope.READ)
    assert tokens.check(plain) == row
    row.refresh_from_db()
    used = row.last_used_at
    assert used is not None
    tokens.check(plain)
    row.refresh_from_db()
    assert row.last_used_at == used


@pytest.mark.parametrize("value", ["", "hf_", "hf_" + "x" * 34, "x" * 5000, "hf_\0", "hf_ü", "hf_\ud800"])
def test_what_is_no_token(dora: User, value: str) -> None:
    tokens.issue(dora, "laptop")
    assert tokens.check(value) is None


def test_tokens_of_deleted_rows_and_inactive_users_are_nothing(dora: User) -> None:
    row, plain = tokens.issue(dora, "laptop")
    dora.is_active = False
    dora.save()
    assert tokens.check(plain) is None
    dora.is_active = True
    dora.save()
    assert tokens.check(plain) is not None
    row.delete()
    assert tokens.check(plain) is None


def test_bearer_and_basic_name_the_caller(dora: User) -> None:
    _, plain = tokens.issue(dora, "laptop")
    for value in (f"Bearer {plain}", f"bearer  {plain} ", basic(f"anyone:{plain}"), basic(f":{plain}")):
        found = caller(value)
        assert found.user == dora
        assert found.may_write


def test_a_read_token_may_not_write(dora: User) -> None:
    _, plain = tokens.issue(dora, "laptop", AccessToken.Scope.READ)
    assert caller(f"Bearer {plain}").user == dora
    assert not caller(f"Bearer {plain}").may_write


@pytest.mark.parametrize(
    "value", ["Bearer", "Bearer hf_no", "Basic !!", "Basic gIA=", basic("a:b"), basic("nocolon")]
)
def test_bad_credentials_are_refused_not_ignored(dora: User, value: str) -> None:
    with pytest.raises(BadCredentials):
        caller(value)


@pytest.mark.parametrize("value", ["", "Digest x", "x"])
def test_other_schemes_are_no_credentials(value: str) -> None:
    assert caller(value).user is None
