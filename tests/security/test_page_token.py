"""What somebody gets who fetches the demo's page by a script and copies its token, past a closed API: one
session, as one visitor has. Nothing by a token that is old, forged, or another Space's."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from spaces.gateway import page_tokens
from tests.platform_server import Platform
from tests.security.conftest import Marks

SAYS = "api_open is off"
HTML = {"Accept": "text/html"}


class Script:
    """A program that talks to the demo's own host as its page would."""

    def __init__(self, platform: Platform, space: str) -> None:
        self.url = platform.url
        self.host = {"Host": f"{space.replace('/', '-')}.localhost:{platform.port}"}

    def page(self, query: str = "", **headers: str) -> requests.Response:
        return requests.get(f"{self.url}/{query}", headers={**self.host, **HTML, **headers}, timeout=30)

    def copied(self) -> str:
        """The token in the page that is served to whoever asks."""
        found = re.search(r"/_ui/([^/\"]+)", self.page().text)
        assert found
        return found[1]

    def join(self, token: str, session: str, text: str, **headers: str) -> str:
        """Ask for a run of `mark`; what the event ended with."""
        base = f"{self.url}/_ui/{token}/gradio_api"
        body = {"data": [text], "fn_index": 0, "session_hash": session, "trigger_id": None}
        joined = requests.post(f"{base}/queue/join", json=body, headers={**self.host, **headers}, timeout=30)
        assert joined.status_code == 200, joined.text
        url = f"{base}/queue/data?session_hash={session}"
        with requests.get(url, headers=self.host, stream=True, timeout=60) as answer:
            for line in answer.iter_lines():
                message = json.loads(line[5:]) if line else {}
                if message.get("event_id") == joined.json()["event_id"] and "output" in message:
                    output = message["output"]
                    return str(output["data"][0] if message["success"] else output["error"])
        raise AssertionError("the stream ended before the event did")


@pytest.fixture
def script(process_platform: Platform, traces: str, owner: str) -> Iterator[Script]:
    process_platform.queue(traces, owner, api_open=False)
    yield Script(process_platform, traces)
    process_platform.queue(traces, owner, api_open=True)


def session() -> str:
    return secrets.token_hex(6)


def test_a_copied_token_gets_the_first_session_that_uses_it_and_no_other(
    script: Script, marks: Marks
) -> None:
    token, first = script.copied(), session()
    assert script.join(token, first, f"copied {first}") == f"marked copied {first}"
    assert script.join(token, first, f"again {first}") == f"marked again {first}"
    for _ in range(3):
        other = session()
        assert SAYS in script.join(token, other, f"other {other}")
        assert f"mark other {other}" not in marks.read()
    assert script.join(token, first, f"still {first}") == f"marked still {first}"
    # Another page is another session: that is what it costs.
    assert script.join(script.copied(), session(), f"new {first}") == f"marked new {first}"


def test_of_sessions_that_use_a_token_at_once_one_gets_it(script: Script, marks: Marks) -> None:
    token, name = script.copied(), session()
    with ThreadPoolExecutor(8) as pool:
        ends = list(pool.map(lambda n: script.join(token, session(), f"race {name} {n}"), range(8)))
    assert len([end for end in ends if end.startswith("marked")]) == 1
    assert len([end for end in ends if SAYS in end]) == 7
    assert len([mark for mark in marks.read() if mark.startswith(f"mark race {name}")]) == 1


def test_tokens_that_are_old_forged_or_anothers_open_nothing(
    process_platform: Platform, script: Script, marks: Marks, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = (process_platform.home / "secret_key").read_text()
    good = script.copied()
    nonce, visit, user_id, expires, signature = good.split(".")
    space_id = next(n for n in range(1, 10_000) if page_tokens.verify(key, n, good))
    assert page_tokens.make(key, space_id, visit="", user_id=0), "made as the gateway makes them"
    with monkeypatch.context() as past:
        past.setattr(page_tokens, "AGE_S", -1)
        old = page_tokens.make(key, space_id, visit="", user_id=0)
    bad = {
        "old": old,
        "of another Space": page_tokens.make(key, space_id + 1, visit="", user_id=0),
        "of another key": page_tokens.make("guessed", space_id, visit="", user_id=0),
        "with a longer life": ".".join([nonce, visit, user_id, str(int(expires) + 1), signature]),
        "of an account": ".".join([nonce, visit, "1", expires, signature]),
        "of another visit": ".".join([nonce, "mine", user_id, expires, signature]),
        "cut": good[:-1],
        "empty": "",
        "without a signature": good.rpartition(".")[0],
        "of many parts": good + "." + good,
        "no text": "%ff%00",
    }
    before = marks.read()
    for name, token in bad.items():
        mine = session()
        try:
            said = script.join(token, mine, name)
        except AssertionError as refused:
            said = str(refused)
        assert SAYS in said or "not allowed" in said or "no path" in said or "zero" in said, (name, said)
    assert marks.read() == before
    # And the good one still opens: what is above was refused for its own sake.
    assert script.join(good, mine, "good") == "marked good"


def test_a_token_is_worth_nothing_at_the_programs_door(
    process_platform: Platform, script: Script, traces: str, marks: Marks
) -> None:
    before = marks.read()
    url = f"{process_platform.run_url(traces)}_ui/{script.copied()}/gradio_api"
    body = {"data": ["x"], "fn_index": 0, "session_hash": session()}
    for path in ("queue/join", "run/mark", "call/mark", "component_server"):
        assert requests.post(f"{url}/{path}", json=body, timeout=30).status_code in {403, 404}, path
    assert marks.read() == before


def test_nobody_is_told_the_token_or_the_address_of_whoever_came_before(
    process_platform: Platform, traces: str
) -> None:
    """Gradio keeps its description of functions, with the address in it, for all who come later."""
    script = Script(process_platform, traces)
    token = script.copied()
    own = f"alice-traces.localhost:{process_platform.port}"
    answers = {
        own: (f"{process_platform.url}/_ui/{token}/gradio_api/info", script.host),
        f"localhost:{process_platform.port}/run/alice/traces": (
            f"{process_platform.run_url(traces)}gradio_api/info",
            {"Host": f"localhost:{process_platform.port}"},
        ),
        f"127.0.0.1:{process_platform.port}/run/alice/traces": (
            f"{process_platform.run_url(traces)}gradio_api/info",
            {},
        ),
    }
    made_up = requests.get(
        f"{process_platform.run_url(traces)}gradio_api/info", headers={"Host": "evil.example"}, timeout=30
    )
    assert made_up.status_code == 400
    for address, (url, headers) in answers.items():
        text = requests.get(url, headers=headers, timeout=30).text
        assert f"http://{address}" in text, "the snippets of code name the address one came by"
        assert token not in text
        assert not [other for other in answers if other != address and f"http://{other}" in text]
        assert "spaceport.invalid" not in text


def test_who_opens_too_many_pages_waits(process_platform: Platform, traces: str) -> None:
    """By account, so that no other test, all from this address, has to wait too."""
    name = "charlie"
    browser = process_platform.signed_in(name, process_platform.password(name))
    shown = browser.get(f"{process_platform.url}/{traces}", timeout=30).text
    frame = re.search(r'src="[^"]*(\?__visit=[^"]+)"', shown)
    assert frame
    script = Script(process_platform, traces)
    loads: list[requests.Response] = []
    with ThreadPoolExecutor(8) as pool:
        while not loads or loads[-1].status_code == 200:
            loads += pool.map(lambda _: script.page(frame[1]), range(64))
            assert len(loads) < 3000
    assert [load.status_code for load in loads].count(200) >= 300
    refused = next(load for load in loads if load.status_code == 429)
    assert int(refused.headers["Retry-After"]) >= 1
    assert "Too many pages" in refused.text
    assert "_ui/" not in refused.text
    assert script.page().status_code == 200, "others are let in"
