"""The app's description of its functions, Gradio's `/info`.

Gradio 6 keeps for everybody what it answers to whoever asks first, and that has the public address in it: a
page's, with its token, or one that a stranger made up. So the app is told an address that means nothing, and
each visitor gets its own put in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from queueing.doors.gradio import BadRequest, UnknownFunction
from queueing.events import encode
from spaces.gateway import callers, http

if TYPE_CHECKING:
    import aiohttp

    from spaces.gateway.app import Asked
    from spaces.gateway.http import Scope

NOWHERE = "spaceport.invalid"
NOWHERE_URL = f"http://{NOWHERE}".encode()


async def for_visitor(client: aiohttp.ClientSession, asked: Asked, scope: Scope) -> tuple[int, bytes]:
    """Status and body of the answer to a visitor's `GET info`."""
    headers = callers.to_container(asked, scope)
    status, raw = await _ask(client, asked, scope["query_string"], headers)
    address = encode(f"{asked.scheme}://{asked.host}{asked.route.app.mount}")[1:-1]
    # Its own address, where somebody on its machine asked it first.
    own = f"http://{asked.route.address}".encode()
    return status, raw.replace(NOWHERE_URL, address).replace(own, address)


async def in_order(
    client: aiohttp.ClientSession, asked: Asked, api_name: str, named: dict[str, Any]
) -> list[Any]:
    """Arguments by name (`call/v2` of 6.x) in the order of the app's own description.

    Raises:
        UnknownFunction, BadRequest
    """
    status, raw = await _ask(client, asked, b"", {})
    endpoints = msgspec.json.decode(raw).get("named_endpoints") if status == 200 else None
    endpoint = (endpoints or {}).get(f"/{api_name.strip('/')}")
    if endpoint is None:
        raise UnknownFunction(f"This app has no function named '{api_name}'.")
    data = []
    for parameter in endpoint["parameters"]:
        key = parameter["parameter_name"]
        if key not in named and not parameter.get("parameter_has_default"):
            raise BadRequest(f"The argument '{key}' is missing.")
        data.append(named.get(key, parameter.get("parameter_default")))
    return data


async def _ask(
    client: aiohttp.ClientSession, asked: Asked, query: bytes, headers: dict[str, str]
) -> tuple[int, bytes]:
    url = http.url_of(asked.route.address, f"{asked.route.app.prefix}/info", query)
    ours = {"x-forwarded-host": NOWHERE, "x-forwarded-proto": "http", "accept-encoding": "identity"}
    async with client.get(url, headers={**headers, **ours}) as answer:
        return answer.status, await answer.read()
