"""`gr.LoginButton`, and functions that take a `gr.OAuthProfile` or `gr.OAuthToken`.

Gradio has two ways: the Hub's sign-in, which needs a provider (OAUTH_CLIENT_ID and its like), and outside of
the Hub a pretended one, where every visitor is the account whose HF_TOKEN the machine has. The second must
never happen here. With a provider the first is taken; without one every visitor is a stranger, and whoever
presses the button reads why.
"""

from __future__ import annotations

import os
from html import escape
from typing import Any
from urllib.parse import urlsplit

PROVIDER = ("OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET", "OAUTH_SCOPES", "OPENID_PROVIDER_URL")
TEXT = "Signing in is not available in this Space: it has no sign-in provider. You can use it as a guest."
PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Sign in</title></head>
<body style="font-family: system-ui, sans-serif; max-width: 34rem; margin: 4rem auto; padding: 0 1rem">
<p>{text}</p>
<p><a href="{back}">Back to the app</a></p>
</body>
</html>
"""


def patch(module: Any) -> None:
    """Take Gradio's own way for Spaces where there is a provider, else ours."""
    if all(os.environ.get(name) for name in PROVIDER):
        module.get_space = lambda: os.environ.get("SPACE_ID", "space")
    else:
        module.attach_oauth = attach_guests


def attach_guests(app: Any) -> None:
    """The routes that the button leads to, and an empty session for each request."""
    from fastapi import Request
    from fastapi.responses import HTMLResponse, RedirectResponse

    async def sign_in(request: Request) -> HTMLResponse:
        return HTMLResponse(PAGE.format(text=escape(TEXT), back=escape(_back(request))), status_code=501)

    async def sign_out(request: Request) -> RedirectResponse:
        return RedirectResponse(_back(request))

    # This module's `annotations` are text, which FastAPI could not resolve.
    sign_in.__annotations__["request"] = sign_out.__annotations__["request"] = Request
    app.add_api_route("/login/huggingface", sign_in, methods=["GET"], response_model=None)
    app.add_api_route("/login/callback", sign_in, methods=["GET"], response_model=None)
    app.add_api_route("/logout", sign_out, methods=["GET"], response_model=None)
    app.add_middleware(Guests)


class Guests:
    """Nobody is signed in: code that reads the session finds it empty."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] in ("http", "websocket"):
            scope.setdefault("session", {})
        await self.app(scope, receive, send)


def _back(request: Any) -> str:
    """The page that the visitor came from: a path of this host only."""
    target = urlsplit(request.query_params.get("_target_url", "/"))
    path = "/" + target.path.lstrip("/\\")
    return f"{path}?{target.query}" if target.query else path
