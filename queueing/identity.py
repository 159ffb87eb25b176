"""Who counts as one visitor: whose events stand behind each other under the fair policy, and are limited."""

from __future__ import annotations

from accounts.addresses import client_of, network

__all__ = ["client_of", "network", "visitor"]


def visitor(*, user_id: int | None = None, page: str = "", address: str = "") -> str:
    """A name for the visitor, the first that is known of: account, browser session, address.

    Args:
        page: what the gateway has proof of for a page: its visit, or the session bound to its token. Never
            what a program may choose: it would be a new visitor with each call.
        address: whom the connection comes from; programs without an account are told apart by it.
    """
    if user_id is not None:
        return f"account:{user_id}"
    if page:
        return f"page:{page}"
    return f"address:{network(address)}"
