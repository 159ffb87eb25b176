"""What an app prints, and what its owner keeps secret, is shown to no stranger by any address there is: the
words are planted in every place that keeps them, then every route is read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence

import pytest
import requests
from django.urls import URLPattern, URLResolver, get_resolver
from websockets.sync.client import connect

from tests.hub_server import Hub

pytestmark = pytest.mark.long

PRINTED = "canary-that-the-app-printed"
SECRET = "canary-that-is-a-secret"
HIDDEN = "canary-of-a-hidden-space"

_PLANT = """
import django
django.setup()
from hardware import logs
from hardware.models import Replica
from spaces import lifecycle
from spaces.models import Build, Secret, Space, Stage
for name in {names!r}:
    space = Space.objects.select_related("owner").get(name=name)
    Secret.objects.create(space=space, key="KEY", value={secret!r})
    told = dict(reason={printed!r}, log={printed!r})
    build = Build.objects.create(space=space, sha=space.sha, status="failed", **told)
    space.replica = Replica.objects.create(
        space_id=space.pk, build_id=build.pk, tier="cpu", spec={{"env": {{"KEY": {secret!r}}}}},
        state=Replica.State.FAILED, reason={printed!r},
    )
    for kind in ("build", "run"):
        logs.append(kind, space.pk, [{printed!r}])
    lifecycle._move(space, Stage.RUNTIME_ERROR, {printed!r})
    space.save()
"""

#: Values of the parameters in addresses; "1" for all others.
VALUES = {
    "path": "README.md", "rest": "main/README.md", "revision": "main", "branch": "main", "write": "write",
    "action": "pause", "section": "queue", "service": "info/refs",
}  # fmt: skip


def addresses(space: str, patterns: Sequence[object] | None = None, before: str = "") -> Iterator[str]:
    """Every address of the platform's host, with this Space where one is named."""
    owner, name = space.split("/")
    values = {**VALUES, "owner": owner, "name": name}
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        here = before + str(pattern.pattern)  # type: ignore[attr-defined]
        if isinstance(pattern, URLResolver):
            yield from addresses(space, pattern.url_patterns, here)
        elif isinstance(pattern, URLPattern):
            plain = re.sub(r"\(\?P<(\w+)>(?:[^()]|\([^()]*\))*\)", r"<\1>", here)
            plain = re.sub(r"\(\?:[^()]*\)\??|[\^$?]|\\Z|\.\*", "", plain).replace("\\", "")
            plain = plain.replace("[^/]+", name)
            yield "/" + re.sub(r"<(?:\w+:)?(\w+)>", lambda found: values.get(found[1], "1"), plain)


def gateway(space: str) -> list[str]:
    """Addresses of the programs' door."""
    inside = ("", "config", "gradio_api/info", "gradio_api/queue/data?session_hash=a", "nothing")
    return [f"/run/{space}/{path}" for path in inside]


@pytest.fixture(scope="module")
def spaces(hub: Hub) -> tuple[str, str]:
    """A public Space that crashed, and a private one that did."""
    shown, hidden = "lab/canary-shown", "lab/canary-hidden"
    api = hub.api("alice")
    api.create_repo(shown, repo_type="space", space_sdk="gradio")
    variables = [{"key": "WORD", "value": HIDDEN}]
    api.create_repo(hidden, repo_type="space", space_sdk="gradio", private=True, space_variables=variables)
    readme = f"---\ntitle: {HIDDEN}\nsdk: gradio\n---\n{HIDDEN}\n".encode()
    api.upload_file(
        path_or_fileobj=readme,
        path_in_repo="README.md",
        repo_id=hidden,
        repo_type="space",
        commit_message=HIDDEN,
    )
    names = [shown.split("/")[1], hidden.split("/")[1]]
    hub.python(_PLANT.format(names=names, printed=PRINTED, secret=SECRET))
    return shown, hidden


def read(hub: Hub, path: str, who: str, **headers: str) -> str:
    """The headers and the beginning of what is answered."""
    with hub.call("GET", path, who, headers=headers, stream=True, allow_redirects=False) as answer:
        assert answer.status_code != 500, (path, answer.text)
        streams = "event-stream" in answer.headers.get("Content-Type", "")
        body = next(answer.iter_content(65536), b"") if streams else answer.content
    return f"{answer.headers}{body.decode('utf-8', 'replace')}"


def test_the_owner_is_told_what_the_app_printed(hub: Hub, spaces: tuple[str, str]) -> None:
    for path in (f"/api/spaces/{spaces[0]}", f"/api/spaces/{spaces[0]}/runtime", "/api/spaces?author=lab"):
        assert PRINTED in read(hub, path, "alice"), path
        assert PRINTED in read(hub, path, "bob"), path


@pytest.mark.parametrize("who", ["", "charlie", "reader"])
def test_no_address_tells_it_to_anybody_else(hub: Hub, spaces: tuple[str, str], who: str) -> None:
    for space in spaces:
        paths = [*addresses(space), *gateway(space), f"/api/spaces?search={space}", f"/?q={HIDDEN}"]
        assert len(paths) > 80
        for path in paths:
            told = read(hub, path, who, Accept="*/*" if path.startswith("/api/") else "text/html")
            assert PRINTED not in told, path
            assert SECRET not in told, path
            assert who == "reader" or path.endswith(HIDDEN) or HIDDEN not in told, path


def test_neither_does_the_demos_own_host(hub: Hub, spaces: tuple[str, str]) -> None:
    for space in spaces:
        host = f"{space.replace('/', '-')}.localhost"
        for accept in ("text/html", "*/*"):
            answer = requests.get(f"{hub.url}/", headers={"Host": host, "Accept": accept}, timeout=10)
            assert answer.status_code in (404, 503)
            assert not re.search("canary-(that|of)", answer.text)


def test_neither_does_the_websocket(hub: Hub, spaces: tuple[str, str]) -> None:
    for space in spaces:
        with connect(f"ws://127.0.0.1:{hub.port}/ws/spaces/{space}/queue") as socket:
            first = json.loads(socket.recv(10))
            assert "canary-" not in json.dumps(first)
            assert first["msg"] == ("status" if space == spaces[0] else "error")


def test_neither_do_pages_for_somebody_signed_in(hub: Hub, spaces: tuple[str, str]) -> None:
    browser: Callable[..., requests.Response] = sign_in(hub, "charlie")
    for space in spaces:
        for path in [*addresses(space), *gateway(space), f"/?q={space}"]:
            if not re.search(r"logout|records|logs/(run|build)$", path):
                assert not re.search("canary-(that|of)", browser(path).text), path


def sign_in(hub: Hub, who: str) -> Callable[..., requests.Response]:
    session = requests.Session()
    page = session.get(f"{hub.url}/login", timeout=10).text
    token = page.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
    form = {"username": who, "password": f"{who}-secret", "csrfmiddlewaretoken": token}
    done = session.post(f"{hub.url}/login", form, timeout=10, allow_redirects=False)
    assert done.status_code == 302
    return lambda path: session.get(f"{hub.url}{path}", timeout=10, allow_redirects=False)
