"""Tokens that are nobody's are counted at Spaces too, by the visitor's own address: guessing is slowed down
there, and neither who sends none, nor who sends a good one, is kept out."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import requests
from requests.adapters import HTTPAdapter

from accounts.throttle import TOKENS
from queueing.routes import App, Function
from tests.hub_server import Hub
from tests.spaces.standin import Standin, serve

GRADIO = App(protocol="sse_v3", version="6.31.0", prefix="/gradio_api", functions=(Function(id=0),))
EVENT = {"data": [], "fn_index": 0, "session_hash": "guesser"}


class From:
    """Somebody at an address of their own."""

    def __init__(self, hub: Hub, address: str) -> None:
        class Adapter(HTTPAdapter):
            def init_poolmanager(self, *args: object, **options: object) -> None:
                super().init_poolmanager(*args, source_address=(address, 0), **options)  # type: ignore[arg-type]

        self.session, self.hub = requests.Session(), hub
        self.session.mount("http://", Adapter())

    def get(self, path: str, token: str = "", host: str = "") -> requests.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        headers |= {"Host": host} if host else {}
        return self.session.get(f"{self.hub.url}{path}", headers=headers, timeout=30)

    def join(self, space: str, token: str = "") -> int:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = f"{self.hub.url}/run/{space}/gradio_api/queue/join"
        return self.session.post(url, json=EVENT, headers=headers, timeout=30).status_code


@pytest.fixture
def spaces(hub: Hub, new_space: Callable[..., str], standin: Standin) -> tuple[str, str]:
    """A private one and a public one."""
    private, public = new_space(private=True), new_space()
    serve(hub, private, standin)
    serve(hub, public, standin, app=GRADIO)
    return private, public


def test_guessing_is_slowed_down_at_both_doors_and_keeps_nobody_else_out(
    hub: Hub, spaces: tuple[str, str]
) -> None:
    private, public = spaces
    guesser, neighbour = From(hub, "127.0.0.61"), From(hub, "127.0.0.62")
    inside = f"/run/{private}/x"
    for n in range(TOKENS):
        assert guesser.get(inside, f"hf_guess{n}").status_code == 404
    refused = guesser.get(inside, "hf_oneMore")
    assert refused.status_code == 429
    assert "Wait five minutes" in refused.json()["error"]
    host = f"{private.replace('/', '-')}.localhost:{hub.port}"
    assert guesser.get("/x", "hf_another", host).status_code == 429
    assert guesser.join(public, "hf_another") == 429
    # Who sends none, a good one, or comes from elsewhere.
    assert (guesser.get(inside).status_code, guesser.get("/x", host=host).status_code) == (404, 404)
    assert guesser.join(public) == 200
    assert guesser.get(inside, hub.tokens["alice"]).status_code == 200
    assert guesser.join(public, hub.tokens["charlie"]) == 200
    assert neighbour.get(inside, "hf_oneMore").status_code == 404


def test_one_token_that_is_nobodys_is_counted_once(hub: Hub, spaces: tuple[str, str]) -> None:
    """Clients send the one they have wherever they go, one that has expired or another Hub's too."""
    private, public = spaces
    visitor = From(hub, "127.0.0.63")
    for _ in range(TOKENS + 2):
        assert visitor.get(f"/run/{private}/x", "hf_expired").status_code == 404
    assert visitor.join(public, "hf_expired") == 200
    assert visitor.get(f"/run/{private}/x", "hf_another").status_code == 404
