"""Signing in, up and out as a browser does it: what is refused, in which words; how guessing is slowed."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from accounts import people, throttle, tokens
from accounts.models import Membership, Owner, User

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_failures_yet(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # quick: many are made here
    for name, fewer in (("PER_ADDRESS", 12), ("PER_NAME", 15), ("SIGN_UPS", 3), ("TOKENS", 3)):
        monkeypatch.setattr(throttle, name, fewer)  # as many as tell them apart
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


def test_one_address_cannot_try_one_password_on_many_names(ada: User, monkeypatch: Any) -> None:
    monkeypatch.setattr(throttle, "MOST_FROM_ADDRESS", throttle.PER_ADDRESS + 3)
    for n in range(throttle.PER_ADDRESS):
        sign_in(Client(), f"name{n}", "password1")
    assert sign_in(Client(), "another", "password1")[0] == 422, "one try of each name is left"
    assert sign_in(Client(), "another", "password1")[0] == 429
    assert sign_in(Client(), "ada", "a-good-password")[0] == 302, "and whoever knows theirs gets in"
    for n in range(2):
        sign_in(Client(), f"further{n}", "password1")
    assert sign_in(Client(), "yet-another", "password1")[0] == 429


def test_a_flood_from_everywhere_does_not_keep_the_owner_out(ada: User) -> None:
    for n in range(throttle.PER_NAME + 5):
        sign_in(Client(REMOTE_ADDR=f"10.1.{n % 200}.{n // 200}"), "ada", "guess")
    assert sign_in(Client(REMOTE_ADDR="10.2.0.1"), "ada", "guess")[0] == 422
    assert sign_in(Client(REMOTE_ADDR="10.2.0.1"), "ada", "guess")[0] == 429, "one guess an address"
    assert sign_in(Client(REMOTE_ADDR="10.0.0.7"), "ada", "a-good-password")[0] == 302


def test_a_browser_that_was_signed_in_before_is_counted_by_itself(ada: User) -> None:
    known, guesser = Client(), Client()
    assert sign_in(known, "ada", "a-good-password")[0] == 302
    known.post("/logout")
    for _ in range(throttle.PER_NAME_AND_ADDRESS):
        sign_in(guesser, "ada", "guess")
    assert sign_in(guesser, "ada", "a-good-password")[0] == 429
    assert sign_in(known, "ada", "a-good-password")[0] == 302, "the same address, a known browser"
    known.post("/logout")
    for _ in range(throttle.PER_NAME_AND_ADDRESS):
        assert sign_in(known, "ada", "guess")[0] == 422
    assert sign_in(known, "ada", "a-good-password")[0] == 429, "a stolen cookie guesses no better"


def test_a_cookie_of_another_name_or_forged_makes_no_browser_known(ada: User) -> None:
    people.create_user("mallory", "a-good-password")
    mallory = Client()
    sign_in(mallory, "mallory", "a-good-password")
    mallory.post("/logout")
    for _ in range(throttle.PER_NAME_AND_ADDRESS):
        sign_in(mallory, "ada", "guess")
    assert sign_in(mallory, "ada", "guess")[0] == 429
    for value in ("", "x", "WyJhZGEiLCJ4Il0:1:2", mallory.cookies[throttle.COOKIE].value + "x"):
        mallory.cookies[throttle.COOKIE] = value
        assert sign_in(mallory, "ada", "guess")[0] == 429


def test_behind_proxies_the_visitors_own_address_counts(ada: User, settings: Any) -> None:
    settings.SPACEPORT_TRUSTED_PROXY_COUNT = 1

    def come(address: str, password: str) -> int:
        return sign_in(Client(headers={"X-Forwarded-For": f"1.2.3.4, {address}"}), "ada", password)[0]

    for _ in range(throttle.PER_NAME_AND_ADDRESS):
        assert come("192.0.2.66", "guess") == 422
    assert come("192.0.2.66", "a-good-password") == 429
    assert come("192.0.2.7", "a-good-password") == 302


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Real-IP", "Forwarded"])
def test_nobody_gets_more_tries_by_a_header(ada: User, header: str) -> None:
    for n in range(throttle.PER_NAME_AND_ADDRESS):
        sign_in(Client(headers={header: f"192.0.2.{n}"}), "ada", "guess")
    assert sign_in(Client(headers={header: "192.0.2.99"}), "ada", "guess")[0] == 429


def test_one_household_has_one_count_for_all_its_addresses(ada: User) -> None:
    for n in range(throttle.PER_NAME_AND_ADDRESS):
        sign_in(Client(REMOTE_ADDR=f"2001:db8::{n:x}"), "ada", "guess")
    assert sign_in(Client(REMOTE_ADDR="2001:db8::ffff"), "ada", "guess")[0] == 429


def test_the_records_have_no_sign_in_of_their_own(ada: User) -> None:
    where = "/console/records/accounts/user/"
    asked = Client().get(where, follow=True)
    assert asked.redirect_chain[-1][0] == f"/login?next={where}"
    form = {"username": "ada", "password": "a-good-password", "next": "/console/records/"}
    answer = Client().post("/console/records/login/", form)
    assert (answer.status_code, answer["Location"]) == (302, "/login?next=/console/records/")
    assert "sessionid" not in answer.cookies
    evil = Client().get("/console/records/login/?next=https://evil.example/")
    assert "evil" not in evil["Location"]
    signed_in = Client()
    signed_in.force_login(ada)
    assert signed_in.get(where, follow=True).status_code == 404, "no circle between the two"
    ada.is_staff = ada.is_superuser = True
    ada.save()
    assert signed_in.get(where).status_code == 200
    assert signed_in.get("/console/records/password_change/")["Location"] == "/password"


def test_the_old_password_cannot_be_guessed_in_an_open_browser(ada: User) -> None:
    client = Client()
    client.force_login(ada)
    new = {"new_password1": "another-good-one", "new_password2": "another-good-one"}
    for _ in range(throttle.PASSWORD_CHANGES):
        assert client.post("/password", new | {"old_password": "guess"}).status_code == 422
    assert client.post("/password", new | {"old_password": "a-good-password"}).status_code == 429
    assert client.get("/tokens").status_code == 200


def test_accounts_are_not_made_without_end(settings: Any) -> None:
    settings.SPACEPORT_SIGNUP = True
    for _ in range(throttle.SIGN_UPS):
        assert Client().post("/signup", SIGN_UP | {"password2": "x"}).status_code == 422
    assert Client().post("/signup", SIGN_UP).status_code == 429
    assert Client(REMOTE_ADDR="10.0.0.7").post("/signup", SIGN_UP).status_code == 302


@pytest.mark.parametrize("scheme", ["Bearer", "Basic"])
@pytest.mark.parametrize("path", ["/api/whoami-v2", "/spaces/ada/x/info/refs?service=git-receive-pack"])
def test_tokens_that_are_nobodys_are_counted_and_valid_ones_never(ada: User, scheme: str, path: str) -> None:
    def ask(token: str) -> int:
        value = token if scheme == "Bearer" else base64.b64encode(f"any:{token}".encode()).decode()
        return Client().get(path, headers={"Authorization": f"{scheme} {value}"}).status_code

    _, valid = tokens.issue(ada, "mine")
    for n in range(throttle.TOKENS):
        assert ask(f"hf_{n}") == 401
    assert ask("hf_more") == 429
    assert ask(valid) in (200, 404)


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
