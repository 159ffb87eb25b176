import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CONFIG = {"version": "6.31.0", "protocol": "sse_v3", "api_prefix": "@127.0.0.1:9/x", "dependencies": []}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps(CONFIG).encode()
        self.send_response(200 if self.path == "/config" else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


address = (os.environ["GRADIO_SERVER_NAME"], int(os.environ["GRADIO_SERVER_PORT"]))
ThreadingHTTPServer(address, Handler).serve_forever()
