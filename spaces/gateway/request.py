"""One request to a Space, as the gateway understood it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal
from urllib.parse import parse_qsl

from spaces.gateway import paths

if TYPE_CHECKING:
    from accounts.rights import Viewer
    from queueing.routes import Route
    from spaces.gateway.page_tokens import PageToken
    from spaces.gateway.proxy.door import Door
    from spaces.gateway.proxy.http import Scope

By = Literal["token", "query", "referring page", "pass", "bearer"]


@dataclass(frozen=True, slots=True)
class Visitor:
    """The caller, as far as one part of the request proves it."""

    viewer: Viewer
    visit: str = ""
    by: By = "bearer"
    referrer_token: str = ""  # in the address of the referring page
    has_pass: bool = False  # the cookie proves the same


@dataclass(frozen=True, kw_only=True)
class SpaceRequest:
    """One request to a Space, as the gateway understood it."""

    route: Route
    path: str  # decoded, without `/run/<owner>/<name>` and the page token
    host: str  # public host of the Space, with `/run/…` for programs, as the app gets it
    scheme: str
    client: str
    program: bool  # below `/run/`
    token: PageToken | None
    raw_token: str
    visitor: Visitor
    door: Door

    @property
    def user_id(self) -> int | None:
        return self.visitor.viewer.user_id

    @property
    def visit(self) -> str:
        return self.visitor.visit

    @cached_property
    def inner_path(self) -> str | None:
        """The path as the Gradio app routes it; None outside of the place where that is mounted."""
        return paths.inner(self.path, self.route.app)

    @property
    def origin(self) -> str:
        return "page" if self.token is not None and self.token.of_page else "api"


def query_of(scope: Scope) -> dict[str, str]:
    """The query string as a dict; of repeated names the last."""
    return dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
