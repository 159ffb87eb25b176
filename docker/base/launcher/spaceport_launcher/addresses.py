"""Where an app listens: on the address the platform gave, whatever its code says and whichever server it
runs, and in one process, since all calls of a Space go to one.

Its port is the one it would have on its own, 7860, or that of the first server that serves Gradio. What else
an app serves keeps the address its author gave it, and is reached from inside the Space only.
"""

from __future__ import annotations

import functools
import os
import sys
from typing import Any

#: The port of a Gradio app that names none.
USUAL_PORT = 7860

_configured = False


def configured() -> bool:
    """Whether the app's own code has made ready a server."""
    return _configured


def ours() -> tuple[str, int]:
    """The address that the platform calls."""
    host = os.environ.get("GRADIO_SERVER_NAME", "0.0.0.0")  # noqa: S104  # a container's own
    return host, int(os.environ.get("GRADIO_SERVER_PORT", str(USUAL_PORT)))


def is_free() -> bool:
    """Whether nothing listens on the platform's address yet."""
    import socket  # here: it is patched by this module

    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(ours())
        except OSError:
            return False
    return True


def report_inside_only() -> None:
    """Report to the owner that one more server is not the Space's."""
    sys.stderr.write(
        "Spaceport: this Space already serves on its port. A further server is reached from inside the Space "
        "only; mount its app into the first one to show it to visitors.\n"
    )


def patch_socket(module: Any) -> None:
    """Servers of any kind that request the usual port get ours."""
    bind = module.socket.bind

    @functools.wraps(bind)
    def bind_ours(self: Any, address: Any) -> None:
        if isinstance(address, tuple) and len(address) > 1 and address[1] == USUAL_PORT:
            host, port = ours()
            if self.family == module.AF_INET:
                address = (host, port)
            elif self.family == module.AF_INET6:
                address = (f"::ffff:{host}" if host.startswith("127.") else "::", port, *address[2:])
        bind(self, address)

    module.socket.bind = bind_ours


def patch_uvicorn(module: Any) -> None:
    """Every way to run uvicorn makes a `Config`, and loads its app before it listens."""
    create, load = module.Config.__init__, module.Config.load

    @functools.wraps(create)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        global _configured
        _configured = True
        create(self, *args, **kwargs)
        self.workers, self.reload = 1, False

    @functools.wraps(load)
    def load_ours(self: Any) -> None:
        from spaceport_launcher import mounts

        load(self)
        if "gunicorn.arbiter" in sys.modules:
            return  # it has bound the sockets that this worker serves
        if self.port != USUAL_PORT and not mounts.has_gradio(self.loaded_app):
            return
        if not is_free():
            if (self.host, self.port) != ours():
                report_inside_only()
            return
        self.host, self.port = ours()
        self.uds = self.fd = None

    module.Config.__init__, module.Config.load = init, load_ours


def patch_hypercorn(module: Any) -> None:
    """One worker only."""
    create_sockets = module.Config.create_sockets

    @functools.wraps(create_sockets)
    def create_ours(self: Any) -> Any:
        global _configured
        _configured = True
        self.workers = min(self.workers, 1)
        return create_sockets(self)

    module.Config.create_sockets = create_ours


def patch_gunicorn(module: Any) -> None:
    """One worker only."""
    setup = module.Arbiter.setup

    @functools.wraps(setup)
    def setup_ours(self: Any, app: Any) -> None:
        setup(self, app)
        self.num_workers = 1

    module.Arbiter.setup = setup_ours
