"""Private Spaces in real Chromium: members use them, in the platform's page and on their own host, also where
cookies of third parties, or all cookies of demos, are blocked; nobody else sees anything, nor do members who
have left."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.chromium import ARGS, launched
from tests.platform_server import APPS, Platform
from tests.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Frame, Page, Playwright

pytestmark = [pytest.mark.browser, pytest.mark.docker]

KINDS = {"multipage": "gradio", "absolute_static": "static", "absolute_docker": "docker"}
_IMPORTS = """
from accounts.models import Membership, Owner, User
from accounts.people import create_organization, create_user
"""
_PEOPLE = f"""{_IMPORTS}
alice = User.objects.get(username="alice")
create_organization("lab", alice)
for name in ("bob", "mallory"):
    create_user(name, password=name + "-secret")
"""
_COMES = f"""{_IMPORTS}
bob, lab = User.objects.get(username="bob"), Owner.objects.get(name="lab")
Membership.objects.create(owner=lab, user=bob, role="read")
"""
_LEAVES = f"""{_IMPORTS}
Membership.objects.filter(user__username="bob", owner__name="lab").delete()
"""


@pytest.fixture(scope="module")
def lab(platform: Platform, alice: str) -> Platform:
    """The platform with a private Space of each kind in the organization `lab`."""
    platform.manage("shell", "-c", _PEOPLE)
    platform.manage("shell", "-c", _COMES)
    for app, sdk in KINDS.items():
        assert platform.push(f"lab/{app}", alice, APPS / app, sdk=sdk, private=True) == "RUNNING"
    return platform


AS_IT_COMES, NO_THIRD_PARTIES, NO_COOKIES = (
    "as it comes", "third parties' cookies blocked", "demos' cookies blocked",
)  # fmt: skip


@pytest.fixture(params=[AS_IT_COMES, NO_THIRD_PARTIES, NO_COOKIES])
def context(
    request: pytest.FixtureRequest, lab: Platform, playwright: Playwright, tmp_path: Path
) -> Iterator[BrowserContext]:
    """A browser of somebody new."""
    if request.param == AS_IT_COMES:
        browser: Browser = request.getfixturevalue("chromium")
        context = browser.new_context()
        yield context
        context.close()
        return
    arguments = list(ARGS)
    if request.param == NO_THIRD_PARTIES:
        arguments.append("--test-third-party-cookie-phaseout")
    if request.param == NO_COOKIES:
        hosts = [f"http://lab-{app.replace('_', '-')}.localhost:{lab.port},*" for app in KINDS]
        blocked = {"cookies": {host: {"setting": 2} for host in hosts}}
        (tmp_path / "Default").mkdir()
        chosen = {"profile": {"content_settings": {"exceptions": blocked}}}
        (tmp_path / "Default" / "Preferences").write_text(json.dumps(chosen))
    with launched(playwright, arguments, tmp_path) as context:
        yield context


@pytest.fixture
def keeps_cookies(request: pytest.FixtureRequest) -> bool:
    """Whether it keeps those of demos."""
    return NO_COOKIES not in request.node.name


def sign_in(lab: Platform, page: Page, who: str) -> None:
    password = lab.password(who) if who in ("admin", "alice") else f"{who}-secret"
    page.goto(f"http://localhost:{lab.port}/login")
    page.get_by_label("User name").fill(who)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/dashboard")


def own_host(lab: Platform, app: str, path: str = "/") -> str:
    return f"http://lab-{app.replace('_', '-')}.localhost:{lab.port}{path}"


def framed(lab: Platform, page: Page, app: str) -> Frame:
    """The Space's frame in the platform's page."""
    page.goto(f"http://localhost:{lab.port}/lab/{app}")
    host = own_host(lab, app)
    found: list[Frame] = wait_until(
        lambda: [f for f in page.frames if f.url.startswith(host)], f"{app} shows"
    )
    return found[0]


def has_color(frame: Frame, element: str, rgb: str) -> bool:
    frame.wait_for_selector(element)
    color = frame.evaluate("e => getComputedStyle(document.querySelector(e)).color", element)
    return bool(color == f"rgb({rgb})")


def says(frame: Frame, element: str, text: str) -> bool:
    return frame.inner_text(element) == text


def begin(frame: Frame, sign: str) -> None:
    """Wait for the page. Chromium gives requests up whenever a container comes or goes (ERR_NETWORK_CHANGED):
    then it is opened anew."""
    from playwright.sync_api import Error

    for _ in range(3):
        try:
            frame.wait_for_selector(sign, timeout=20_000)
        except Error:
            frame.goto(frame.url)
        else:
            return


def whole(app: str, frame: Frame, *, socket: bool = True) -> None:
    """Wait until everything of this app works there."""
    begin(
        frame, {"multipage": "textarea, input", "absolute_static": "#fetched:not(:empty)"}.get(app, "#styled")
    )
    if app == "multipage":
        frame.get_by_label("Name").fill("Ada")
        frame.get_by_role("button", name="Greet").click()
        wait_until(lambda: frame.get_by_label("Greeting").input_value() == "hi Ada", "it answers")
    elif app == "absolute_static":
        for element, wanted in (("#relative", "1, 2, 3"), ("#absolute", "4, 5, 6"), ("#chained", "7, 8, 9")):
            wait_until(partial(has_color, frame, element, wanted), f"{element} has its style")
        for element, text in (("#module", "imported"), ("#fetched", "fetched")):
            wait_until(partial(says, frame, element, text), f"{element} is there")
    else:
        wait_until(partial(has_color, frame, "#styled", "1, 2, 3"), "it has its style")
        told = {"#posted": "posted", "#queued": "queued", "#socket": "open" if socket else "closed"}
        for element, text in told.items():
            wait_until(partial(says, frame, element, text), f"{element} is there")


@pytest.mark.parametrize(
    ("context", "who"),
    [
        (AS_IT_COMES, "alice"),
        (AS_IT_COMES, "admin"),
        (AS_IT_COMES, "bob"),
        (NO_THIRD_PARTIES, "bob"),
        (NO_COOKIES, "bob"),
    ],
    indirect=["context"],
)
def test_who_may_see_it_uses_it_in_the_platforms_page_and_on_its_own_host(
    lab: Platform, context: BrowserContext, who: str, keeps_cookies: bool
) -> None:
    page = context.new_page()
    sign_in(lab, page, who)
    for app in KINDS:
        whole(app, framed(lab, page, app), socket=keeps_cookies)
        page.goto(own_host(lab, app))
        whole(app, page.main_frame, socket=keeps_cookies)
        assert ("_ui/" not in page.url and "__visit" not in page.url) or not keeps_cookies, page.url
        page.reload()
        whole(app, page.main_frame, socket=keeps_cookies)
    page.goto(own_host(lab, "absolute_docker"))
    page.get_by_role("link", name="Second").click()
    page.get_by_text("The second page").wait_for()
    page.goto(own_host(lab, "multipage", "/second?q=7"))
    page.get_by_role("button", name="Look").click()
    wait_until(lambda: "7" in page.get_by_label("Asked").input_value(), "the page reads its query")


@pytest.mark.parametrize(
    ("context", "who"), [(AS_IT_COMES, "mallory"), (AS_IT_COMES, "")], indirect=["context"]
)
def test_a_stranger_sees_nothing(lab: Platform, context: BrowserContext, who: str) -> None:
    page = context.new_page()
    if who:
        sign_in(lab, page, who)
    for app in [*KINDS, "no-such"]:
        for url in (own_host(lab, app), f"http://localhost:{lab.port}/lab/{app}"):
            answer = page.goto(url)
            assert answer is not None
            assert answer.status == 404
            assert page.get_by_text("Nothing here").is_visible()
            assert page.url.startswith(f"http://localhost:{lab.port}/"), "the same for what does not exist"


def test_it_dies_with_the_right(lab: Platform, context: BrowserContext, keeps_cookies: bool) -> None:
    page = context.new_page()
    sign_in(lab, page, "bob")
    frame = framed(lab, page, "absolute_docker")
    whole("absolute_docker", frame, socket=keeps_cookies)
    status = "async () => (await fetch('/style.css')).status"
    assert frame.evaluate(status) == 200
    lab.manage("shell", "-c", _LEAVES)
    try:
        wait_until(lambda: frame.evaluate(status) == 404, "its files are gone")
        wait_until(lambda: frame.inner_text("#socket") == "closed", "its socket is closed")
        for app in KINDS:
            answer = page.goto(own_host(lab, app))
            assert answer is not None
            assert answer.status == 404
    finally:
        lab.manage("shell", "-c", _COMES)
