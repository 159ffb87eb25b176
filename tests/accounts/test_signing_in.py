"""Signing in, up and out as a browser does it: what is refused, in which words; how guessing is slowed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from accounts import people, throttle
from accounts.models import Membership, Owner, User

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_failures_yet(settings: Any) -> Iterator[None]:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # quick: many are made here
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def ada() -> User:
    return people.create_user("ada", "a-good-password")


def sign_in(client: Client, name: str, password: str, **headers: str) -> tuple[int, str]:
    answer = client.post("/login", {"username": name, "password": password}, **headers)  # type: ignore[arg-type]
    return answer.status_code, answer.content.decode()


def test_a_wrong_password_and_an_unknown_name_are_told_alike(ada: User) -> None:
    status, wrong = sign_in(Client(), "ada", "no")
    unknown_status, unknown = sign_in(Client(), "eda", "no")
    assert status == unknown_status == 422

    def words(page: str, name: str) -> str:
        shown = page[page.index('role="alert"') : page.index("<form", page.index('role="alert"'))]
        return shown.replace(name, "")

    assert words(wrong, "ada") == words(unknown, "eda")


@pytest.mark.parametrize("name", ["ada", "nobody"])
def test_guessing_is_stopped_whether_the_name_exists_or_not(ada: User, name: str) -> None:
    client = Client()
    for _ in range(throttle.PER_NAME_AND_ADDRESS):
        assert sign_in(client, name, "guess")[0] == 422
    status, page = sign_in(client, name, "a-good-password")
    assert status == 429
    assert "Wait five minutes" in page


def test_a_stranger_who_guesses_does_not_keep_the_owner_out(ada: User) -> None:
    for _ in range(throttle.PER_NAME_AND_ADDRESS + 1):
        sign_in(Client(REMOTE_ADDR="10.0.0.66"), "ada", "guess")
    assert sign_in(Client(REMOTE_ADDR="10.0.0.7"), "ada", "a-good-password")[0] == 302


def test_one_address_cannot_try_one_password_on_many_names() -> None:
    client = Client()
    for n in range(throttle.PER_ADDRESS):
        sign_in(client, f"name{n}", "password1")
    assert sign_in(client, "another", "password1")[0] == 429


@pytest.mark.parametrize("site", ["same-site", "cross-site"])
def test_a_form_of_another_origin_is_refused(ada: User, site: str) -> None:
    client = Client()
    client.force_login(ada)
    answer = client.post("/tokens", {"name": "stolen", "scope": "write"}, headers={"Sec-Fetch-Site": site})
    assert answer.status_code == 403
    assert not ada.tokens.exists()


def test_a_strange_origin_is_refused_even_with_the_token(ada: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(ada)
    page = client.get("/tokens").content.decode()
    token = page.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
    form = {"name": "laptop", "scope": "write", "csrfmiddlewaretoken": token}
    for origin in (
        "http://alice-demo.localhost:8000",
        "http://localhost:7777",
        "null",
        "http://testserver.evil",
    ):
        assert client.post("/tokens", form, headers={"Origin": origin}).status_code == 403
    assert client.post("/tokens", form, headers={"Origin": "http://testserver"}).status_code == 200
    assert ada.tokens.count() == 1


def test_the_password_can_be_changed_and_the_old_one_ends(ada: User) -> None:
    client = Client()
    client.force_login(ada)
    bad = {"old_password": "no", "new_password1": "another-good-one", "new_password2": "another-good-one"}
    answer = client.post("/password", bad)
    assert answer.status_code == 422
    assert "old-password-error" in answer.content.decode() or "old_password-error" in answer.content.decode()
    assert client.post("/password", bad | {"old_password": "a-good-password"})["Location"] == "/tokens"
    assert client.get("/tokens").status_code == 200, "this browser stays signed in"
    assert sign_in(Client(), "ada", "a-good-password")[0] == 422
    assert sign_in(Client(), "ada", "another-good-one")[0] == 302


SIGN_UP = {"username": "grace", "password1": "compile-it-twice", "password2": "compile-it-twice"}


def test_nobody_can_sign_up_unless_it_is_allowed() -> None:
    assert Client().get("/signup").status_code == 404
    assert Client().post("/signup", SIGN_UP).status_code == 404
    assert not User.objects.exists()


def test_who_signs_up_has_a_namespace(settings: Any) -> None:
    settings.SPACEPORT_SIGNUP = True
    client = Client()
    assert client.post("/signup", SIGN_UP)["Location"] == "/dashboard"
    assert client.get("/new").status_code == 200
    assert Membership.objects.get(owner__name="grace").user.username == "grace"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"username": "admin"}, "reserved"),
        ({"username": "../x"}, "no name"),
        ({"username": "ADA"}, "taken"),
        ({"password1": "short", "password2": "short"}, "too short"),
        ({"password2": "something else"}, "match"),
    ],
)
def test_a_bad_sign_up_is_refused_beside_its_field(
    settings: Any, ada: User, change: dict[str, str], words: str
) -> None:
    settings.SPACEPORT_SIGNUP = True
    answer = Client().post("/signup", SIGN_UP | change)
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert Owner.objects.count() == 1
