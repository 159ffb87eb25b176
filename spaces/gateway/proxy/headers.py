"""Headers between a visitor and a container: pure functions. The container's list is built anew; headers by
which the platform or a proxy describes the visitor are never taken from the visitor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal
from urllib.parse import unquote, urljoin, urlsplit

from spaces.gateway import page_tokens
from spaces.gateway.proxy import cookies, credentials
from spaces.gateway.proxy.door import Door

Raw = Iterable[tuple[bytes, bytes]]
Headers = list[tuple[bytes, bytes]]
#: The header an app learns its public address from.
Root = Literal["forwarded", "host", "direct"]

HOP_BY_HOP = {
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}
#: Never taken from a visitor: they decide URLs in results, or the visitor's identity.
OURS = {
    "host",
    "content-length",
    "forwarded",
    "x-real-ip",
    "x-gradio-server",
    "x-direct-url",
    "x-space-event",
    "x-ip-token",
}
#: How headers begin that only the platform sends.
PLATFORM = "x-spaceport-"
#: Marks a request that is passed on for a visitor: the launcher lets such a one run no function, since those
#: run through the queue only.
MARK = f"{PLATFORM}visitor"
#: Where a client may put the platform's credentials, or the app's own.
CREDENTIALS = {"authorization", "x-hf-authorization"}
#: Never passed on: they concern the whole host, or are orders to a proxy in front of this process.
NOT_BACK = {
    "strict-transport-security",
    "alt-svc",
    "clear-site-data",
    "service-worker-allowed",
    "server",
    "date",
    "x-content-type-options",
}
PROXY_ORDERS = ("x-accel-", "x-sendfile", "x-lighttpd-", "x-litespeed-", "x-reproxy-")
#: The app's headers that pass below `/run/`, besides its own `X-…`, and its cookies and redirects, which are
#: rewritten: that is the platform's own host, where a header would count for the platform's pages.
TO_PROGRAMS = {
    "accept-ranges",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-expose-headers",
    "access-control-max-age",
    "allow",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-range",
    "content-type",
    "deprecation",
    "etag",
    "idempotent-replayed",
    "last-modified",
    "mcp-protocol-version",
    "mcp-session-id",
    "preference-applied",
    "retry-after",
    "vary",
}
#: `X-…` that some browser obeys.
ORDERS = {
    "x-content-security-policy",
    "x-content-security-policy-report-only",
    "x-dns-prefetch-control",
    "x-frame-options",
    "x-permitted-cross-domain-policies",
    "x-robots-tag",
    "x-sourcemap",
    "x-ua-compatible",
    "x-webkit-csp",
    "x-webkit-csp-report-only",
    "x-xss-protection",
}
#: The `Cache-Control` words of an app that stay where only the visitor may keep an answer.
PRIVATELY = {"no-store", "no-cache", "no-transform", "must-revalidate", "max-age", "immutable"}
#: The browsers' default: other sites get the host, never a path with a token in it.
REFERRER_POLICY = b"strict-origin-when-cross-origin"


def is_browser(raw: Raw, *, secure: bool) -> bool:
    """Whether a browser sends this. Over plain http it sends no `Sec-Fetch-…`, so its name decides."""
    named = not secure and first(raw, "user-agent").startswith("Mozilla/")
    return named or bool(first(raw, "sec-fetch-site"))


def decoded(raw: Raw) -> list[tuple[str, str]]:
    """Header names in lower case, both as text."""
    return [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in raw]


def first(raw: Raw, name: str) -> str:
    """The first value of a header (its name in lower case), or ""."""
    wanted = name.encode("latin-1")
    return next((value.decode("latin-1") for key, value in raw if key.lower() == wanted), "")


def wants_page(headers: Raw) -> bool:
    """Whether a browser requests a page to show."""
    return "text/html" in first(headers, "accept")


def to_container(
    raw: Raw, door: Door, *, host: str, scheme: str, client: str, root: Root = "forwarded"
) -> dict[str, str]:
    """The header list a container gets.

    Args:
        host: public host and path of the Space, as Gradio pastes it into URLs (`X-Forwarded-Host`).
        root: the header from which the app reads it: Gradio 4 began to read `X-Forwarded-Host` late, and
        pasted
            `Host` before; Gradio 3 reads `X-Direct-Url`, of which its page uses for its socket only a path
            without a host.
    """
    pairs = decoded(raw)
    named = {n.strip().lower() for key, value in pairs if key == "connection" for n in value.split(",")}
    headers: dict[str, str] = {}
    for key, value in pairs:
        if key in HOP_BY_HOP or key in OURS or key in named or key.startswith("x-forwarded-") or "_" in key:
            continue
        if key.startswith(PLATFORM) or (key in CREDENTIALS and credentials.are_platforms(value)):
            continue
        if key == "referer":
            value = page_tokens.own_url(value)
        if key != "cookie":
            headers[key] = f"{headers[key]}, {value}" if key in headers else value
    if sent := cookies.of_request((value for key, value in pairs if key == "cookie"), door):
        headers["cookie"] = sent
    headers["host"] = host if root == "host" else host.partition("/")[0]
    if root == "direct":
        headers["x-direct-url"] = f"{scheme}://{host}" if door.program else f"/{host.partition('/')[2]}"
    headers["x-forwarded-host"] = host
    headers["x-forwarded-proto"] = scheme
    headers["x-forwarded-for"] = client
    return headers


def of_program(raw: Raw, space_id: int) -> dict[str, str]:
    """The headers that identify a program on the queue's websocket to the app: its cookies and credentials
    for `/run/`. A browser has none there."""
    door = Door(space_id=space_id, host="", path="/run", browser=bool(first(raw, "origin")))
    credential_headers = {key: value for key, value in decoded(raw) if key in CREDENTIALS}
    known = {key: value for key, value in credential_headers.items() if not credentials.are_platforms(value)}
    sent = cookies.of_request((value for key, value in decoded(raw) if key == "cookie"), door)
    return known | ({"cookie": sent} if sent else {})


def to_visitor(pairs: Iterable[tuple[bytes, bytes]], door: Door) -> Headers:
    """The header list a visitor gets back."""
    kept: Headers = []
    for name, value in pairs:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        passes = rewritten(key, text, door)
        if passes is not None:
            kept.append((key.encode("latin-1"), passes.encode("latin-1")))
    if door.program:
        set_cookies = [pair for pair in kept if pair[0] == b"set-cookie"]
        kept = [pair for pair in kept if pair not in set_cookies[cookies.MOST :]]
    if door.program or door.private:
        kept = [pair for pair in kept if pair[0] != b"cache-control"]
        kept.append((b"cache-control", _kept_privately(pairs).encode("latin-1")))
    if door.page:
        # Going back, a browser would show the old page again, whose token another session has used.
        kept = [*(pair for pair in kept if pair[0] != b"cache-control"), (b"cache-control", b"no-store")]
    if door.private or door.token:
        kept = [pair for pair in kept if pair[0] != b"referrer-policy"]  # the gateway adds its own
    kept.append((b"x-content-type-options", b"nosniff"))
    return kept


def rewritten(key: str, text: str, door: Door) -> str | None:
    """One header of the app as the visitor gets it; None to drop it."""
    ordered = key.startswith(PROXY_ORDERS) and key != "x-accel-buffering"
    if key in HOP_BY_HOP or key in NOT_BACK or ordered:
        return None
    if key == "set-cookie":
        return cookies.of_answer(text, door)
    if key in {"location", "content-location"}:
        return location(text, door)
    own = key.startswith("x-") and not key.startswith("x-forwarded-") and key not in ORDERS
    return text if not door.program or own or key in TO_PROGRAMS else None


def location(value: str, door: Door) -> str | None:
    """A redirect's target: below `/run/` the app itself, or nothing; with a token in the path, a path with
    that token."""
    begins = door.path or door.token
    if not begins:
        return value
    elsewhere = None if door.program else value
    if any(c <= " " or c in "\\\x7f" for c in value):
        return elsewhere
    try:
        parts = urlsplit(value)
    except ValueError:
        return elsewhere
    ours = parts.netloc.lower() == door.host.lower() and parts.scheme in {"http", "https", ""}
    if (parts.scheme or parts.netloc) and not ours:
        return elsewhere
    path = parts.path if parts.netloc else urljoin(door.at, parts.path)
    if path != begins and not path.startswith(f"{begins}/"):
        path = f"{begins}/{path.lstrip('/')}"
    if any(unquote(segment) in {".", ".."} for segment in path.split("/")):
        return elsewhere
    return parts._replace(scheme="", netloc="", path=path).geturl()


def _kept_privately(pairs: Iterable[tuple[bytes, bytes]]) -> str:
    """The Cache-Control of an answer that no cache but the visitor's own may keep."""
    values = [v.decode("latin-1") for n, v in pairs if n.lower() == b"cache-control"]
    words = [word.strip() for word in ",".join(values).split(",")]
    return ", ".join(["private", *(w for w in words if w.partition("=")[0].lower() in PRIVATELY)])


def with_referrer_policy(pairs: Headers) -> Headers:
    """The headers of an answer on a demo's host, with a Referrer-Policy where it has none."""
    if any(key == b"referrer-policy" for key, _ in pairs):
        return pairs
    return [*pairs, (b"referrer-policy", REFERRER_POLICY)]


def replayed(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers of its request that a queued event keeps."""
    return {k: v for k, v in headers.items() if k not in {"accept-encoding", "content-type", "accept", MARK}}
