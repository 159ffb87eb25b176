"""Functions that the app's `/config` at its start did not name: `gr.render` makes them, each in one session.
The launcher knows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from msgspec import structs

from hardware import app_report
from hardware.app_report import Unusable
from hardware.replica_client import ReplicaClient, ReplicaError
from queueing.lines import MAIN
from queueing.protocols.gradio_config import function as function_of
from queueing.routes import MCP, RENDERED, App, Function

if TYPE_CHECKING:
    from spaces.gateway.request import SpaceRequest

PATH = "/__spaceport__/function"
ANSWER_S = 10.0
JOIN_S = 2.0  # finding the group is worth no longer wait
LIMIT = 64 * 1024


async def group(client: ReplicaClient, request: SpaceRequest, body: dict[str, Any]) -> str:
    """The group of a made function that somebody joins with; "" for all other functions."""
    fn_index, app = body.get("fn_index"), request.route.app
    if not isinstance(fn_index, int) or not 0 <= fn_index < MCP or app.function(fn_index) is not None:
        return ""
    found = await function(client, request, "", body, within_s=JOIN_S)
    return found.group if found is not None else ""


async def function(
    client: ReplicaClient,
    request: SpaceRequest,
    name: str,
    body: dict[str, Any],
    *,
    within_s: float = ANSWER_S,
) -> Function | None:
    """The function that a request means, as its session knows it; None where there is none. Whether it may go
    past the line is the app's decision, never the caller's."""
    app = request.route.app
    if not app.guarded or not request.route.address:
        return None
    fn_index, session = body.get("fn_index"), body.get("session_hash")
    known = {"mount": app.mount, "session": session if isinstance(session, str) else ""}
    known |= {"fn": str(fn_index)} if isinstance(fn_index, int) else {"name": name.strip("/")}
    query = urlencode(known).encode()
    try:
        async with client.request("GET", request.route.address, PATH, query=query, total_s=within_s) as reply:
            found = app_report.function(await reply.read(LIMIT)) if reply.status == 200 else None
    except (ReplicaError, Unusable):
        return None
    if found is None:
        return None
    made = function_of(found)
    return structs.replace(made, group=known_group(app, found["group"])) if made.lane == MAIN else made


def known_group(app: App, group: str) -> str:
    """The group, if it is one of the Space's; else that of all made functions."""
    if not app.grouped:
        return ""
    return group if group in {known.group for known in app.every().values()} else RENDERED
