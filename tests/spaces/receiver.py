"""A program of somebody's that webhooks are sent to; it keeps what came, and answers as it is told."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: To the platform of the tests it is an address that the operator opened; 127.0.0.1 is not.
HOST = "127.0.0.2"


@dataclass
class Receiver:
    """`got`: (headers, body) of each request; `answers`: the statuses of the next, then 200."""

    port: int = 0
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    location: str = ""
    body: bytes = b"thanks"

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}/hook"

    def events(self) -> list[dict[str, Any]]:
        """The payloads, in order."""
        return [json.loads(body) for _, body in self.got]

    def scopes(self) -> list[str]:
        return [f"{one['event']['scope']} {one['event']['action']}" for one in self.events()]


@contextlib.contextmanager
def receiver(host: str = HOST) -> Iterator[Receiver]:
    """One that listens while this lasts."""
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            made.got.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
            status = made.answers.pop(0) if made.answers else 200
            self.send_response(status)
            if made.location:
                self.send_header("Location", made.location)
            self.send_header("Content-Length", str(len(made.body)))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(made.body)

        do_GET = do_POST

        def log_message(self, *_: object) -> None:
            """Nothing: tests read `got`."""

    server = ThreadingHTTPServer((host, 0), Handler)
    made.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
