"""What `up` does with the rows: a new installation's first user and example Spaces, and replicas that ended
with the platform."""

from __future__ import annotations

import secrets

from django.conf import settings

from accounts import people
from accounts.models import Owner, User
from hardware.runtimes import choose
from hardware.upkeep import ended
from spaces import creation, publishing
from spaces.community import templates
from spaces.models import Space, Stage

FIRST_USER = "admin"
STARTED = "hello"  # the example that runs from the start; the others wake with their first visitor
SLEEP_S = 30 * 60


def first_user() -> str | None:
    """Make the first user; the password, or None where there are users already."""
    if User.objects.exists():
        return None
    password = secrets.token_urlsafe(12)
    user = people.create_user(FIRST_USER, password=password)
    user.is_staff = user.is_superuser = True
    user.save()
    return password


def withdraw_ended() -> None:
    """Before the web is up: nobody is sent where an app was when this machine's platform stopped. Requests
    wait until it has started again."""
    gone = ended.forget_addresses(settings.SPACEPORT_NODE, choose(settings.SPACEPORT_RUNTIME))
    for space in Space.objects.select_related("owner", "replica__node").filter(pk__in=gone):
        publishing.publish(space)


def examples_are_missing() -> bool:
    """Whether they were never pushed, and could be."""
    return bool(templates.every()) and not Owner.objects.filter(name=templates.OWNER).exists()


def examples() -> list[Space]:
    """Push the example Spaces, once; those it made."""
    if not examples_are_missing():
        return []
    admin = User.objects.order_by("pk").first()
    if admin is None:
        return []
    owner = people.create_organization(templates.OWNER, admin)
    return [_push(owner, template) for template in templates.every()]


def _push(owner: Owner, template: templates.SpaceTemplate) -> Space:
    asleep = template.name != STARTED
    return creation.from_files(
        owner,
        template.name,
        template.files(),
        sleep_time_s=SLEEP_S if asleep else None,
        stage=Stage.SLEEPING if asleep else None,
    )
