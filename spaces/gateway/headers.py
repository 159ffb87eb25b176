"""Headers between a visitor and a container: pure functions. The container's list is built anew; what the
platform or a proxy says about the visitor is never taken from the visitor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

Raw = Iterable[tuple[bytes, bytes]]
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
#: Never taken from a visitor: they decide URLs in results, or who the visitor is.
OURS = {
    "host",
    "content-length",
    "forwarded",
    "x-real-ip",
    "x-gradio-server",
    "x-direct-url",
    "x-space-event",
    "x-ip-token",
    "x-hf-authorization",
}
#: How headers begin that only the platform sends.
PLATFORM = "x-spaceport-"
#: Marks a request that is passed on for a visitor: the launcher lets such a one run no function, since those
#: run through the queue only.
MARK = f"{PLATFORM}visitor"
#: Never passed on to a browser.
NOT_BACK = {
    "strict-transport-security",
    "alt-svc",
    "clear-site-data",
    "service-worker-allowed",
    "server",
    "date",
}


def decoded(raw: Raw) -> list[tuple[str, str]]:
    """Header names in lower case, both as text."""
    return [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in raw]


def first(raw: Raw, name: str) -> str:
    """The first value of a header (its name in lower case), or ""."""
    wanted = name.encode("latin-1")
    return next((value.decode("latin-1") for key, value in raw if key.lower() == wanted), "")


def wants_page(headers: Raw) -> bool:
    """Whether a browser asks for a page to show."""
    return "text/html" in first(headers, "accept")


def to_container(
    raw: Raw, *, host: str, scheme: str, client: str, cookies: bool, root: Root = "forwarded"
) -> dict[str, str]:
    """The header list a container gets.

    Args:
        host: public host and path of the Space, as Gradio pastes it into URLs (`X-Forwarded-Host`).
        cookies: whether the visitor's cookies belong to this Space's own host.
        root: where the app looks for that: Gradio 4 began to read `X-Forwarded-Host` late, and pasted
            `Host` before; Gradio 3 reads `X-Direct-Url`, of which its page uses for its socket only a path
            without a host.
    """
    pairs = decoded(raw)
    named = {n.strip().lower() for key, value in pairs if key == "connection" for n in value.split(",")}
    headers: dict[str, str] = {}
    for key, value in pairs:
        if key in HOP_BY_HOP or key in OURS or key in named or key.startswith("x-forwarded-") or "_" in key:
            continue
        if key.startswith(PLATFORM) or (key == "cookie" and not cookies):
            continue
        # A platform token must never reach a stranger's code.
        if key == "authorization" and (not cookies or value.lower().startswith("bearer hf_")):
            continue
        headers[key] = f"{headers[key]}, {value}" if key in headers and key != "cookie" else value
    headers["host"] = host if root == "host" else host.partition("/")[0]
    if root == "direct":
        headers["x-direct-url"] = f"/{host.partition('/')[2]}" if cookies else f"{scheme}://{host}"
    headers["x-forwarded-host"] = host
    headers["x-forwarded-proto"] = scheme
    headers["x-forwarded-for"] = client
    return headers


def to_visitor(pairs: Iterable[tuple[bytes, bytes]], *, cookies: bool) -> list[tuple[bytes, bytes]]:
    """The header list a visitor gets back."""
    kept = []
    for name, value in pairs:
        key = name.decode("latin-1").lower()
        if key in HOP_BY_HOP or key in NOT_BACK or (key == "set-cookie" and not cookies):
            continue
        kept.append((name.lower(), value))
    kept.append((b"x-content-type-options", b"nosniff"))
    return kept


def replayed(headers: Mapping[str, str]) -> dict[str, str]:
    """What a queued event keeps of its request's headers."""
    return {k: v for k, v in headers.items() if k not in {"accept-encoding", "content-type", "accept", MARK}}
