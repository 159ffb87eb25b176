"""Which pages may open a websocket on the platform's host: its own, by exact origin. Programs send none."""

from __future__ import annotations

from typing import Any


class PlatformOriginOnly:
    """Refuses a websocket from another origin, or with more than one Origin header."""

    def __init__(self, application: Any) -> None:
        self.application = application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        origins = [value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"]
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        allowed = {f"{scheme}://{host}" for scheme in ("http", "https") for host in hosts}
        if len(hosts) == 1 and (not origins or (len(origins) == 1 and origins[0] in allowed)):
            await self.application(scope, receive, send)
            return
        await receive()
        await send({"type": "websocket.close", "code": 4403})
