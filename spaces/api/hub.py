"""What all of the Hub's routes share: who asks, for which Space, and errors in the Hub's form, so that
`huggingface_hub` raises its own exceptions (contract read from 2.4.0)."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import quote, unquote

import msgspec
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from accounts import access
from accounts.auth import BadCredentials, Caller, caller_of
from hardware.tiers import UnknownTier
from spaces import repository
from spaces.models import Space

logger = logging.getLogger(__name__)

View = Callable[..., HttpResponseBase]

JSON_LIMIT = 1024 * 1024  # bytes of an ordinary JSON body


class HubError(Exception):
    """A refusal in the Hub's form: `code` becomes the exception's type in the client."""

    def __init__(self, status: int, message: str, code: str = "", **headers: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = headers


def not_found(name: str, caller: Caller) -> HubError:
    """Absent and forbidden alike: strangers learn nothing."""
    status = 404 if caller.user is not None else 401
    return HubError(status, f"Space '{name}' not found.", "RepoNotFound")


def error_response(error: HubError) -> JsonResponse:
    response = JsonResponse({"error": str(error)}, status=error.status)
    # Header values are latin-1 in one line.
    response["X-Error-Message"] = str(error).replace("\n", " ").encode("latin-1", "replace").decode("latin-1")
    if error.code:
        response["X-Error-Code"] = error.code
    for name, value in error.headers.items():
        response[name.replace("_", "-")] = value
    return response


def hub(*methods: str) -> Callable[[View], View]:
    """A view of the Hub's API: takes `request.caller`, answers every failure as JSON."""

    def decorate(view: View) -> View:
        @csrf_exempt
        @functools.wraps(view)
        def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            try:
                if request.method not in methods:
                    raise HubError(405, f"Only {' and '.join(methods)} here.")
                request.caller = caller_of(request)  # type: ignore[attr-defined]
                # A session is for reading: what writes must carry a token, which no other site can send.
                if request.method not in {"GET", "HEAD"} and request.caller.token is None:  # type: ignore[attr-defined]
                    request.caller = Caller()  # type: ignore[attr-defined]
                return view(request, *args, **kwargs)
            except HubError as error:
                return error_response(error)
            except BadCredentials:
                return error_response(HubError(401, "Invalid credentials in Authorization header"))
            except UnknownTier as error:
                return error_response(HubError(400, str(error)))
            except (repository.BadPath, msgspec.ValidationError) as error:
                return error_response(HubError(400, str(error)))
            except repository.UnknownRevision as error:
                return error_response(HubError(404, str(error), "RevisionNotFound"))

        return wrapped

    return decorate


def caller(request: HttpRequest) -> Caller:
    """Who makes this request."""
    found: Caller = request.caller  # type: ignore[attr-defined]
    return found


def signed_in(request: HttpRequest) -> Caller:
    """The caller, who must be known.

    Raises:
        HubError
    """
    who = caller(request)
    if who.user is None:
        raise HubError(401, "Invalid username or password: sign in with a token (hf auth login).")
    return who


def readable(request: HttpRequest, owner: str, name: str) -> Space:
    """The Space, if the caller may read it.

    Raises:
        HubError: as if it did not exist.
    """
    who = caller(request)
    space = (
        Space.objects.select_related("owner", "replica")
        .filter(owner__name__iexact=owner, name__iexact=name)
        .first()
    )
    if space is None or not access.can_read(who.user, space.owner_id, space.visibility):
        raise not_found(f"{owner}/{name}", who)
    return space


def writable(request: HttpRequest, owner: str, name: str) -> Space:
    """The Space, if the caller may change it.

    Raises:
        HubError
    """
    space = readable(request, owner, name)
    who = signed_in(request)
    if not access.can_write(who.user, space.owner_id):
        raise HubError(403, f"You have no write access to {space}.")
    if not who.may_write:
        raise HubError(403, "This token may only read. Make one with write access on the tokens page.")
    return space


def body(request: HttpRequest) -> dict[str, Any]:
    """The JSON object in the request's body; {} for an empty one.

    Raises:
        HubError
    """
    raw = request.read(JSON_LIMIT + 1)
    if len(raw) > JSON_LIMIT:
        raise HubError(413, f"The body may have at most {JSON_LIMIT:,} bytes.")
    try:
        value = msgspec.json.decode(raw) if raw.strip() else {}
    except (msgspec.DecodeError, RecursionError) as error:
        raise HubError(400, f"The body is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise HubError(400, "The body must be a JSON object.")
    if _has_nul(value):
        raise HubError(400, "The body has a NUL character.")
    return value


def _has_nul(value: Any) -> bool:
    return "\\u0000" in msgspec.json.encode(value).decode()


def text(values: dict[str, Any], key: str, *, default: str | None = None, most: int = 65536) -> str:
    """A text of the body.

    Raises:
        HubError
    """
    value = values.get(key, default)
    if not isinstance(value, str) or len(value) > most:
        raise HubError(400, f"'{key}' must be a text of at most {most:,} characters.")
    return value


def segments(request: HttpRequest, after: int) -> list[str]:
    """The path's segments from number `after` on, each decoded by itself: a revision `feat/x` comes as
    one segment, `feat%2Fx`, which `request.path` no longer shows."""
    scope = getattr(request, "scope", {})
    raw = scope.get("raw_path") or quote(request.path).encode()
    return [unquote(part) for part in raw.decode("latin-1").split("/")[after + 1 :]]


def base_url(request: HttpRequest) -> str:
    """The address the client itself used: its URLs must carry the same host."""
    return f"{request.scheme}://{request.get_host()}"


def date(value: datetime) -> str:
    """A date as the client parses it: UTC with `Z`."""
    return value.strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03d}Z"


def ok(value: Any = None, status: int = 200) -> HttpResponse:
    """JSON of anything; {} for nothing."""
    return HttpResponse(
        msgspec.json.encode({} if value is None else value), content_type="application/json", status=status
    )
