"""The app's description of its functions, Gradio's `/info`.

Gradio 6 caches its first answer for everybody, and the answer contains the public address of that first
request: a page's, with its token, or one that a stranger invented. So the app gets a neutral address, and
each visitor's own one is put in here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw, Struct

from hardware.hop.addresses import local
from hardware.replica_client import BadAnswer
from queueing.errors import BadRequest, UnknownFunction
from queueing.events import encode
from spaces.gateway.identity import caller

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from hardware.replica_client import ReplicaClient, Reply
    from spaces.gateway.proxy.http import Scope
    from spaces.gateway.request import SpaceRequest

NOWHERE = "spaceport.invalid"
NOWHERE_URL = f"http://{NOWHERE}".encode()
FROM_NOWHERE = {"x-forwarded-host": NOWHERE, "x-forwarded-proto": "http"}
ANSWER_S = 60.0
INFO_BYTES = 16 * 1024 * 1024
ENDPOINT_BYTES = 4 * 1024 * 1024


class _Parameter(Struct):
    parameter_name: str
    parameter_has_default: bool | None = False
    parameter_default: Any = None


class _Endpoint(Struct):
    parameters: list[_Parameter] = []


_endpoint = msgspec.json.Decoder(_Endpoint).decode


def for_visitor(
    client: ReplicaClient, request: SpaceRequest, scope: Scope
) -> AbstractAsyncContextManager[Reply]:
    """The answer to a visitor's `GET info`, to be sent with `rewritten` addresses.

    Raises:
        Unreachable, BadAnswer
    """
    return _fetch(client, request, scope["query_string"], caller.to_container(request, scope))


async def rewritten(chunks: AsyncIterator[bytes], request: SpaceRequest) -> AsyncIterator[bytes]:
    """The description as it comes, with the visitor's address in place of the neutral one."""
    address = encode(f"{request.scheme}://{request.host}{request.route.app.mount}")[1:-1]
    addresses = [NOWHERE_URL]
    if request.route.address:  # its own, where the first request came from its own machine
        addresses.append(f"http://{local(request.route.address)}".encode())
    pattern = re.compile(b"|".join(map(re.escape, addresses)))
    rest, longest = b"", max(map(len, addresses)) - 1
    async for chunk in chunks:
        text = rest + chunk
        done, parts = 0, []
        for found in pattern.finditer(text):
            parts += [text[done : found.start()], address]
            done = found.end()
        kept = max(done, len(text) - longest)  # an address may begin there
        yield b"".join([*parts, text[done:kept]])
        rest = text[kept:]
    yield rest


async def in_order(
    client: ReplicaClient, request: SpaceRequest, api_name: str, named: dict[str, Any]
) -> list[Any]:
    """Arguments by name (`call/v2` of 6.x) in the order of the app's own description.

    Raises:
        UnknownFunction, BadRequest
        Unreachable, BadAnswer
    """
    async with _fetch(client, request, b"", {}) as reply:
        raw = await reply.read(INFO_BYTES)
    name = api_name.strip("/")
    endpoint = _endpoint_of(raw, name) if reply.status == 200 else None
    if endpoint is None:
        raise UnknownFunction(f"This app has no function named '{name[:100]}'.")
    data = []
    for parameter in endpoint.parameters:
        key = parameter.parameter_name
        if key not in named and not parameter.parameter_has_default:
            raise BadRequest(f"The argument '{key[:100]}' is missing.")
        data.append(named.get(key, parameter.parameter_default))
    return data


def _endpoint_of(raw: bytes, name: str) -> _Endpoint | None:
    """The one endpoint of a description; the others are not decoded, however many there are.

    Raises:
        BadAnswer
    """
    named = msgspec.defstruct("Named", [("wanted", Raw, Raw())], rename={"wanted": f"/{name}"})
    described = msgspec.defstruct("Described", [("named_endpoints", named | None, None)])
    try:
        value: Any = msgspec.json.decode(raw, type=described)
        found = getattr(value.named_endpoints, "wanted", Raw())
        if len(found) > ENDPOINT_BYTES:
            raise BadAnswer("The app's description of its functions is too large.")
        return _endpoint(found) if len(found) else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadAnswer("The app's description of its functions is not as Gradio writes it.") from error


def _fetch(
    client: ReplicaClient, request: SpaceRequest, query: bytes, headers: dict[str, str]
) -> AbstractAsyncContextManager[Reply]:
    return client.request(
        "GET", request.route.address, f"{request.route.app.prefix}/info",
        query=query, headers={**headers, **FROM_NOWHERE}, total_s=ANSWER_S,
    )  # fmt: skip
