"""How a browser comes into a private Space: pure decisions.

The platform's page opens the Space with a signed visit in the query. That is exchanged at once for a cookie,
and for a token in the path, where the browser is sent. If it kept the cookie, it is sent on to the address
the app would have by itself; if it keeps none (cookies of third parties blocked, and no partitioned ones), it
stays: relative addresses contain the token, and requests to the host's root are redirected below it by their
Referer. A visitor who opens the Space's own host without any of this is redirected to the platform, which has
their session.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from hardware.replica_client import target_of
from spaces import visits
from spaces.gateway import page_tokens
from spaces.gateway.proxy import cookies
from spaces.gateway.proxy import headers as head

if TYPE_CHECKING:
    from spaces.gateway.proxy.http import Scope
    from spaces.gateway.request import SpaceRequest

#: The pages of this Gradio take the address they were opened at for the app's, whatever the headers contain.
GOES_BY_ADDRESS = 5
ENTER = "/enter"


def opens_page(scope: Scope) -> bool:
    """Whether a browser opens an address, in a tab or a frame."""
    return scope["method"] == "GET" and head.wants_page(scope["headers"])


def is_page(request: SpaceRequest, scope: Scope) -> bool:
    """A browser opening one of the app's pages (not its scripts fetching data)."""
    if not request.route.app.protocol or not opens_page(scope):
        return False
    path = request.inner_path
    return path is not None and (path.strip("/") in request.route.app.pages or path == "/")


def is_home(request: SpaceRequest, scope: Scope) -> bool:
    """A browser opening the Space's address, whatever is there."""
    return opens_page(scope) and request.path == "/" and not request.program


def redirection(request: SpaceRequest, scope: Scope, key: str) -> tuple[str, str] | None:
    """Where the browser has to go first, and the Set-Cookie on its way ("" for none); None to go on."""
    if request.program:
        return None
    path, query = request.path, scope["query_string"]
    host, _, domain = request.host.partition(".")
    if host.lower() != request.route.subdomain and scope["method"] in {"GET", "HEAD"}:
        # It was moved: its own address is another now.
        return f"{request.scheme}://{request.route.subdomain}.{domain}{target_of(path, query)}", ""
    if request.token is None:
        if not request.route.private:
            return None
        if request.visitor.referrer_token and scope["method"] in {"GET", "HEAD"}:
            return target_of(f"{page_tokens.PREFIX}{request.visitor.referrer_token}{path}", query), ""
        return (
            _exchanged(request, key, query) if request.visitor.by == "query" and opens_page(scope) else None
        )
    if stays_under_token(request) or not opens_page(scope):
        return None
    own_path = f"/{path.lstrip('/')}"  # `//name` would lead to another host
    return target_of(own_path, _with_visit(request, query)), ""


def stays_under_token(request: SpaceRequest) -> bool:
    """Whether the address of a page has to have its token in it."""
    barred = request.route.private and request.token is not None and not request.visitor.has_pass
    return barred or request.route.app.release[0] == GOES_BY_ADDRESS


def _exchanged(request: SpaceRequest, key: str, query: bytes) -> tuple[str, str]:
    route = request.route
    token = page_tokens.make(
        key, route.space_id, visit=request.visit, user_id=request.user_id or 0, page=False
    )
    _, kept = visits.sign(route.space_id, request.user_id, "")
    cookie = cookies.new_pass(kept, visits.AGE_S, secure=request.door.secure or _is_local(request.host))
    return target_of(f"{page_tokens.PREFIX}{token}{request.path}", query), cookie


def _is_local(host: str) -> bool:
    """Whether browsers take `Secure` cookies from this host without https."""
    return host.partition(":")[0].endswith(".localhost")


def _with_visit(request: SpaceRequest, query: bytes) -> bytes:
    """The query, with the visit that the platform's page shows. By itself it opens no private Space."""
    if not request.visit:
        return query
    route = request.route
    _, signed = visits.sign(route.space_id, None if route.private else request.user_id, request.visit)
    ours = f"{page_tokens.VISIT}={quote(signed, safe=':')}".encode()
    return b"&".join(part for part in (query, ours) if part)


def in_a_tab(scope: Scope) -> bool:
    """Whether a browser opens this in a tab, by its headers: only there can it be redirected to the
    platform."""
    return opens_page(scope) and head.first(scope["headers"], "sec-fetch-dest") == "document"


def in_a_frame(scope: Scope) -> bool:
    """Whether a browser opens this in a frame, by its headers."""
    return head.first(scope["headers"], "sec-fetch-dest") in {"iframe", "frame"}


def by_platform(platform_url: str, label: str, scope: Scope) -> str:
    """The platform's address that leads a permitted visitor into this Space."""
    target = target_of(page_tokens.split(scope["path"])[1], page_tokens.own_query(scope["query_string"]))
    return f"{platform_url}{ENTER}?space={quote(label)}&to={quote(target, safe='')}"
