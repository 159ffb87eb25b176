"""The answer to every request while PostgreSQL or Redis is away: 503, when to try again, and a sentence. An
error page would say that something is broken."""

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


def for_programs(told: Away, scope: Scope) -> Refusal:
    """The answer to who wants no page; git shows its user plain text only."""
    if first(scope["headers"], "user-agent").startswith("git/"):
        return _answer(told, PLAIN, f"{told.sentence}\n".encode())
    value = {"code": told.code, "error": told.sentence, "detail": told.sentence}
    return _answer(told, JSON, encode(value))


def _answer(told: Away, content_type: str, body: bytes) -> Refusal:
    headers = {
        "content-type": content_type,
        "content-length": str(len(body)),
        "retry-after": str(RETRY_AFTER_S),
        "cache-control": "no-store",
        "x-error-message": told.sentence,
    }
    return STATUS, [(name.encode(), value.encode()) for name, value in headers.items()], body


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's `handler500`: what a view or a middleware raised."""
    error = sys.exc_info()[1]
    told = away(error) if error is not None else None
    if told is None:
        return defaults.server_error(request)
    scope: Scope = request.scope  # type: ignore[attr-defined]
    _log(scope, error)
    if wants_page(scope["headers"]):
        page = render_to_string("503.html", {"sentence": told.sentence, "refresh_s": RETRY_AFTER_S})
        status, headers, body = _answer(told, PAGE, page.encode())
    else:
        status, headers, body = for_programs(told, scope)
    named = {name.decode(): value.decode() for name, value in headers}
    answer = HttpResponse(body, status=status, headers=named)
    # Else Django adds the error's traceback for every request.
    answer._has_been_logged = True  # type: ignore[attr-defined]
    return answer


def answered(app: App, is_app: Callable[[Scope], bool]) -> App:
    """The same application, with an answer for what came to none.

    Args:
        is_app: whether an app of a Space is asked, and not the platform.
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
            told = away(error)
            if told is None or began:
                raise
            _log(scope, error)
            if scope["type"] == "http":
                await _send(told, scope, send)
            elif is_app(scope):
                await receive()
                await send({"type": "websocket.close", "code": CLOSED})
            else:
                await later(receive, send)

    return application


async def _send(told: Away, scope: Scope, send: Send) -> None:
    if wants_page(scope["headers"]):
        page = await status_pages.away(told.sentence, RETRY_AFTER_S)
        status, headers, body = _answer(told, PAGE, page)
    else:
        status, headers, body = for_programs(told, scope)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _log(scope: Scope, error: BaseException | None) -> None:
    reason = str(error).strip().partition("\n")[0]
    logger.warning("%s %s: a server is away (%s)", scope.get("method", "websocket"), scope["path"], reason)
