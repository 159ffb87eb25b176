"""The answer to every request while PostgreSQL or Redis is away: 503, when to try again, and a sentence. An
error page would suggest that something is broken."""

from __future__ import annotations

import logging
import sys
from collections.abc import Awaitable, Callable

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.views import defaults

from infra.away import RETRY_AFTER_S, Away, away
from queueing.events import encode
from spaceport.web.admission import later
from spaceport.web.bodies import Refusal
from spaceport.web.monitor import App, Message, Receive, Scope, Send
from spaces.gateway import status_pages
from spaces.gateway.proxy.headers import first, wants_page

logger = logging.getLogger(__name__)

STATUS = 503
CLOSED = 4000 + STATUS  # the websocket of an app
PLAIN, PAGE, JSON = "text/plain; charset=utf-8", "text/html; charset=utf-8", "application/json"


def for_programs(problem: Away, scope: Scope) -> Refusal:
    """The answer to clients that want no page; git shows its user plain text only."""
    if first(scope["headers"], "user-agent").startswith("git/"):
        return _answer(problem, PLAIN, f"{problem.sentence}\n".encode())
    value = {"code": problem.code, "error": problem.sentence, "detail": problem.sentence}
    return _answer(problem, JSON, encode(value))


def _answer(problem: Away, content_type: str, body: bytes) -> Refusal:
    headers = {
        "content-type": content_type,
        "content-length": str(len(body)),
        "retry-after": str(RETRY_AFTER_S),
        "cache-control": "no-store",
        "x-error-message": problem.sentence,
    }
    return STATUS, [(name.encode(), value.encode()) for name, value in headers.items()], body


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's `handler500`: what a view or a middleware raised."""
    error = sys.exc_info()[1]
    problem = away(error) if error is not None else None
    if problem is None:
        return defaults.server_error(request)
    scope: Scope = request.scope  # type: ignore[attr-defined]
    _log(scope, error)
    if wants_page(scope["headers"]):
        page = render_to_string("503.html", {"sentence": problem.sentence, "refresh_s": RETRY_AFTER_S})
        status, headers, body = _answer(problem, PAGE, page.encode())
    else:
        status, headers, body = for_programs(problem, scope)
    named = {name.decode(): value.decode() for name, value in headers}
    answer = HttpResponse(body, status=status, headers=named)
    # Else Django adds the error's traceback for every request.
    answer._has_been_logged = True  # type: ignore[attr-defined]
    return answer


def answered(app: App, is_app: Callable[[Scope], bool]) -> App:
    """The same application, with an answer for requests that failed so.

    Args:
        is_app: whether the request is for a Space's app, and not for the platform.
    """

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        began = False

        def sending(message: Message) -> Awaitable[None]:
            nonlocal began
            began = True
            return send(message)

        try:
            await app(scope, receive, sending)
        except Exception as error:
            problem = away(error)
            if problem is None or began:
                raise
            _log(scope, error)
            if scope["type"] == "http":
                await _send(problem, scope, send)
            elif is_app(scope):
                await receive()
                await send({"type": "websocket.close", "code": CLOSED})
            else:
                await later(receive, send)

    return application


async def _send(problem: Away, scope: Scope, send: Send) -> None:
    if wants_page(scope["headers"]):
        page = await status_pages.away(problem.sentence, RETRY_AFTER_S)
        status, headers, body = _answer(problem, PAGE, page)
    else:
        status, headers, body = for_programs(problem, scope)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _log(scope: Scope, error: BaseException | None) -> None:
    reason = str(error).strip().partition("\n")[0]
    logger.warning("%s %s: a server is away (%s)", scope.get("method", "websocket"), scope["path"], reason)
