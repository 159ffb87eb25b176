"""The Settings tab's part about replicas."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from spaces.models import Space
from spaces.scaling import follow


def context() -> dict[str, Any]:
    """What the section shows."""
    return {"most_replicas": settings.SPACEPORT_REPLICAS_PER_SPACE}


def change(request: HttpRequest, space: Space) -> dict[str, Any] | None:
    """Run it on another number of replicas; what the template needs to show a refusal."""
    typed = request.POST.get("replicas", "").strip()
    try:
        follow.set_count(space, int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 6 else 0)
    except follow.BadCount as error:
        return {"error": str(error), "typed_replicas": typed}
    return None
