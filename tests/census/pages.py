"""What a visitor sees of an app in Chromium: texts, values, media, the address, the errors of its console."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tests.census.script import App, Step

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

SETTLED_S = 1.0
LOOK_MS = 200
PATIENCE_S = 20.0
STEP_MS = 15_000
#: How long something took is written on the page, and is never the same twice.
SECONDS = re.compile(r"\b\d+\.\d+(/\d+\.\d+)?s\b")
PORT = re.compile(r"(127\.0\.0\.1|[\w-]*\.?localhost):\d+")
SEEN = """() => {
  const fields = [...document.querySelectorAll('input, textarea, select')];
  const media = [...document.querySelectorAll('img, video, audio, canvas')];
  return {
    title: document.title,
    address: location.pathname + location.search,
    text: document.body.innerText,
    fields: fields.map(e => ['checkbox', 'radio'].includes(e.type) ? e.checked : e.value),
    media: media.map(e => [e.tagName, e.naturalWidth || e.videoWidth || 0]),
    data: {...document.body.dataset},
  };
}"""


def record(browser: Browser, url: str, app: App) -> dict[str, Any]:
    """What the page shows after each step, and the errors in its console."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    try:
        page = context.new_page()
        return _visit(page, url + app.mount, app)
    finally:
        context.close()


def _visit(page: Page, url: str, app: App) -> dict[str, Any]:
    errors: set[str] = set()
    page.on("pageerror", lambda error: errors.add(_plain(f"thrown: {error}", url)))
    page.on("console", lambda m: errors.add(_plain(m.text, url)) if m.type == "error" else None)
    page.on("response", lambda r: errors.add(_plain(f"{r.status} {r.url}", url)) if r.status > 399 else None)
    page.route(lambda address: not _is_near(address), lambda route: _refuse(route))
    page.set_default_timeout(STEP_MS)
    steps = list(app.of_page)
    first = steps.pop(0).words[0] if steps and steps[0].verb == "open" else "/"
    page.goto(url + first)
    found: dict[str, Any] = {"opened": _settled(page, url)}
    for number, step in enumerate(steps):
        try:
            _do(page, url, step)
            found[f"{number} {step}"] = _settled(page, url)
        except Exception as error:
            found[f"{number} {step}"] = str(error).splitlines()[0]
            break
    return {**found, "console": sorted(errors)}


def _do(page: Page, url: str, step: Step) -> None:
    match step.verb, step.words:
        case "open", (path,):
            page.goto(url + path)
        case "fill", ("placeholder", placeholder, text):
            page.get_by_placeholder(placeholder).first.fill(text)
        case "fill", (label, text):
            page.get_by_label(label, exact=True).first.fill(text)
        case "press", ("text", text):
            page.get_by_text(text, exact=True).first.click()
        case "press", ("key", key):
            page.keyboard.press(key)
        case "press", (name,):
            page.get_by_role("button", name=name, exact=True).first.click()
        case "wait", (text,):
            page.wait_for_function(
                "t => document.body.innerText.includes(t) ||"
                " [...document.querySelectorAll('input, textarea')].some(e => e.value.includes(t))",
                arg=text,
            )


def _settled(page: Page, url: str) -> dict[str, Any]:
    """What the page shows once it has not changed for a while."""
    deadline = time.monotonic() + PATIENCE_S
    last: dict[str, Any] = {}
    since = time.monotonic()
    while time.monotonic() < deadline:
        page.wait_for_timeout(LOOK_MS)
        seen = page.evaluate(SEEN)
        seen["text"] = SECONDS.sub("", _plain(seen["text"], url)).split()
        seen["address"] = seen["address"].replace(urlsplit(url).path.rstrip("/") or "//", "", 1) or "/"
        if seen != last:
            last, since = seen, time.monotonic()
        elif time.monotonic() - since > SETTLED_S and "Loading..." not in seen["text"]:
            break
    return last


def _plain(text: str, url: str) -> str:
    return re.sub(r"/_ui/[^/\s]+", "", PORT.sub("HOST", text.replace(url, "URL")))


def _is_near(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    return host == "127.0.0.1" or host.endswith("localhost")


def _refuse(route: Route) -> None:
    """There is no internet for either side, at once."""
    route.abort()
