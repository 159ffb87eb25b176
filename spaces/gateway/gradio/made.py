"""Functions that the app's `/config` at its start did not name: `gr.render` makes them, each in one session.
The launcher knows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from hardware import app_report
from hardware.app_report import Unusable
from hardware.replica_client import ReplicaClient, ReplicaError
from queueing.protocols.gradio_config import function as function_of
from queueing.routes import Function

if TYPE_CHECKING:
    from spaces.gateway.request import SpaceRequest

PATH = "/__spaceport__/function"
ANSWER_S = 10.0
LIMIT = 64 * 1024


async def function(
    client: ReplicaClient, asked: SpaceRequest, name: str, body: dict[str, Any]
) -> Function | None:
    """The function that a direct run means, as its session knows it; None where there is none. Whether it may
    go past the line is the app's own word, never the caller's."""
    app = asked.route.app
    if not app.guarded or not asked.route.address:
        return None
    fn_index, session = body.get("fn_index"), body.get("session_hash")
    known = {"mount": app.mount, "session": session if isinstance(session, str) else ""}
    known |= {"fn": str(fn_index)} if isinstance(fn_index, int) else {"name": name.strip("/")}
    query = urlencode(known).encode()
    try:
        async with client.ask("GET", asked.route.address, PATH, query=query, total_s=ANSWER_S) as reply:
            found = app_report.function(await reply.read(LIMIT)) if reply.status == 200 else None
    except (ReplicaError, Unusable):
        return None
    return function_of(found) if found is not None else None
