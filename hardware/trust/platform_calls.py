"""What a node asks its platform over HTTP: to join, for its next certificate, and for the orders of the
replicas that are placed on it."""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
import urllib.error
import urllib.request
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hardware.trust.membership import Membership

TIMEOUT_S = 15.0
MOST_BYTES = 16 * 1024 * 1024
PIECE_BYTES = 256 * 1024


class PlatformAway(Exception):
    """The platform does not answer; try again."""


class Refused(Exception):
    """The platform refuses; its message gives the reason and what to do."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """What is sent is a secret, for one address."""

    def redirect_request(self, *_: Any) -> None:
        return None


def join(platform: str, wish: dict[str, object]) -> dict[str, Any]:
    """Send a machine's wish to join (`joining.Request`), which is answered with a `joining.Membership`.

    Raises:
        PlatformAway, Refused
    """
    return _post(platform, "api/node/join", wish, "")


def check(membership: Membership) -> None:
    """Ask whether this node is one still.

    Raises:
        PlatformAway, Refused: with 401 it is none.
    """
    _post(membership.platform, "api/node/check", {}, membership.credential)


def renew(membership: Membership, request: str) -> str:
    """The next certificate, for this request (PEM).

    Raises:
        PlatformAway, Refused
    """
    answer = _post(membership.platform, "api/node/renew", {"request": request}, membership.credential)
    return str(answer["certificate"])


def spec(membership: Membership, replica_id: int) -> str:
    """The order of a replica on this node, as JSON.

    Raises:
        PlatformAway, Refused
    """
    path = "api/node/spec"
    answer = _post(membership.platform, path, {"replica": replica_id}, membership.credential)
    return str(answer["spec"])


@contextlib.contextmanager
def part(membership: Membership, replica_id: int, name: str) -> Iterator[Iterator[bytes]]:
    """A part of what this replica's build made ("environment" or "code"), as a tar archive, in pieces.

    Raises:
        PlatformAway, Refused
    """
    asked = _request(
        membership.platform, "api/node/part", {"replica": replica_id, "part": name}, membership.credential
    )
    with _opened(membership.platform, asked) as answer:
        yield iter(partial(answer.read, PIECE_BYTES), b"")


def _post(platform: str, path: str, body: dict[str, object], credential: str) -> dict[str, Any]:
    with _opened(platform, _request(platform, path, body, credential)) as answer:
        return _json(answer.read(MOST_BYTES))


def _request(platform: str, path: str, body: dict[str, object], credential: str) -> urllib.request.Request:
    headers = {"Content-Type": "application/json"}
    if credential:
        headers["Authorization"] = f"Bearer {credential}"
    return urllib.request.Request(  # noqa: S310  # `manage.py node join` checks the scheme
        f"{platform}/{path}", data=json.dumps(body).encode(), headers=headers, method="POST"
    )


@contextlib.contextmanager
def _opened(platform: str, request: urllib.request.Request) -> Iterator[http.client.HTTPResponse]:
    https = urllib.request.HTTPSHandler(context=ssl.create_default_context())
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirects(), https)
    try:
        with opener.open(request, timeout=TIMEOUT_S) as answer:
            yield answer
    except urllib.error.HTTPError as error:
        with error:
            raise _failure(platform, error.code, error.read(MOST_BYTES)) from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise PlatformAway(f"{platform} does not answer: {reason}") from error


def _failure(platform: str, status: int, raw: bytes) -> Exception:
    said = _json(raw).get("error")
    if status >= 500:
        return PlatformAway(f"{platform} answered {status}: {said or 'its log says why'}")
    return Refused(status, str(said or f"{platform} answered {status}; is it the address of a Spaceport?"))


def _json(raw: bytes) -> dict[str, Any]:
    try:
        value = json.loads(raw)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
