"""Names of Spaces: what is allowed, and how `owner/name` becomes a demo host and back."""

from __future__ import annotations

import hashlib
import re
from itertools import count
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.conf import settings

if TYPE_CHECKING:
    from spaces.models import Space

_PART = re.compile(r"[A-Za-z0-9._-]{1,96}")
LABEL = 63  # characters of one DNS label


class BadRepoId(ValueError):
    """Not an `owner/name` that a Space can have; the message gives the reason."""


def check_repo_name(name: str) -> str:
    """The name, if a Space may have it (the Hub's rules).

    Raises:
        BadRepoId
    """
    if not _PART.fullmatch(name):
        raise BadRepoId(f"'{name[:100]}': a name has 1 to 96 letters, digits, '-', '_' or '.'.")
    if "--" in name or ".." in name:
        raise BadRepoId(f"'{name}': a name has no '--' and no '..'.")
    if name[0] in "-." or name[-1] in "-." or name.endswith(".git"):
        raise BadRepoId(f"'{name}': a name begins and ends with a letter or digit, and not with '.git'.")
    return name


def subdomain_for(owner: str, name: str) -> str:
    """The first label of a Space's demo host. Where the plain form is too long, or stands for another
    Space too (`a-b/c` and `a/b-c`), a digest of the exact name makes it unique."""
    plain = _label(f"{owner}-{name}")
    if len(plain) <= LABEL and not _is_taken(plain):
        return plain
    for salt in count():
        digest = hashlib.sha256(f"{owner}/{name}{salt or ''}".encode()).hexdigest()[:8]
        label = f"{plain[: LABEL - 9].rstrip('-')}-{digest}"
        if not _is_taken(label):
            return label
    raise AssertionError


def _is_taken(label: str) -> bool:
    from spaces.models import FormerName, Space

    taken = Space.objects.filter(subdomain=label).exists()
    return taken or FormerName.objects.filter(subdomain=label).exists()


def _label(text: str) -> str:
    """Lower case, letters and digits with single hyphens between: what DNS and browsers agree on."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "space"


def demo_url(space: Space) -> str:
    """The address of the demo's own host, for browsers."""
    platform = urlsplit(settings.SPACEPORT_URL)
    port = f":{platform.port}" if platform.port else ""
    return f"{platform.scheme}://{space.subdomain}.{settings.SPACEPORT_DEMO_DOMAIN}{port}"


def run_url(space: Space, base_url: str) -> str:
    """This Space's address for programs on the platform's host, as reached under `base_url`."""
    return f"{base_url.rstrip('/')}/run/{space.owner.name}/{space.name}"


def program_url(space: Space, base_url: str) -> str:
    """The address for programs: the demo host if DNS is configured. Only browsers resolve `*.localhost`, so
    without DNS it is `/run/…` on the platform's host."""
    plain = settings.SPACEPORT_DEMO_DOMAIN != "localhost"
    # gradio_client joins "config" to it: without the slash the last part would be replaced.
    return f"{demo_url(space) if plain else run_url(space, base_url)}/"
