"""Which server runs the application in a web process: SPACEPORT_WEB_SERVER."""

from __future__ import annotations

from collections.abc import Callable

SERVERS = ("daphne", "uvicorn")
MOST = 8


def by_cores(cores: float) -> int:
    """How many web processes a machine runs where nobody chose: half as many as it has cores. The other half
    is for the databases, the workers and the apps: on two cores a second one would take from them what it
    gives."""
    return min(max(1, int(cores // 2)), MOST)


def server(name: str) -> Callable[..., None]:
    """The function that serves until its process is to end.

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
