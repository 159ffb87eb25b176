"""Which CI jobs a Space trusts: an issuer, and the claims that its id tokens must have."""

from __future__ import annotations

from typing import Any

from accounts.models import User
from spaces.models import Space, TrustedPublisher
from spaces.signin import issuers

GITHUB = "https://token.actions.githubusercontent.com"
MOST = 20  # of one Space
MOST_CLAIMS = 10
TEXT = 500
#: At least one of these has to be given: without it every job of the issuer would be trusted.
IDENTITY = ("sub", "repository", "repository_id", "project_path", "project_id")


class BadPublisher(ValueError):
    """No job can be trusted so; the message gives the reason."""


def add(space: Space, user: User, issuer: str, claims: Any) -> TrustedPublisher:
    """Trust the jobs of this issuer whose id tokens have all of these claims.

    Raises:
        BadPublisher
    """
    if space.publishers.count() >= MOST:
        raise BadPublisher(f"A Space may have at most {MOST} trusted publishers.")
    try:
        issuers.check(issuer)
    except issuers.NoKeys as error:
        raise BadPublisher(f"issuer: {error}") from error
    return TrustedPublisher.objects.create(space=space, made_by=user, issuer=issuer, claims=_checked(claims))


def _checked(claims: Any) -> dict[str, str]:
    if not isinstance(claims, dict) or not 1 <= len(claims) <= MOST_CLAIMS:
        raise BadPublisher(f"claims: give 1 to {MOST_CLAIMS}, each with the text that it must be.")
    for name, value in claims.items():
        right = isinstance(value, str) and 0 < len(value) <= TEXT and "\0" not in value + name
        if not right or not 0 < len(name) <= 100:
            raise BadPublisher(f"claims: '{str(name)[:100]}' must be a text of at most {TEXT} characters.")
    if not any(name in claims for name in IDENTITY):
        raise BadPublisher(f"claims: one of {', '.join(IDENTITY)} must say whose job it is.")
    return claims
