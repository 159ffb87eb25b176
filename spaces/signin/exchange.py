"""A CI job's identity becomes a token for one Space (RFC 8693), as `huggingface_hub` requests it: the job
proves itself with the id token of its provider (OpenID Connect), and the Space's owner has chosen which job
of which provider to trust. Checked by PyJWT with the provider's published keys."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import jwt

from accounts import access, tokens
from accounts.devices import OAuthError
from spaces import permissions
from spaces.models import Space, TrustedPublisher
from spaces.signin import issuers

ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"  # noqa: S105  # a type's name
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105
LIFE = timedelta(hours=1)
LONGEST = timedelta(days=1)  # an id token's life
ID_TOKEN_BYTES = 16 * 1024
LEEWAY_S = 30
#: Signatures by a private key alone: with a shared secret the public key would do.
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]


def exchange(values: dict[str, Any], audience: str) -> dict[str, Any]:
    """The answer to a token exchange. `audience`: this platform, as the job's token must name it.

    Raises:
        OAuthError
    """
    space, raw = _requested(values)
    claims = _unproven(raw)
    trusted = _trusted(space, claims)
    if not trusted:
        text = f"No trusted publisher of '{space[:200]}' matches this job: its owner adds it in the Settings."
        raise OAuthError("invalid_grant", text)
    _prove(raw, str(claims["iss"]), audience)
    for publisher in trusted:
        if publisher.made_by.is_active and access.can_write(publisher.made_by, publisher.space.owner_id):
            _, plain = tokens.issue(
                publisher.made_by, f"CI: {publisher}"[:96], life=LIFE, space_id=publisher.space_id
            )
            return {
                "access_token": plain,
                "issued_token_type": ACCESS_TOKEN,
                "token_type": "bearer",
                "expires_in": int(LIFE.total_seconds()),
            }
    raise OAuthError("invalid_grant", "The user who trusted this job may not write to the Space any more.")


def _requested(values: dict[str, Any]) -> tuple[str, str]:
    resource, raw = values.get("resource"), values.get("subject_token")
    if values.get("subject_token_type") != ID_TOKEN or not isinstance(raw, str) or len(raw) > ID_TOKEN_BYTES:
        raise OAuthError("invalid_request", f"subject_token must be an id token, of the type {ID_TOKEN}.")
    if not isinstance(resource, str) or not resource.startswith("spaces/"):
        raise OAuthError("invalid_target", "resource must be a Space here: spaces/<owner>/<name>.")
    return resource.removeprefix("spaces/"), raw


def _unproven(raw: str) -> dict[str, Any]:
    """The token's claims, not yet verified."""
    try:
        claims: dict[str, Any] = jwt.decode(raw, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise OAuthError("invalid_grant", "The id token is none.") from error
    return claims


def _trusted(name: str, claims: dict[str, Any]) -> list[TrustedPublisher]:
    """Those of the Space that would trust these claims. A Space that does not exist has none."""
    owner, _, rest = name.partition("/")
    space = _space(owner, rest)
    issuer = claims.get("iss")
    if space is None or not isinstance(issuer, str):
        return []
    rows = TrustedPublisher.objects.filter(space=space, issuer=issuer).select_related("made_by", "space")
    return [row for row in rows if row.claims and all(claims.get(k) == v for k, v in row.claims.items())]


def _space(owner: str, name: str) -> Space | None:
    return permissions.named(owner, name)


def _prove(raw: str, issuer: str, audience: str) -> None:
    try:
        key = issuers.key(issuer, raw)
        claims = jwt.decode(
            raw,
            key,
            algorithms=ALGORITHMS,
            audience=audience,
            issuer=issuer,
            leeway=LEEWAY_S,
            options={"require": ["exp", "iat", "aud", "iss"]},
        )
    except issuers.NoKeys as error:
        raise OAuthError("invalid_grant", f"The keys of '{issuer[:200]}' cannot be had: {error}") from error
    except jwt.InvalidAudienceError as error:
        raise OAuthError("invalid_grant", f"The id token is not for {audience} (its claim aud).") from error
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise OAuthError("invalid_grant", f"The id token is not valid: {str(error)[:200]}") from error
    if claims["exp"] - claims["iat"] > LONGEST.total_seconds():
        raise OAuthError("invalid_grant", "The id token lives longer than a day.")
