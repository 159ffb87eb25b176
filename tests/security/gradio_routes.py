"""What the installed Gradio answers, taken from the package itself, and what of it runs nothing."""

from __future__ import annotations

import functools
import json
import re
import subprocess
import sys

#: In a process of its own: Twisted, which other tests import, gives classes attributes that trouble Gradio.
_ASK = """
import gradio as gr, json
with gr.Blocks() as demo:
    gr.Textbox()
app = gr.routes.App.create_app(demo, mcp_server=True)
assert demo.mcp_error is None, demo.mcp_error
def walk(routes, prefix):
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from walk(inner.routes, prefix)
        else:
            for method in getattr(route, "methods", None) or "*":
                yield method, (prefix + route.path).rstrip("/") or "/"
print(json.dumps(list(walk(app.routes, ""))))
"""

#: GET (or HEAD) of these runs no function of the app: pages, assets, files, descriptions, and streams of what
#: runs already. A route that is not here has to be looked at by somebody.
READS = {
    "/", "/config", "/openapi.json", "/logout", "/favicon.ico", "/theme.css", "/robots.txt", "/manifest.json",
    "/svelte/{path:path}", "/static/{path:path}", "/assets/{path:path}", "/pwa_icon", "/pwa_icon/{size}",
    "/monitoring", "/monitoring/summary", "/monitoring/{key}",
    "/gradio_api/user", "/gradio_api/login_check", "/gradio_api/token", "/gradio_api/app_id",
    "/gradio_api/deep_link", "/gradio_api/info", "/gradio_api/openapi.json", "/gradio_api/theme.css",
    "/gradio_api/custom_component/{id}/{environment}/{type}/{file_name}",
    "/gradio_api/proxy={url_path:path}", "/gradio_api/file={path_or_url:path}",
    "/gradio_api/file/{path:path}",
    "/gradio_api/stream/{session_hash}/{run}/{component_id}/playlist.m3u8",
    "/gradio_api/stream/{session_hash}/{run}/{component_id}/{segment_id}.{ext}",
    "/gradio_api/stream/{session_hash}/{run}/{component_id}/playlist-file",
    "/gradio_api/queue/data", "/gradio_api/queue/status",
    "/gradio_api/call/{api_name}/{event_id}", "/gradio_api/call/v2/{api_name}/{event_id}",
    "/gradio_api/upload_progress", "/gradio_api/startup-events", "/gradio_api/dev/reload",
    "/gradio_api/runs", "/gradio_api/run-history/buckets", "/gradio_api/run-history/records",
    "/gradio_api/run-history/records/{endpoint}/{record_id}/assets/{asset_id}",
    "/gradio_api/vibe-code",
}  # fmt: skip
#: The app's own password form, and what does nothing from Gradio 4.29 on.
WITHOUT_API = {"/login", "/gradio_api/reset"}
#: GET of these does run something: what is bound to `unload`, once the visitor hangs up; tools of the app.
RUNS_ON_GET = {
    "/gradio_api/heartbeat/{session_hash}",
    "/gradio_api/mcp",
    "/gradio_api/mcp/messages",
    "/gradio_api/mcp/schema",
    "/gradio_api/mcp/sse",
}


@functools.cache
def all_routes() -> frozenset[tuple[str, str]]:
    """(method, path without a trailing slash) of an app with everything on; "*" for what takes any method."""
    done = subprocess.run([sys.executable, "-c", _ASK], capture_output=True, text=True, check=True)
    return frozenset((method, path) for method, path in json.loads(done.stdout.splitlines()[-1]))


def that_run() -> set[tuple[str, str]]:
    """All that is not known to run nothing: the method and the path to try it with."""
    found = set()
    for method, path in all_routes():
        if method == "*":
            found |= {("POST", path), ("GET", path)}
        elif not (method in {"GET", "HEAD"} and path in READS) and path not in WITHOUT_API:
            found.add((method, path))
    return {(method, with_names(path)) for method, path in found}


def with_names(path: str) -> str:
    """A path whose parts in braces are filled in so that it means the function to be kept from running."""
    names = {"api_name": "mark", "session_hash": "attacker", "event_id": "0" * 32}
    return re.sub(r"\{(\w+)(:path)?\}", lambda m: names.get(m[1], "x"), path)
