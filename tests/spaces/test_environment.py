"""What a Space finds in its environment, and who decides where it may connect to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ValidationError
from django.urls import reverse

from accounts.models import Owner, User
from spaces.models import Space
from spaces.secrets import environment

if TYPE_CHECKING:
    from django.test import Client
    from pytest_django.fixtures import Settings


@pytest.fixture
def row(transactional_db: None) -> Space:
    owner = Owner.objects.create(name="alice")
    return Space.objects.create(owner=owner, name="demo", subdomain="alice-demo", title="A demo")


def test_the_variables_of_the_hub_are_there(row: Space, settings: Settings) -> None:
    row.secrets.create(key="SPACE_ID", value="somebody/else")
    row.variables.create(key="SYSTEM", value="spaces")
    found = environment(row)
    assert found == {
        "SPACE_ID": "alice/demo", "SPACE_AUTHOR_NAME": "alice", "SPACE_REPO_NAME": "demo",
        "SPACE_TITLE": "A demo", "SPACE_HOST": found["SPACE_HOST"],
        "SPACE_CREATOR_USER_ID": str(row.owner_id), "CPU_CORES": "2", "MEMORY": "4Gi", "ACCELERATOR": "none",
    }  # fmt: skip
    assert found["SPACE_HOST"].startswith("alice-demo.")


def test_the_operators_hub_is_used_unless_the_owner_names_another(row: Space, settings: Settings) -> None:
    settings.SPACEPORT_HF_ENDPOINT = "https://hub.example.org"
    assert environment(row)["HF_ENDPOINT"] == "https://hub.example.org"
    row.variables.create(key="HF_ENDPOINT", value="https://huggingface.co")
    assert environment(row)["HF_ENDPOINT"] == "https://huggingface.co"


def test_an_administrator_sets_a_spaces_egress_in_the_console(row: Space, client: Client) -> None:
    client.force_login(User.objects.create_superuser("root", password="a long one for tests"))
    address = reverse("admin:spaces_space_change", args=[row.pk])
    refused = client.post(address, {"egress": "web, none"})
    assert "is no place to connect to" in refused.content.decode()
    assert client.post(address, {"egress": "none", "stage": "RUNNING"}).status_code == 302
    row.refresh_from_db()
    assert (row.egress, row.stage) == ("none", "NO_APP_FILE")


def test_a_setting_that_is_no_policy_is_named_at_the_start(settings: Settings) -> None:
    settings.SPACEPORT_EGRESS = "everything!"
    assert "hardware.E001" in [message.id for message in run_checks()]
    with pytest.raises(ValidationError, match="no place to connect to"):
        Space(egress="everything!").clean_fields(exclude=["owner", "subdomain", "name"])
