"""Shared by all of the Hub's routes: the caller, the Space, and errors in the Hub's form, so that
`huggingface_hub` raises its own exceptions (contract read from 2.4.0)."""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import quote, unquote, urlsplit
from uuid import uuid4

import msgspec
from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from accounts import access
from accounts.auth import BadCredentials, Caller, caller_of
from accounts.models import User
from accounts.throttle import WINDOW_S
from hardware.tiers import UnknownTier
from infra.away import away
from infra.json_bodies import BadJson, parse
from spaces import permissions
from spaces.git import repository
from spaces.git.bounds import TooMuch
from spaces.git.repository_paths import BadPath
from spaces.git.room import NoRoom
from spaces.lfs.store import Refused
from spaces.models import Space

logger = logging.getLogger(__name__)

View = Callable[..., HttpResponseBase]
T = TypeVar("T")

#: The answer to requests for a model or data set, mostly because the type was left out.
ONLY_SPACES = (
    "There are only Spaces here, no models and no data sets. "
    'For a Space add --repo-type space to hf, or repo_type="space" in Python.'
)
READ_ONLY = "This token may only read. Make one with write access on the tokens page."
_NUMBER = re.compile(r"[A-Za-z0-9=;:._-]{1,128}")
PAGE = 100  # rows in one answer of a list, at most
JSON_LIMIT = 1024 * 1024  # bytes of an ordinary JSON body


class HubError(Exception):
    """A refusal in the Hub's form: `code` becomes the exception's type in the client."""

    def __init__(self, status: int, message: str, code: str = "", **headers: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = headers


def not_found(caller: Caller) -> HubError:
    """Absent and forbidden alike: strangers learn nothing. The client knows the Hub's own text and does not
    repeat it."""
    return HubError(404 if caller.user is not None else 401, "Repository not found", "RepoNotFound")


def bad_credentials(error: BadCredentials) -> HubError:
    """The refusal of a token that is nobody's."""
    if error.too_many:
        text = f"Too many invalid tokens came from your address: wait {WINDOW_S // 60} minutes."
        return HubError(429, text, Retry_After=str(WINDOW_S))
    return HubError(401, "Invalid credentials in Authorization header")


def error_response(error: HubError, number: str = "") -> JsonResponse:
    """The refusal, with a number by which its request is found again."""
    response = JsonResponse({"error": str(error)}, status=error.status)
    response["X-Error-Message"] = _one_line(str(error))
    response["X-Request-Id"] = number or uuid4().hex
    if error.code:
        response["X-Error-Code"] = error.code
    for name, value in error.headers.items():
        response[name.replace("_", "-")] = value
    return response


def _number(request: HttpRequest) -> str:
    """The client's own number for this request, if it sends one; the client shows it with an error."""
    named = request.headers.get("X-Request-Id") or request.headers.get("X-Amzn-Trace-Id") or ""
    return named if _NUMBER.fullmatch(named) else uuid4().hex


def _one_line(text: str) -> str:
    """As a header's value may be: latin-1, no control characters."""
    printable = "".join(c if c.isprintable() else " " for c in text)
    return printable.encode("latin-1", "replace").decode("latin-1")


def hub(*methods: str) -> Callable[[View], View]:
    """A view of the Hub's API: takes `request.caller`, answers every failure as JSON, except for a server
    that is away, which has one answer everywhere."""

    def decorate(view: View) -> View:
        @csrf_exempt
        @functools.wraps(view)
        def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            number = _number(request)
            try:
                if request.method not in methods:
                    raise HubError(405, f"Only {' and '.join(methods)} here.")
                if "%00" in request.META.get("QUERY_STRING", ""):
                    raise HubError(400, "The query has a NUL character.")
                request.caller = caller_of(request)  # type: ignore[attr-defined]
                # A session may only read: writes need a token, which no other site can send.
                if request.method not in {"GET", "HEAD"} and request.caller.token is None:  # type: ignore[attr-defined]
                    request.caller = Caller()  # type: ignore[attr-defined]
                return view(request, *args, **kwargs)
            except HubError as error:
                return error_response(error, number)
            except BadCredentials as error:
                return error_response(bad_credentials(error), number)
            except UnknownTier as error:
                return error_response(HubError(400, str(error)), number)
            except NoRoom as error:
                return error_response(HubError(413, str(error)), number)
            except Refused as error:
                return error_response(HubError(error.status, str(error)), number)
            except BadPath as error:
                return error_response(HubError(422, str(error)), number)
            except (TooMuch, msgspec.ValidationError, SuspiciousOperation) as error:
                return error_response(HubError(400, str(error)), number)
            except repository.UnknownRevision as error:
                return error_response(HubError(404, str(error), "RevisionNotFound"), number)
            except Exception as error:
                if away(error) is not None:
                    raise
                answer = error_response(HubError(500, "Spaceport failed here; its log says why."), number)
                logger.exception("%s %s (request %s)", request.method, request.path, answer["X-Request-Id"])
                return answer

        wrapped.methods = methods  # type: ignore[attr-defined]  # for OpenAPI
        return wrapped

    return decorate


def current_caller(request: HttpRequest) -> Caller:
    """The caller of this request."""
    found: Caller = request.caller  # type: ignore[attr-defined]
    return found


def signed_in(request: HttpRequest) -> Caller:
    """The caller, who must be authenticated.

    Raises:
        HubError
    """
    caller = current_caller(request)
    if caller.user is None and caller.token is not None:
        raise HubError(403, f"This token is for {caller.token.space} alone.")
    if caller.user is None:
        raise HubError(401, "Invalid username or password: sign in with a token (hf auth login).")
    return caller


def readable(request: HttpRequest, owner: str, name: str) -> Space:
    """The Space, if the caller may read it.

    Raises:
        HubError: as if it did not exist.
    """
    caller = current_caller(request)
    user = caller.user if caller.token is None else caller.token.user
    space = permissions.readable(user, owner, name)
    if space is not None and caller.user is None and caller.token is not None:
        caller = request.caller = caller.on(space.pk)  # type: ignore[attr-defined]
        space = permissions.readable(caller.user, owner, name)
    if space is None:
        raise not_found(caller)
    return space


def unlimited(request: HttpRequest) -> Caller:
    """The caller, with a token that is good for more than one Space, and for writing.

    Raises:
        HubError
    """
    caller = signed_in(request)
    if caller.token is not None and caller.token.space_id is not None:
        raise HubError(
            403, f"This token is for {caller.token.space} alone, and neither moves nor deletes it."
        )
    if not caller.may_write:
        raise HubError(403, READ_ONLY)
    return caller


def administrator(request: HttpRequest) -> User:
    """The caller, who must be an administrator and have a token for writing.

    Raises:
        HubError
    """
    unlimited(request)
    return operator(request)


def operator(request: HttpRequest) -> User:
    """The caller, who must be an administrator; a session will do, which only reads.

    Raises:
        HubError
    """
    user = signed_in(request).user
    if not isinstance(user, User) or not user.is_superuser:
        raise HubError(403, "Only administrators may do this.")
    return user


def writable(request: HttpRequest, owner: str, name: str) -> Space:
    """The Space, if the caller may change it.

    Raises:
        HubError
    """
    space = readable(request, owner, name)
    caller = signed_in(request)
    if not access.can_write(caller.user, space.owner_id):
        raise HubError(403, f"You have no write access to {space}.")
    if not caller.may_write:
        raise HubError(403, READ_ONLY)
    return space


def body(request: HttpRequest) -> dict[str, Any]:
    """The JSON object in the request's body; {} for an empty one.

    Raises:
        HubError
    """
    return read_json(request, dict[str, Any])


def read_json(request: HttpRequest, kind: type[T], *, most: int = JSON_LIMIT) -> T:
    """The request's JSON, of at most `most` bytes, as `kind` describes it; an empty body is {}.

    Raises:
        HubError
    """
    raw = request.read(most + 1)
    if len(raw) > most:
        raise HubError(413, f"The body may have at most {most:,} bytes.")
    try:
        value = parse(raw.strip() or b"{}", kind)
    except BadJson as error:
        raise HubError(400, f"The body is not what is expected here: {error}") from error
    # PostgreSQL's texts cannot hold it. The search in `raw` alone would also find an escaped backslash.
    if b"\\u0000" in raw and _has_nul(msgspec.to_builtins(value)):
        raise HubError(400, "The body has a NUL character.")
    return value


def _has_nul(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_has_nul(part) for item in value.items() for part in item)
    if isinstance(value, list):
        return any(_has_nul(part) for part in value)
    return isinstance(value, str) and "\0" in value


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
    return [unquote(part) for part in _raw_path(request).split("/")[after + 1 :]]


def base_url(request: HttpRequest) -> str:
    """The address the client itself used: its URLs must carry the same host."""
    host = request.get_host()
    platform = urlsplit(settings.SPACEPORT_URL)
    # Behind a proxy that ends TLS the request itself came in the clear.
    return f"{platform.scheme if host == platform.netloc else request.scheme}://{host}"


def link_to_next(request: HttpRequest, **query: object) -> str:
    """The `Link` header to a list's next page, at the path the client wrote."""
    values = request.GET.copy()
    for name, value in query.items():
        values[name] = str(value)
    return f'<{base_url(request)}{_raw_path(request)}?{values.urlencode()}>; rel="next"'


def _raw_path(request: HttpRequest) -> str:
    raw: bytes = getattr(request, "scope", {}).get("raw_path") or quote(request.path).encode()
    return raw.decode("latin-1")


def number(value: str | None, default: int, most: int) -> int:
    """A number of the query; `default` for what is none."""
    plain = value is not None and value.isascii() and value.isdigit() and len(value) < 10
    return min(int(value or 0), most) if plain else default


def paged(
    request: HttpRequest,
    rows: QuerySet[Any],
    as_json: Callable[[Any], dict[str, Any]],
    *,
    size: int = PAGE,
) -> HttpResponse:
    """A page of a list, of `size` rows or the query's `limit`, with the `Link` to the next."""
    start = number(request.GET.get("cursor"), 0, 10**9)
    limit = number(request.GET.get("limit"), size, PAGE) or size
    page = list(rows[start : start + limit + 1])
    answer = ok([as_json(row) for row in page[:limit]])
    if len(page) > limit:
        answer["Link"] = link_to_next(request, cursor=start + limit)
    return answer


def date(value: datetime) -> str:
    """A date as the client parses it: UTC with `Z`."""
    return value.strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03d}Z"


def ok(value: Any = None, status: int = 200) -> HttpResponse:
    """JSON of anything; {} for nothing."""
    return HttpResponse(
        msgspec.json.encode({} if value is None else value), content_type="application/json", status=status
    )
