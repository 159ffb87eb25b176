"""Whether a caller operates this Spaceport, and so may see its metrics and the reasons of a failure. The
address of a request proves nothing: proxies, builds and other programs are on this machine too."""

from __future__ import annotations

import hmac

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest

from accounts.auth import BadCredentials, caller_of


def is_operator(request: HttpRequest) -> bool:
    """Whether the request carries SPACEPORT_METRICS_TOKEN, or an administrator's token or session."""
    token = settings.SPACEPORT_METRICS_TOKEN
    given = request.headers.get("Authorization", "")
    if token and hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
        return True
    try:
        user = caller_of(request).user
    except (BadCredentials, DatabaseError):
        return False
    return user is not None and user.is_superuser
