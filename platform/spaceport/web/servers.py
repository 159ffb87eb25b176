"""Which server runs the application in a web process: SPACEPORT_WEB_SERVER."""

from __future__ import annotations

from collections.abc import Callable

SERVERS = ("daphne", "uvicorn")


def server(name: str) -> Callable[..., None]:
    """What serves, until its process is told to end.

    Raises:
        ValueError: no server of this name is known.
    """
    match name:
        case "daphne":
            from spaceport.web import daphne

            return daphne.serve
        case "uvicorn":
            from spaceport.web import uvicorn

            return uvicorn.serve
    raise ValueError(f"SPACEPORT_WEB_SERVER is one of {', '.join(SERVERS)}; there is no {name!r}.")
