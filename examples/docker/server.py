"""A word in, a color out: the same word always gives the same color."""

import colorsys
import hashlib
import html
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

PAGE = """<!doctype html><meta name="viewport" content="width=device-width"><title>Color thesaurus</title>
<style>body{{font:18px system-ui;margin:0;min-height:100vh;display:grid;place-items:center;background:{color}}}
main{{background:#fffd;color:#222;padding:2rem 3rem;border-radius:1rem;text-align:center}}
input{{font:inherit;padding:.4rem .8rem;border-radius:.5rem;border:1px solid #999}}</style>
<main><h1>{name}</h1><p><code>{color}</code></p><form><input name="name" value="{name}" aria-label="A word"
autofocus> <button>Show</button></form></main>"""


def color_of(word: str) -> str:
    digest = hashlib.sha256(word.strip().lower().encode()).digest()
    red, green, blue = colorsys.hls_to_rgb(digest[0] / 255, 0.45 + digest[1] / 850, 0.4 + digest[2] / 510)
    return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        url = urlparse(self.path)
        name = parse_qs(url.query).get("name", ["ocean"])[0][:80]
        if url.path == "/color":
            self.answer("application/json", json.dumps({"name": name, "color": color_of(name)}))
        elif url.path == "/":
            self.answer("text/html; charset=utf-8", PAGE.format(name=html.escape(name), color=color_of(name)))
        else:
            self.send_error(404)

    def answer(self, content_type: str, text: str) -> None:
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
