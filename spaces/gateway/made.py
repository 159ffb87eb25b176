"""Functions that the app's `/config` at its start did not name: `gr.render` makes them, each in one session.
The launcher knows them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import aiohttp
import msgspec

from queueing.app_config import function as function_of
from queueing.routes import MCP, Function
from spaces.gateway import http

if TYPE_CHECKING:
    from spaces.gateway.app import Asked

PATH = "/__spaceport__/function"
ANSWER_S = 10.0
LIMIT = 64 * 1024
NONSENSE = (ValueError, TypeError, AttributeError)  # what an answer may be, for a stranger's code gives it


async def function(
    client: aiohttp.ClientSession, asked: Asked, name: str, body: dict[str, Any]
) -> Function | None:
    """The function that a direct run means, as its session knows it; None where there is none. Whether it may
    go past the line is the app's own word, never the caller's."""
    app = asked.route.app
    if not app.guarded or not asked.route.address:
        return None
    fn_index, session = body.get("fn_index"), body.get("session_hash")
    known = {"mount": app.mount, "session": session if isinstance(session, str) else ""}
    known |= {"fn": str(fn_index)} if isinstance(fn_index, int) else {"name": name.strip("/")}
    url = http.url_of(asked.route.address, PATH, urlencode(known).encode())
    timeout = aiohttp.ClientTimeout(total=ANSWER_S)
    with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError, *NONSENSE):
        async with client.get(url, allow_redirects=False, timeout=timeout) as answer:
            told = msgspec.json.decode(await answer.content.read(LIMIT))
            found = function_of(told) if answer.status == 200 and told else None
        return found if found is not None and 0 <= found.id < MCP else None
    return None
