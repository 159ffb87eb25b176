"""What tests of pages have in common: people, their browsers, Spaces, and a form that is filled in well."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from spaces import creation
from spaces.models import Space
from tests.people import People, make_people

HTMX = {"HX-Request": "true"}
GOOD = {
    "concurrency_count": "4",
    "max_size": "20",
    "batch": "on",
    "max_batch_size": "8",
    "max_threads": "40",
    "policy": "fair",
    "page_weight": "3",
    "max_per_visitor": "",
    "retry": "on",
    "step_down": "on",
}  # api_open left out: an empty box


@pytest.fixture
def folks(settings: Any, tmp_path: Any) -> People:
    settings.SPACEPORT_HOME = tmp_path
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # quick; nobody signs in
    return make_people()


def as_(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def space_of(folks: People, name: str = "demo", **given: Any) -> Space:
    given = {"sdk": "gradio", "author": "alice", **given}
    return creation.create(folks.lab, name, **given)


def text_of(answer: Any) -> str:
    return str(answer.content.decode())
