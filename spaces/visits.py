"""A visit: one opening of a demo's page. Its signed token proves to the gateway that a request comes from a
page and not a program, and lets the platform page show that visitor's own place in line."""

from __future__ import annotations

import secrets

from django.core import signing
from django.core.signing import BadSignature

SALT = "spaceport.visit"
AGE_S = 24 * 3600


def sign(space_id: int, user_id: int | None, visit_id: str | None = None) -> tuple[str, str]:
    """A visit of this Space, a new one by default: its id, and the token that proves it for a day. A visit
    with the id "" only identifies the visitor: no page of the platform shows it."""
    if visit_id is None:
        visit_id = secrets.token_urlsafe(9)
    return visit_id, signing.dumps([space_id, visit_id, user_id], salt=SALT)


def verify(token: str, space_id: int) -> tuple[str, int | None] | None:
    """The visit id and user of this token, or None when it is no valid one of this Space."""
    try:
        signed_space, visit_id, user_id = signing.loads(token, salt=SALT, max_age=AGE_S)
    except (BadSignature, ValueError, TypeError):
        return None
    return (visit_id, user_id) if signed_space == space_id else None
