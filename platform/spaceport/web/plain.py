"""Requests that no honest client sends: refused in one place, before anything behind can read them in two
ways. A missing or repeated Host, a Host that is not ours, a NUL in the path, credentials of odd form."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import unquote_to_bytes

from django.http.request import split_domain_port, validate_host

from queueing.events import encode
from spaceport.web.monitor import App, Receive, Scope, Send

_HOST = re.compile(r"([A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(:\d{1,5})?")
_CREDENTIALS = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+( [!-~]([ -~]*[!-~])?)?")
REFUSED = 4400


def fault_of(scope: Scope, *, is_demo: Callable[[str], bool], hosts: list[str]) -> str:
    """What is wrong with a request, in a sentence; "" for nothing.

    Args:
        hosts: under which names the platform answers (Django's `ALLOWED_HOSTS`).
    """
    named = [value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"host"]
    if len(named) != 1 or not _HOST.fullmatch(named[0]):
        return "A request has exactly one Host."
    if "\0" in scope["path"]:
        return "A path has no zero bytes."
    given = [value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"authorization"]
    if len(given) > 1 or not all(_is_plain(value) for value in given):
        return "Authorization is one scheme, one blank, and what belongs to it."
    if is_demo(named[0]):
        return ""
    if not validate_host(split_domain_port(named[0])[0], hosts):
        return "This host is not served here."
    if not scope["path"].startswith("/run/") and b"\0" in unquote_to_bytes(scope["query_string"]):
        return "A query has no zero bytes."
    return ""


def _is_plain(value: str) -> bool:
    scheme, _, rest = value.partition(" ")
    if _CREDENTIALS.fullmatch(value) is None:
        return False
    return " " not in rest or scheme.lower() not in {"bearer", "basic"}


def plain(app: App, is_demo: Callable[[str], bool], hosts: list[str]) -> App:
    """The same application, for plain requests only; all others get 400."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        fault = "" if scope["type"] == "lifespan" else fault_of(scope, is_demo=is_demo, hosts=hosts)
        if not fault:
            await app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": REFUSED})
        else:
            body = encode({"detail": fault, "error": fault})
            head = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
            await send({"type": "http.response.start", "status": 400, "headers": head})
            await send({"type": "http.response.body", "body": body})

    return application
