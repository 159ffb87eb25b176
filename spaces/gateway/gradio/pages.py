"""What the gateway changes in the pages of a Gradio app.

Gradio 6 knows which page it shows by taking the app's root path off the address. A root path with a token
would have to stand in the address, for everybody to see; so pages other than the first one get the plain
one, and the token stands in the prefix of their requests, `api_prefix` of the page's own config.

A browser may deny a frame of another site its storage (cookies of third parties blocked): the mere word
`localStorage` throws there, and Gradio's chats and `BrowserState` break. In such a frame they get one in
memory, which lasts as long as the page.
"""

from __future__ import annotations

from pathlib import Path

from spaces.gateway import page_tokens
from spaces.gateway.paths import PREFIX
from spaces.gateway.proxy.http import Change

_STORAGE = Path(__file__).with_name("memory_storage.js").read_bytes()
_HEAD = b"<head>"


def with_token(token: str) -> Change:
    """What to change in the page, so that its requests prove where they come from."""
    plain = f'"api_prefix":"{PREFIX}"'
    return plain.encode(), f'"api_prefix":"{page_tokens.PREFIX}{token}{PREFIX}"'.encode()


def with_storage() -> Change:
    """What to change in a page in a frame, so that it has a storage in any case."""
    return _HEAD, b"%s<script>%s</script>" % (_HEAD, _STORAGE)
