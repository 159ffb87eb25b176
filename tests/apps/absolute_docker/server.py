"""A server whose pages name everything by the root of their host, as most servers' pages do."""

import base64
import hashlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAGE = """<!doctype html>
<title>absolute</title>
<link rel="stylesheet" href="/style.css">
<p id="styled">styled</p><p id="posted"></p><p id="queued"></p><p id="socket"></p>
<a href="/old">Second</a>
<script src="/main.js"></script>
"""
SCRIPT = """
const put = (id, text) => { document.getElementById(id).textContent = text }
fetch("/echo", { method: "POST", body: "posted" }).then(r => r.text()).then(text => put("posted", text))
fetch("/slow", { method: "POST", body: "queued" }).then(r => r.text()).then(text => put("queued", text))
const socket = new WebSocket(`ws://${location.host}/ws`)
socket.onmessage = ({ data }) => put("socket", data)
socket.onclose = () => put("socket", "closed")
"""
FILES = {
    "/": ("text/html", PAGE),
    "/second": ("text/html", "<title>second</title><p>The second page</p>"),
    "/style.css": ("text/css", "#styled { color: rgb(1, 2, 3) }"),
    "/main.js": ("text/javascript", SCRIPT),
}
ACCEPT = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Absolute(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = self.path.partition("?")[0]
        if path == "/ws":
            self.socket()
        elif path == "/old":
            self.answer(302, "text/plain", "", Location="/second")
        elif path == "/seen":
            self.answer(200, "text/plain", f"{self.path}\n{self.headers}")
        elif path in FILES:
            self.answer(200, *FILES[path])
        else:
            self.answer(404, "text/plain", "none")

    def do_POST(self):
        self.answer(200, "text/plain", self.rfile.read(int(self.headers["Content-Length"])).decode())

    def answer(self, status, kind, text, **headers):
        body = text.encode()
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": len(body), **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)

    def socket(self):
        key = self.headers["Sec-WebSocket-Key"].encode()
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        digest = hashlib.sha1(key + ACCEPT, usedforsecurity=False).digest()
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(digest).decode())
        self.end_headers()
        self.wfile.write(b"\x81\x04open")
        self.rfile.read()  # until the other side hangs up
        self.close_connection = True


ThreadingHTTPServer(("0.0.0.0", 8080), Absolute).serve_forever()
