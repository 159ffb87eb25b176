"""The environment of a Space's replica: its owner's values, and those that the Hub sets for its Spaces."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.conf import settings

from hardware.tiers import GIB, TIERS
from spaces.names import demo_url

if TYPE_CHECKING:
    from spaces.models import Space

#: Of secrets, and of variables, in one Space; characters of a value; names that a variable may have.
MOST_KEYS = 200
VALUE_LIMIT = 64 * 1024
KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


def environment(space: Space) -> dict[str, str]:
    """Variables, over them secrets, over them the names the Hub sets itself.

    `SYSTEM` is not among them: with it Gradio closes its API and turns to another hub.
    """
    owners = {row.key: row.value for row in space.variables.all()}
    owners |= {row.key: row.value for row in space.secrets.all()}
    owners.pop("SYSTEM", None)
    tier = TIERS[space.hardware]
    hub = {"HF_ENDPOINT": settings.SPACEPORT_HF_ENDPOINT} if settings.SPACEPORT_HF_ENDPOINT else {}
    return {
        **hub,
        **owners,
        "SPACE_ID": str(space),
        "SPACE_HOST": urlsplit(demo_url(space)).netloc,
        "SPACE_AUTHOR_NAME": space.owner.name,
        "SPACE_REPO_NAME": space.name,
        "SPACE_TITLE": space.title,
        "SPACE_CREATOR_USER_ID": str(space.owner_id),
        "CPU_CORES": f"{tier.cpus:g}",
        "MEMORY": f"{tier.memory_bytes // GIB}Gi",
        "ACCELERATOR": tier.gpu.lower() or "none",
    }
