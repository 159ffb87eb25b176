"""`python internet_server.py ASKED HUB PORT…`: answers on every address; files of HUB as the Hub does."""

import json
import socket
import sys
import threading
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

COMMIT = "c" * 40
FILES = json.loads(Path(sys.argv[2]).read_text())


class Handler(BaseHTTPRequestHandler):
    """The two questions that loading from a hub asks: which files has it, and one file."""

    def do_GET(self) -> None:
        with Path(sys.argv[1]).open("a") as asked:
            asked.write(json.dumps({"method": self.command, "path": self.path}) + "\n")
        status, headers, body = self._answer(urlsplit(self.path).path.strip("/"))
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET

    def _answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        if path.startswith("api/models/"):
            repository = "/".join(path.split("/")[2:4])
            names = [
                name.removeprefix(f"{repository}/") for name in FILES if name.startswith(f"{repository}/")
            ]
            told = {"id": repository, "sha": COMMIT, "siblings": [{"rfilename": name} for name in names]}
            return 200, {"Content-Type": "application/json"}, json.dumps(told).encode()
        repository, _, rest = path.partition("/resolve/")
        text = FILES.get(f"{repository}/{rest.partition('/')[2]}")
        if text is None:
            return (404 if repository != path else 200), {}, b""
        etag = sha256(text.encode()).hexdigest()
        return 200, {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT}, text.encode()

    def log_message(self, *_: object) -> None:
        """Nothing: what was asked is written down."""


class Server(ThreadingHTTPServer):
    address_family = socket.AF_INET6  # and, as Linux has it, every older address
    daemon_threads = True


for port in sys.argv[3:]:
    threading.Thread(target=Server(("::", int(port)), Handler).serve_forever).start()
print("listening", flush=True)
