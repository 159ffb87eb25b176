"""Spaces in containers that load from the internet behave as the same apps by themselves."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.census.compare import judge
from tests.census.script import read
from tests.census.sides import as_space
from tests.internet import internet

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.internet import Internet
    from tests.platform_server import Platform

FILES = {"org/model/weights.txt": "loaded"}
LOAD = """
import os
import urllib.request


def load(name):
    url = f"http://{host}/org/model/resolve/main/{{name}}"
    with urllib.request.urlopen(url, timeout=20) as answer:
        return answer.read().decode()

"""
#: By SDK: the script, and what follows it.
APPS = {
    "gradio": (
        '''"""A model from the internet.

call /load ["weights.txt"]
call /load ["missing.txt"]
fill "name" "weights.txt"
press "Submit"
wait "loaded"
"""
''',
        """import gradio as gr

gr.Interface(load, gr.Textbox(label="name"), gr.Textbox(label="found"), api_name="load").launch()
""",
    ),
    "docker": (
        '''"""A server of its own that hands out what it loads.

get /weights.txt
open /weights.txt
"""
''',
        """from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        text = load(self.path[1:]).encode() if self.path.endswith(".txt") else b"here"
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


port = int(os.environ.get("GRADIO_SERVER_PORT", "7860"))
ThreadingHTTPServer(("0.0.0.0", port), Handler).serve_forever()
""",
    ),
}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Internet]:
    with internet(tmp_path, FILES) as made:
        yield made


@pytest.mark.docker
@pytest.mark.browser
@pytest.mark.skipif(os.geteuid() != 0, reason="a network namespace needs root")
@pytest.mark.parametrize("sdk", APPS)
def test_a_space_that_loads_from_the_internet_behaves_as_the_app_by_itself(
    sdk: str, platform: Platform, chromium: Browser, world: Internet
) -> None:
    if platform.runtime == "process":
        pytest.skip("no container engine answers")
    script, rest = APPS[sdk]
    app = read(f"loads_{sdk}", script + LOAD.format(host=world.host) + rest, sdk)

    verdict = judge(app, partial(as_space, platform, platform.token("census")), chromium)

    assert verdict.same, "\n".join(verdict.differences)
    asked = world.downloads().count("weights.txt")
    assert asked >= 4, "each side's program and page"
