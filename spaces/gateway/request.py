"""One request to a Space, as the gateway understood it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from accounts.rights import Who
    from queueing.routes import Route
    from spaces.gateway.page_tokens import PageToken
    from spaces.gateway.proxy.door import Door
    from spaces.gateway.proxy.http import Scope

By = Literal["token", "query", "asking page", "pass", "bearer"]


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks, as far as one thing that the request brings says it."""

    who: Who
    visit: str = ""
    by: By = "bearer"
    asking_token: str = ""  # in the address of the page that asks (`by` it)
    has_pass: bool = False  # the cookie says the same


@dataclass(frozen=True, kw_only=True)
class SpaceRequest:
    """One request to a Space, as the gateway understood it."""

    route: Route
    path: str  # decoded, without the door's prefix and the page token
    host: str  # public host of the Space with the door's path, as the app is told it
    scheme: str
    client: str
    program: bool  # by the programs' door
    token: PageToken | None
    raw_token: str
    visitor: Visitor
    door: Door

    @property
    def user_id(self) -> int | None:
        return self.visitor.who.user_id

    @property
    def visit(self) -> str:
        return self.visitor.visit

    @property
    def origin(self) -> str:
        return "page" if self.token is not None and self.token.of_page else "api"


def query_of(scope: Scope) -> dict[str, str]:
    """The query string as a dict; of repeated names the last."""
    return dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
