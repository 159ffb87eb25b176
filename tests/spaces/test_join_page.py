"""The console's page and the API of join tokens."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from accounts import people, tokens
from accounts.models import User
from hardware.models import JoinToken
from hardware.trust import tokens as join_tokens

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin() -> User:
    user = people.create_user("admin")
    user.is_staff = user.is_superuser = True
    user.save()
    return user


def test_a_token_is_shown_once_with_the_command_and_can_be_revoked(admin: User) -> None:
    browser = Client()
    browser.force_login(admin)
    assert "None yet." in browser.get("/console/join").content.decode()
    page = browser.post("/console/join").content.decode()
    shown = re.search(r"manage\.py node join http://\S+ (join_\w+)", page)
    assert shown
    row = JoinToken.objects.get()
    assert row.created_by == "admin"
    again = browser.get("/console/join").content.decode()
    assert shown[1] not in again
    assert str(row) in again
    assert "unused" in again
    assert "is revoked" in browser.post(f"/console/join/{row.pk}/revoke", follow=True).content.decode()
    row.refresh_from_db()
    assert join_tokens.describe(row) == "revoked"


def test_the_page_is_for_administrators_alone(admin: User) -> None:
    browser = Client()
    browser.force_login(people.create_user("alice"))
    assert browser.get("/console/join").status_code == 404
    assert browser.post("/console/join").status_code == 404
    assert not JoinToken.objects.exists()


def test_the_api_makes_lists_and_revokes_tokens(admin: User) -> None:
    auth = {"Authorization": f"Bearer {tokens.issue(admin, 'tests')[1]}"}
    api = Client(headers=auth)
    made = api.post("/api/join-tokens", {"hours": 2}, content_type="application/json").json()
    assert made["token"].endswith(made["lastFour"])
    listed = api.get("/api/join-tokens").json()
    assert [(one["id"], one["state"]) for one in listed] == [(made["id"], "unused")]
    assert "token" not in listed[0]
    assert api.delete(f"/api/join-tokens/{made['id']}").status_code == 200
    assert api.get("/api/join-tokens").json()[0]["state"] == "revoked"
    refused = api.post("/api/join-tokens", {"hours": 0}, content_type="application/json")
    assert refused.status_code == 400
    assert "more than 0" in refused.json()["error"]
