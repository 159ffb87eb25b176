"""Reloading the page, and losing the network: the place in line stays, and the result is shown."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from gradio_client import Client
from playwright.sync_api import expect

from tests.chromium import ARGS, browser_path
from tests.platform_server import APPS, Platform
from tests.waiting import wait_until

if TYPE_CHECKING:
    from gradio_client.client import Job
    from playwright.sync_api import Browser, FrameLocator, Page, WebSocketRoute

pytestmark = pytest.mark.browser

SPACE = "alice/reloaded"
Visit = Callable[..., "Page"]
LONG_MS = 60_000


@pytest.fixture(scope="module")
def platform(process_platform: Platform) -> Platform:
    token = process_platform.token("alice")
    assert process_platform.push(SPACE, token, APPS / "everything") == "RUNNING"
    process_platform.queue(SPACE, token, max_running=1)  # a place for all functions together
    return process_platform


@pytest.fixture(scope="module")
def url(platform: Platform) -> str:
    return f"http://localhost:{platform.port}/{SPACE}"


def demo(page: Page) -> FrameLocator:
    """The demo in its frame, once it can be used."""
    frame = page.frame_locator("iframe")
    frame.get_by_role("button", name="Echo").wait_for(timeout=LONG_MS)
    return frame


def line(page: Page) -> str:
    return page.locator("[data-queue-text]").inner_text()


class Busy:
    """Somebody holds the Space's only place until it is let go; more may be put in the line of "Slow"."""

    def __init__(self, platform: Platform, token: str) -> None:
        self.platform, self.token = platform, token
        self.client = Client(platform.run_url(SPACE), verbose=False)
        self.holder: Job | None = None
        self.jobs: list[Job] = []

    def begin(self) -> None:
        self.holder = self.client.submit(api_name="/forever")
        wait_until(lambda: self.holder and self.holder.outputs(), "it holds the place", 60)

    def queue_up(self, count: int) -> None:
        """So many more wait in line when this returns."""
        pending = self.pending() + count
        self.jobs += [self.client.submit(f"s{n}", api_name="/slow") for n in range(count)]
        wait_until(lambda: self.pending() >= pending, "they wait in line", 60)

    def pending(self) -> int:
        return int(self.platform.queue(SPACE, self.token)["pending"])

    def let_go(self) -> None:
        if self.holder is not None:
            self.holder.cancel()
            self.holder = None
        for job in self.jobs:
            job.result(timeout=60)
        self.jobs = []


@pytest.fixture(scope="module")
def owner(platform: Platform) -> str:
    return platform.token("alice")


@pytest.fixture
def busy(platform: Platform, owner: str) -> Iterator[Busy]:
    busy = Busy(platform, owner)
    yield busy
    busy.let_go()


def waits(page: Page) -> bool:
    return line(page).startswith("You are")


def press(page: Page, button: str, text: str) -> None:
    frame = demo(page)
    frame.get_by_label("Text").fill(text)
    frame.get_by_role("button", name=button, exact=True).click()


def test_a_waiting_call_keeps_its_place_and_its_result_is_shown(busy: Busy, url: str, visit: Visit) -> None:
    page = visit(url)
    demo(page)
    busy.begin()
    busy.queue_up(2)
    press(page, "Slow", "mine")
    wait_until(lambda: line(page).startswith("You are 3rd of 3"), "it waits in line")
    busy.queue_up(2)
    page.reload()
    wait_until(lambda: line(page).startswith("Your earlier call is 3rd of 5"), "the new page tells of it", 60)
    busy.let_go()
    card = page.locator("[data-earlier] article")
    expect(card).to_contain_text("Your earlier call ended: slow", timeout=LONG_MS)
    expect(card.locator("pre")).to_have_text("mine")
    # Still there after one more reload, until it is dismissed.
    page.reload()
    expect(card.locator("pre")).to_have_text("mine", timeout=LONG_MS)
    card.get_by_role("button", name="Dismiss").click()
    expect(card).to_have_count(0)
    page.reload()
    demo(page)
    wait_until(lambda: line(page) == "Nobody is waiting", "nothing is told of it any more", 60)
    expect(card).to_have_count(0)


def test_a_waiting_calls_failure_is_shown_with_its_reason(busy: Busy, url: str, visit: Visit) -> None:
    page = visit(url)
    demo(page)
    busy.begin()
    press(page, "Fail", "unicorns")
    wait_until(lambda: waits(page), "it waits in line")
    page.reload()
    wait_until(lambda: line(page).startswith("Your earlier call is"), "the new page tells of it", 60)
    busy.let_go()
    card = page.locator("[data-earlier] article")
    expect(card).to_contain_text("no such thing as unicorns", timeout=LONG_MS)
    expect(card).to_contain_text("Your earlier call failed: fail")


def test_a_pause_is_told_with_the_place_and_the_result_is_shown_when_it_is_over(
    platform: Platform, owner: str, busy: Busy, url: str, visit: Visit
) -> None:
    """The demo's own page goes away with a pause, and knows nothing of its call any more."""
    page = visit(url)
    demo(page)
    busy.begin()
    press(page, "Slow", "patient")
    wait_until(lambda: waits(page), "it waits in line")
    platform.api(owner).pause_space(SPACE)
    told = "Paused by its owner · your place is kept: 1st of 1"
    wait_until(lambda: line(page) == told, "the page tells of the pause and of the place", 60)
    expect(page.locator("iframe")).to_have_count(0)
    platform.api(owner).restart_space(SPACE)
    wait_until(lambda: platform.stage(SPACE, owner) == "RUNNING", "it runs again", 90)
    busy.let_go()
    expect(page.locator("[data-earlier] article pre")).to_have_text("patient", timeout=LONG_MS)
    demo(page)


def test_what_the_page_has_shown_is_not_shown_again(url: str, visit: Visit) -> None:
    page = visit(url)
    press(page, "Slow", "seen")
    expect(demo(page).get_by_label("Out")).to_have_value("seen", timeout=LONG_MS)
    wait_until(lambda: line(page) == "Nobody is waiting", "the line is quiet")
    page.reload()
    demo(page)
    press(page, "Slow", "next")
    expect(demo(page).get_by_label("Out")).to_have_value("next", timeout=LONG_MS)
    expect(page.locator("[data-earlier] article")).to_have_count(0)


def test_a_strangers_tab_is_told_nothing(busy: Busy, url: str, visit: Visit) -> None:
    page, other = visit(url), visit(url)
    demo(page)
    busy.begin()
    press(page, "Slow", "private")
    wait_until(lambda: waits(page), "it waits in line")
    page.reload()
    other.reload()
    busy.let_go()
    expect(page.locator("[data-earlier] pre")).to_have_text("private", timeout=LONG_MS)
    expect(other.locator("[data-earlier] article")).to_have_count(0)
    assert "private" not in other.content()


class Network:
    """What lies between a browser and the platform; it can be cut, and mended."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.up = True
        self.ends: list[socket.socket] = []
        self.server = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        self.up = False
        for end in self.ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self.server.accept()
                if not self.up:
                    client.close()
                    continue
                upstream = socket.create_connection(("127.0.0.1", self.port))
                self.ends += [client, upstream]
                for pair in ((client, upstream), (upstream, client)):
                    threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    @staticmethod
    def _pass_on(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def test_a_lost_network_loses_no_result(platform: Platform, busy: Busy, url: str, chromium: Browser) -> None:
    network = Network(platform.port)
    rule = f"MAP *:{platform.port} 127.0.0.1:{network.server.getsockname()[1]}"
    browser = chromium.browser_type.launch(
        executable_path=browser_path(), args=[*ARGS, f"--host-resolver-rules={rule}"]
    )
    try:
        page = browser.new_page()
        page.goto(url)
        frame = demo(page)
        busy.begin()
        press(page, "Slow", "kept")
        wait_until(lambda: waits(page), "it waits in line")
        network.cut()
        wait_until(lambda: line(page) == "Connecting again…", "the page knows that it is cut off")
        busy.let_go()
        wait_until(lambda: not busy.pending(), "its turn has come while nobody was there")
        network.up = True
        wait_until(lambda: line(page) != "Connecting again…", "it is back", 60)
        # In the demo itself, should it have found its stream again; else above it.
        shown = page.locator("[data-earlier] article pre")
        wait_until(
            lambda: "kept" in [*shown.all_inner_texts(), frame.get_by_label("Out").input_value()],
            "the result is shown",
            60,
        )
    finally:
        browser.close()
        network.server.close()


class Server:
    """The platform's end of the page's websocket, played by the test."""

    def __init__(self) -> None:
        self.sockets: list[WebSocketRoute] = []

    def __call__(self, socket: WebSocketRoute) -> None:
        self.sockets.append(socket)
        self.say(msg="status", stage="RUNNING", pending=0, running=0, eta=None, eta_max=None)

    def say(self, **message: object) -> None:
        self.sockets[-1].send(json.dumps(message))


@pytest.fixture
def played(url: str, visit: Visit) -> tuple[Page, Server]:
    page, server = visit("about:blank"), Server()
    page.route_web_socket(re.compile("/ws/spaces/"), server)
    page.goto(url)
    wait_until(lambda: line(page) == "Nobody is waiting", "the page is connected")
    return page, server


@pytest.mark.parametrize(
    ("position", "size", "eta", "most", "says"),
    [
        (0, 1, None, None, "You are 1st of 1 · time unknown until a few have run"),
        (1, 5, 20.4, 34.1, "You are 2nd of 5 · about 20 s, at most 35 s"),
        (2, 3, 8.6, 8.8, "You are 3rd of 3 · about 9 s"),
        (10, 12, 61, 89, "You are 11th of 12 · about 60 s, at most 90 s"),
        (21, 30, 100, 700, "You are 22nd of 30 · about 2 min, at most 12 min"),
        (112, 200, 7200, 10000, "You are 113th of 200 · about 2 h, at most 3 h"),
        (0, 2, 0.3, 1.2, "You are 1st of 2 · in a moment"),
    ],
)
def test_the_place_and_the_time_are_told_in_plain_words(
    played: tuple[Page, Server], position: int, size: int, eta: float | None, most: float | None, says: str
) -> None:
    page, server = played
    server.say(
        msg="place", event_id="e", position=position, size=size, eta=eta, eta_max=most, state="pending"
    )
    expect(page.locator("[data-queue-text]")).to_have_text(says)


def test_the_promise_is_never_shorter_than_it_was_made(played: tuple[Page, Server]) -> None:
    """ "At most" is rounded upwards, whatever its size."""
    page, server = played
    for most in (11, 14.2, 29.9, 31, 61, 89, 91, 150, 3000, 5399, 5401, 9000):
        server.say(msg="place", event_id="e", position=0, size=1, eta=5, eta_max=most, state="pending")
        expect(page.locator("[data-queue-text]")).to_contain_text(" at most ")
        said = re.search(r"at most (\d+) (s|min|h)$", line(page))
        assert said
        assert int(said[1]) * {"s": 1, "min": 60, "h": 3600}[said[2]] >= most


def test_who_is_told_to_come_back_later_does(played: tuple[Page, Server]) -> None:
    """A web process that restarts tells each socket its own moment."""
    page, server = played
    page.evaluate("""() => {
        const Real = window.WebSocket;
        window.opened = [];
        window.WebSocket = class extends Real {
            constructor(...given) { super(...given); window.opened.push(performance.now()); }
        };
    }""")
    began = page.evaluate("() => performance.now()")
    server.say(msg="goodbye", retry_after_ms=2000)
    server.sockets[-1].close(code=4012)
    expect(page.locator("[data-queue-text]")).to_have_text("Connecting again…")
    # The page's own words: only while it is asked does Playwright hear of sockets.
    wait_until(lambda: line(page) == "Nobody is waiting", "it is back")
    assert len(server.sockets) == 2
    assert page.evaluate("() => window.opened[0]") - began >= 1990


def test_after_losses_without_a_word_each_page_waits_a_time_of_its_own(played: tuple[Page, Server]) -> None:
    page, server = played
    page.evaluate("""() => {
        const timer = window.setTimeout;
        window.waits = [];
        window.setTimeout = (work, ms, ...rest) => {
            window.waits.push(ms);
            return timer(work, Math.min(ms, 1000), ...rest);
        };
    }""")
    for times in range(2, 8):
        server.sockets[-1].close(code=1011)
        expect(page.locator("[data-queue-text]")).to_have_text("Connecting again…")
        expect(page.locator("[data-queue-text]")).to_have_text("Nobody is waiting", timeout=LONG_MS)
        assert len(server.sockets) == times
    waits = [w for w in page.evaluate("() => window.waits") if w and w % 1]
    assert len(set(waits)) >= 6, "no two alike"
    assert all(0 < wait <= 20_000 for wait in waits)


def test_a_call_that_ends_just_when_the_page_is_back_is_shown(url: str, visit: Visit) -> None:
    """Its end is told before the answer to the page's question for what it missed."""
    page = visit(url)
    demo(page)
    page.evaluate(
        """id => {
            const tell = (name, detail) => document.dispatchEvent(new CustomEvent(name, { detail }));
            tell("queue:message", { msg: "place", event_id: id, state: "pending", position: 0, size: 1 });
            tell("queue:open", { send: () => {}, again: true });
            tell("queue:message", { msg: "place", event_id: id, state: "completed" });
            tell("queue:message", { msg: "earlier", calls: { [id]: "slow" } });
            tell("queue:message", { msg: "ended", event_id: id, success: true, data: ["kept"] });
        }""",
        "of-this-visit",
    )
    expect(page.locator("[data-earlier] article pre")).to_have_text("kept")
