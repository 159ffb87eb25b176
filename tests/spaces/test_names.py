"""Names of Spaces and the hosts they become."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import override_settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts import people
from accounts.models import Owner
from spaces import names
from spaces.models import Space
from spaces.names import BadRepoId

LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
ODD = st.text(alphabet=st.sampled_from("abZ09-_. /\\\0\nüé🚀:%"), max_size=120)
FUZZ = settings(deadline=None, max_examples=100, suppress_health_check=list(HealthCheck))


@FUZZ
@given(ODD)
def test_any_text_is_a_name_or_a_bad_one(text: str) -> None:
    try:
        assert re.fullmatch(r"[A-Za-z0-9._-]{1,96}", names.check_repo_name(text))
    except BadRepoId:
        return


@pytest.mark.parametrize("name", ["a", "A.b_c-d", "_x", "x_", "0", "x" * 96])
def test_good_names(name: str) -> None:
    assert names.check_repo_name(name) == name


@pytest.mark.parametrize("name", ["", ".", "-", "a--b", "a..b", "x.git", "x" * 97, "a b", "a\n", "ü", "a/b"])
def test_bad_names(name: str) -> None:
    with pytest.raises(BadRepoId, match="a name "):
        names.check_repo_name(name)


def make(owner: str, name: str) -> Space:
    row = Owner.objects.filter(name=owner).first() or people.own_namespace(people.create_user(owner))
    return Space.objects.create(owner=row, name=name, subdomain=names.subdomain_for(owner, name))


@pytest.mark.django_db
def test_no_two_spaces_share_a_host() -> None:
    pairs = [
        ("a-b", "c"),
        ("a", "b-c"),
        ("a", "b_c"),
        ("a", "b.c"),
        ("a", "B-C_"),
        ("x", "y" * 96),
        ("x", "y" * 95),
    ]
    hosts = [make(owner, name).subdomain for owner, name in pairs]
    assert hosts[0] == "a-b-c"
    assert len(set(hosts)) == len(pairs)
    assert all(LABEL.fullmatch(host) for host in hosts)


@pytest.mark.django_db
def test_any_good_name_has_a_host() -> None:
    for owner, name in (("_", "_"), ("__", "..."), ("0", "x" * 96), ("x" * 96, "0"), ("Ab", "_a.B_")):
        assert LABEL.fullmatch(names.subdomain_for(owner, name))


def space() -> Any:
    return SimpleNamespace(owner=SimpleNamespace(name="alice"), name="Demo", subdomain="alice-demo")


@override_settings(SPACEPORT_URL="http://localhost:8000", SPACEPORT_DEMO_DOMAIN="localhost")
def test_without_dns_programs_take_the_platforms_own_door() -> None:
    assert names.demo_url(space()) == "http://alice-demo.localhost:8000"
    assert names.program_url(space(), "http://127.0.0.1:8000/") == "http://127.0.0.1:8000/run/alice/Demo/"


@override_settings(SPACEPORT_URL="https://space.example.org", SPACEPORT_DEMO_DOMAIN="demos.example.org")
def test_with_dns_programs_and_browsers_go_to_the_demo_host() -> None:
    assert names.demo_url(space()) == "https://alice-demo.demos.example.org"
    assert names.program_url(space(), "https://space.example.org") == "https://alice-demo.demos.example.org/"
