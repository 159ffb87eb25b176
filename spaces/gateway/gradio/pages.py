"""The pages of a Gradio app other than its first one.

Gradio 6 knows which page it shows by taking the app's root path off the address. A root path with a token
would have to stand in the address, for everybody to see; so these pages are told the plain one, and the token
stands in what their requests begin with, `api_prefix` of the page's own config.
"""

from __future__ import annotations

from spaces.gateway import page_tokens
from spaces.gateway.paths import PREFIX
from spaces.gateway.proxy.http import Change


def with_token(token: str) -> Change:
    """What to change in the page, so that its requests prove where they come from."""
    plain = f'"api_prefix":"{PREFIX}"'
    return plain.encode(), f'"api_prefix":"{page_tokens.PREFIX}{token}{PREFIX}"'.encode()
