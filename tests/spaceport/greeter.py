"""A small application behind the limit on handshakes, for a server to serve: it greets each websocket."""

from __future__ import annotations

import os

from spaceport.web.admission import admitted
from spaceport.web.monitor import Receive, Scope, Send


async def greet(_: Scope, receive: Receive, send: Send) -> None:
    """Accept, greet, and stay until the other end hangs up."""
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": '{"msg":"hello"}'})
    while (await receive())["type"] != "websocket.disconnect":
        pass


application = admitted(greet, float(os.environ["PER_SECOND"]))
