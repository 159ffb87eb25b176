"""With api_open off nothing runs for a program, by whatever route of Gradio and in whatever spelling; and
whoever asks is told so. A5 of the security tests: the Space leaves a mark for everything that runs in it."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import secrets
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import requests
from gradio_client import Client
from gradio_client.exceptions import AppError
from mcp.shared.exceptions import McpError
from playwright.sync_api import expect

from tests.compat.conftest import node_modules
from tests.platform_server import Platform
from tests.security import gradio_routes
from tests.security.conftest import Marks, mcp_session
from tests.waiting import eventually

SPACE = "alice/traces"
SAYS = "api_open is off"

#: How else a path may be written, in the hope that somebody on the way reads it differently.
SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": lambda p: p,
    "upper case": str.upper,
    "title case": str.title,
    "trailing slash": lambda p: f"{p}/",
    "leading slashes": lambda p: f"//{p}",
    "doubled slashes": lambda p: p.replace("/", "//"),
    "encoded slashes": lambda p: "/" + p[1:].replace("/", "%2f"),
    "twice encoded slashes": lambda p: "/" + p[1:].replace("/", "%252F"),
    "an encoded letter": lambda p: f"{p[:-2]}%{ord(p[-2]):02x}{p[-1]}",
    "a twice encoded letter": lambda p: f"{p[:-2]}%25{ord(p[-2]):02x}{p[-1]}",
    "a parameter": lambda p: f"{p};x=1",
    "a parameter within": lambda p: p.replace("/", ";x=1/")[4:] if p.count("/") > 1 else f"{p};",
    "a dot segment": lambda p: f"/.{p}",
    "dot segments": lambda p: p.replace("/", "/./"),
    "back and forth": lambda p: f"/assets/..{p}",
    "encoded back and forth": lambda p: f"/assets/%2e%2e{p}",
    "back and forth at the end": lambda p: f"{p}/x/..",
    "backslashes": lambda p: "/" + p[1:].replace("/", "\\"),
    "encoded backslashes": lambda p: "/" + p[1:].replace("/", "%5c"),
    "a trailing dot": lambda p: f"{p}.",
    "an encoded space": lambda p: f"{p}%20",
    "an encoded end": lambda p: f"{p}%00",
    "an encoded question": lambda p: f"{p}%3fx=1",
    "an encoded fragment": lambda p: f"{p}%23x",
    "a page's path without a page": lambda p: f"/_ui/x{p}",
    "a page's path twice": lambda p: f"/_ui//_ui/x{p}",
    "the prefix twice": lambda p: f"/gradio_api{p}",
}


@pytest.fixture(scope="module")
def platform(process_platform: Platform) -> Platform:
    return process_platform


@pytest.fixture(scope="module")
def functions(platform: Platform, traces: str) -> dict[str, int]:
    config = requests.get(f"{platform.run_url(traces)}config", timeout=30).json()
    return {d["api_name"]: d["id"] for d in config["dependencies"] if d["api_name"]} | {
        "files": next(c["id"] for c in config["components"] if c["type"] == "fileexplorer")
    }


@pytest.fixture
def closed(platform: Platform, traces: str, owner: str) -> Iterator[str]:
    """The Space, its API closed while the test lasts."""
    platform.queue(traces, owner, api_open=False)
    yield traces
    platform.queue(traces, owner, api_open=True)


class Raw:
    """One connection that sends a request's target byte for byte."""

    def __init__(self, platform: Platform, host: str, prefix: str) -> None:
        self.platform, self.host, self.prefix = platform, host, prefix
        self.session = secrets.token_hex(8)
        self.connection = http.client.HTTPConnection("127.0.0.1", platform.port, timeout=60)

    def ask(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        self.connection.putrequest(method, self.prefix + path, skip_host=True, skip_accept_encoding=True)
        self.connection.putheader("Host", self.host)
        self.connection.putheader("Content-Type", "application/json")
        self.connection.putheader("Accept", "application/json, text/event-stream")
        if method != "GET":
            self.connection.putheader("Content-Length", str(len(body)))
        self.connection.endheaders(body if method != "GET" else None)
        answer = self.connection.getresponse()
        return answer.status, answer.read()


@pytest.fixture(params=["demo host", "programs' door"])
def door(request: pytest.FixtureRequest, platform: Platform) -> Raw:
    """The two ways to a Space."""
    if request.param == "demo host":
        return Raw(platform, f"alice-traces.localhost:{platform.port}", "")
    return Raw(platform, f"127.0.0.1:{platform.port}", f"/run/{SPACE}")


def body_for(door: Raw, path: str, functions: dict[str, int], text: str, function: str = "mark") -> bytes:
    """A body with which this route runs something, where it lets anybody."""
    if path.lower().rstrip("/").endswith("/mcp"):
        tool = {"name": "mark", "arguments": {"text": text}}
        return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": tool}).encode()
    return json.dumps(
        {
            "data": [[text]] if function == "many" else [text],
            "text": text,
            "fn_index": functions[function],
            "session_hash": door.session,
            "event_id": "0" * 32,
            "trigger_id": None,
            "event_data": None,
            "component_id": functions["files"],
            "fn_name": "ls",
        }
    ).encode()


# --- every route in every spelling ---------------------------------------------------------------------


def test_every_route_of_the_installed_gradio_is_known() -> None:
    """Whoever upgrades Gradio looks at what is new: a GET that runs something is asked for by nobody else."""
    reading = {path for method, path in gradio_routes.all_routes() if method in {"GET", "HEAD"}}
    assert reading <= gradio_routes.READS | gradio_routes.RUNS_ON_GET


def test_nothing_runs_by_any_route_in_any_spelling(
    platform: Platform, closed: str, functions: dict[str, int], door: Raw, owner: str, marks: Marks
) -> None:
    before = marks.read()
    bad: list[str] = []
    tried = 0
    for method, route in sorted(gradio_routes.that_run()):
        if route.startswith("/gradio_api/heartbeat"):
            continue  # it stays open: see below
        for written in dict.fromkeys((route, route.removeprefix("/gradio_api"))):
            for name, spell in SPELLINGS.items():
                path = spell(written)
                status, answer = door.ask(method, path, body_for(door, written, functions, f"{name} {route}"))
                tried += 1
                if not refused(door, status, answer):
                    bad.append(f"{method} {path} ({name}): {status} {answer[:200]!r}")
    assert not bad, "\n".join(bad)
    assert tried > 500
    assert marks.read() == before
    figures = platform.queue(SPACE, owner)
    assert (figures["pending"], figures["running"]) == (0, 0)


def refused(door: Raw, status: int, answer: bytes) -> bool:
    """Whether this is a refusal with a sentence in it."""
    said = json.loads(answer) if answer.startswith(b"{") else {}
    if status == 200 and "event_id" in said:  # told as an event that failed: see `GradioProtocol.join`
        return SAYS in stream_of(door)
    if status == 200 and "jsonrpc" in said:
        return SAYS in said["error"]["message"]
    return 400 <= status < 500 and len(said.get("detail", "")) > 10


def stream_of(door: Raw) -> str:
    """What its session is told by now, without waiting for its end."""
    base = f"http://127.0.0.1:{door.platform.port}{door.prefix}/gradio_api"
    url = f"{base}/queue/data?session_hash={door.session}"
    with requests.get(url, headers={"Host": door.host}, stream=True, timeout=30) as answer:
        for line in answer.iter_lines():
            if b"process_completed" in line:
                return str(json.loads(line[5:])["output"]["error"])
    return ""


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "HEAD", "TRACE", "QUERY"])
def test_no_other_method_helps(
    closed: str, functions: dict[str, int], door: Raw, marks: Marks, method: str
) -> None:
    before = marks.read()
    for path in (
        "/gradio_api/queue/join",
        "/gradio_api/run/mark",
        "/run/mark",
        "/gradio_api/component_server",
    ):
        status, _ = door.ask(method, path, body_for(door, path, functions, method))
        assert 400 <= status < 600, path
    assert marks.read() == before


def test_the_same_requests_do_run_while_the_api_is_open(
    functions: dict[str, int], traces: str, door: Raw, marks: Marks
) -> None:
    """Else the tests above would show nothing."""
    ways = {
        "/gradio_api/queue/join": ("mark", "mark"),
        "/gradio_api/call/mark": ("mark", "mark"),
        "/gradio_api/call/v2/mark": ("mark", "mark"),
        "/gradio_api/run/mark": ("mark", "mark"),
        "/gradio_api/api/mark": ("mark", "mark"),
        "/run/mark": ("mark", "mark"),
        "/gradio_api/run/quick": ("quick", "quick"),
        "/gradio_api/run/many": ("many", "many"),
        "/gradio_api/component_server": ("mark", "server"),
        "/gradio_api/mcp/": ("mark", "mark"),
    }
    for path, (function, kind) in ways.items():
        had = len(marks.read())
        body = body_for(door, path, functions, f"open {door.host}", function)
        status, answer = door.ask("POST", path, body)
        assert status == 200, (path, answer)
        marks.wait_for(kind, had)


# --- what each client says -----------------------------------------------------------------------------


def test_gradio_client_raises_the_reason(platform: Platform, closed: str, marks: Marks) -> None:
    before = marks.read()
    client = Client(platform.run_url(closed), verbose=False)
    for function in ("/mark", "/quick", "/many"):
        with pytest.raises(AppError, match=SAYS):
            client.predict("gradio_client", api_name=function)
    assert marks.read() == before


@pytest.mark.timeout(600)
def test_gradios_javascript_client_shows_the_reason(platform: Platform, closed: str, marks: Marks) -> None:
    before = marks.read()
    folder = node_modules()
    shutil.copy(Path(__file__).parent / "refused.mjs", folder)
    command = ["node", "refused.mjs", platform.run_url(closed)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stdout.splitlines()[-1])
    assert SAYS in said["mark"]
    assert SAYS in said["quick"]
    assert marks.read() == before


def test_curl_prints_the_reason(platform: Platform, closed: str, marks: Marks) -> None:
    before = marks.read()
    for path in ("call/mark", "call/v2/mark", "run/mark", "upload", "component_server"):
        url = f"{platform.run_url(closed)}gradio_api/{path}"
        command = ["curl", "-s", "-w", " %{http_code}", "--json", '{"data": ["curl"]}', url]
        printed = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
        assert SAYS in printed
        assert printed.endswith(" 403")
    assert marks.read() == before


async def test_the_websocket_says_the_reason(platform: Platform, closed: str, marks: Marks) -> None:
    before = marks.read()
    url = f"{platform.url.replace('http', 'ws')}/ws/spaces/{closed}/queue"
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as ws:
        await ws.send_json({"msg": "join", "api_name": "mark", "data": ["websocket"]})
        said: dict[str, Any] = {}
        while said.get("msg") not in {"error", "process_completed"}:
            said = json.loads((await ws.receive(timeout=60)).data)
        assert SAYS in str(said)
    assert marks.read() == before


@pytest.mark.parametrize(
    "path", ["queue/join", "gradio_api/queue/join", "QUEUE/JOIN", "gradio_api//queue/join"]
)
async def test_gradios_own_websocket_is_not_there(platform: Platform, closed: str, path: str) -> None:
    for url, headers in (
        (f"{platform.run_url(closed)}{path}", {}),
        (f"{platform.url}/{path}", {"Host": f"alice-traces.localhost:{platform.port}"}),
    ):
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(url, headers=headers)
            assert refused.value.status == 403


async def test_a_model_is_told_the_reason_by_its_mcp_client(
    platform: Platform, closed: str, marks: Marks
) -> None:
    before = marks.read()
    with pytest.raises(McpError, match=SAYS):
        async with mcp_session(f"{platform.run_url(closed)}gradio_api/mcp/") as session:
            await session.call_tool("mark", {"text": "model"})
    assert marks.read() == before


async def test_a_heartbeat_of_a_program_ends_nothing_in_the_app(
    platform: Platform, traces: str, owner: str, marks: Marks
) -> None:
    """Where one ends, the app runs what it has bound to `unload`."""
    session_hash = secrets.token_hex(8)
    url = f"{platform.run_url(traces)}gradio_api/heartbeat/{session_hash}"
    for is_open in (False, False, True):
        await asyncio.to_thread(partial(platform.queue, traces, owner, api_open=is_open))
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            assert (await answer.content.readline()).startswith(b"data: ALIVE")
    # Once that of the open one has run: those of the closed ones would have before it.
    await eventually(lambda: f"unload {session_hash}" in marks.read(), "the open one's end is heard")
    assert marks.read().count(f"unload {session_hash}") == 1


def test_the_apps_own_address_is_told_to_nobody_and_answers_this_machine_only(
    platform: Platform, closed: str, owner: str
) -> None:
    """Plain processes have no network of their own: there it holds that the app listens on loopback. For
    containers it holds that no other container reaches it (tests/hardware/test_containers.py)."""
    states = [json.loads(p.read_text()) for p in platform.home.glob("replicas/*/state.json")]
    ports = {state["address"].rpartition(":")[2] for state in states}
    assert ports
    told = [
        requests.get(f"{platform.run_url(closed)}config", timeout=30).text,
        requests.get(f"{platform.run_url(closed)}gradio_api/info", timeout=30).text,
        requests.get(f"{platform.url}/api/spaces/{closed}", timeout=30).text,
        requests.get(f"{platform.url}/api/spaces/{closed}/runtime", timeout=30).text,
        requests.get(f"{platform.url}/{closed}", timeout=30).text,
    ]
    own = _own_address()
    for port in ports:
        assert not [text for text in told if f":{port}" in text]
        if own is not None:
            with socket.socket() as probe:
                probe.settimeout(5)
                assert probe.connect_ex((own, int(port))) != 0


def _own_address() -> str | None:
    """An address of this machine that others may reach it by, where it has one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return None
        address = str(probe.getsockname()[0])
    return None if address.startswith("127.") else address


# --- and the page works --------------------------------------------------------------------------------


@pytest.mark.browser
@pytest.mark.parametrize("address", ["platform page", "demo page"])
def test_the_page_works_reloads_and_streams(
    platform: Platform, closed: str, marks: Marks, visit: Callable[..., Any], address: str
) -> None:
    own = address == "demo page"
    url = platform.demo_url(closed) if own else f"http://localhost:{platform.port}/{closed}"
    page = visit(url)
    for time in ("opened", "reloaded"):
        demo = page if own else page.frame_locator("iframe")
        demo.get_by_role("button", name="Count").wait_for(timeout=60_000)
        had = len(marks.read())
        demo.get_by_label("Text").fill(f"{address} {time}")
        for button in ("Mark", "Quick"):
            demo.get_by_role("button", name=button).click()
            marks.wait_for(f"{button.lower()} {address} {time}", had)
            expect(demo.get_by_label("Out")).to_have_value(f"marked {address} {time}", timeout=60_000)
        demo.get_by_role("button", name="Count").click()
        for steps in ("xx", "xxxxx"):
            expect(demo.get_by_label("Out")).to_have_value(re.compile(steps), timeout=60_000)
        page.reload()
