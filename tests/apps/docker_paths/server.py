"""Answers what it was sent, slowly where the query says so; `/log` has the order and how many ran at once."""

import json
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

lock = threading.Lock()
log = {"running": 0, "most": 0, "order": []}
doors = {}  # name -> opened by /open, so that a test says how long a call takes


def door(name):
    with lock:
        return doors.setdefault(name, threading.Event())


class Paths(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        url = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if url.path == "/log":
            return self.reply(200, json.dumps(log).encode(), "application/json")
        if url.path == "/open":
            door(query["door"]).set()
            return self.reply(200, b"opened", "text/plain")
        if url.path == "/":
            return self.reply(200, b"<title>Queued paths</title>", "text/html")
        with lock:
            log["running"] += 1
            log["most"] = max(log["most"], log["running"])
            log["order"].append(query.get("name", ""))
        if "die" in query:
            os._exit(1)
        if "door" in query:
            door(query["door"]).wait(60)
        time.sleep(float(query.get("s", 0)))
        with lock:
            log["running"] -= 1
        if "large" in query:
            return self.reply(200, b"x" * int(query["large"]), "application/octet-stream")
        told = {"method": self.command, "path": self.path, "prefer": self.headers.get("Prefer")}
        first = json.dumps(told).encode() + b"\n"
        self.reply(int(query.get("status", 200)), first + body, "application/x-told")

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = answer

    def reply(self, status, body, kind):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("X-Own", "one")
        self.send_header("X-Own", "two")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *arguments):
        pass


ThreadingHTTPServer(("0.0.0.0", 8080), Paths).serve_forever()
