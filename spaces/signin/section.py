"""The Settings tab's part about trusted publishers."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from accounts.models import User
from spaces.models import Space
from spaces.signin import publishers


def change(request: HttpRequest, space: Space) -> dict[str, Any] | None:
    """Add or remove one; what the template needs to show a refusal."""
    assert isinstance(request.user, User)
    gone = request.POST.get("delete", "")
    if gone:
        number = int(gone) if gone.isascii() and gone.isdigit() and len(gone) < 18 else 0
        space.publishers.filter(pk=number).delete()
        return None
    claims = {name: request.POST.get(name, "").strip() for name in ("repository", "sub", "ref")}
    given = {name: value for name, value in claims.items() if value}
    try:
        publishers.add(space, request.user, request.POST.get("issuer", "").strip(), given)
    except publishers.BadPublisher as error:
        return {"error": str(error), "typed": request.POST}
    return None
