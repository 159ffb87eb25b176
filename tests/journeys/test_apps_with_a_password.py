"""Apps behind a password of their own (`launch(auth=…)`): they work as by themselves, from every client."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest
import requests
from gradio_client import Client
from gradio_client.exceptions import AuthenticationError

from tests.compat.conftest import node_modules
from tests.platform_server import APPS, Platform
from tests.waiting import wait_until

SPACE = "alice/password"
SAYS = "hi Ada, you are user"

SCRIPT = """
import { Client } from "@gradio/client";

const [url, token] = process.argv.slice(2);
const client = await Client.connect(url, { auth: ["user", "pass"], ...(token ? { token } : {}) });
const one = await client.predict("/predict", { name: "Ada" });
const two = await client.predict("/predict", ["Ada"]);
console.log(JSON.stringify([one.data[0], two.data[0]]));
process.exit(0);
"""


@pytest.fixture(scope="module")
def url(process_platform: Platform) -> Iterator[str]:
    """Its address at the programs' door."""
    owner = process_platform.token("alice")
    assert process_platform.push(SPACE, owner, APPS / "password", timeout_s=300) == "RUNNING"
    yield process_platform.run_url(SPACE)
    process_platform.api(owner).update_repo_settings(SPACE, repo_type="space", private=False)


@pytest.fixture(params=["public", "private"])
def token(request: pytest.FixtureRequest, process_platform: Platform, url: str) -> str | None:
    """The Space, public or private, and the token that it needs."""
    owner = process_platform.token("alice")
    private = request.param == "private"
    process_platform.api(owner).update_repo_settings(SPACE, repo_type="space", private=private)
    status = 404 if private else 401  # the app's own, which asks for its password
    wait_until(
        lambda: requests.get(f"{url}config", timeout=30).status_code == status, f"it is {request.param}"
    )
    return owner if private else None


def signed_in(url: str, token: str | None) -> Client:
    """A client. (Its own login sends no token, so that of a private Space is made for it.)"""
    if token is None:
        return Client(url, auth=("user", "pass"), verbose=False)
    bearer = {"Authorization": f"Bearer {token}"}
    form = {"username": "user", "password": "pass"}
    answer = requests.post(f"{url}login", data=form, headers=bearer, timeout=30)
    cookies = {cookie.name: cookie.value for cookie in answer.cookies}
    return Client(url, token=token, verbose=False, httpx_kwargs={"cookies": cookies})


def test_gradio_client_signs_in_and_calls(url: str, token: str | None) -> None:
    client = signed_in(url, token)
    assert client.predict("Ada", api_name="/predict") == SAYS
    jobs = [client.submit("Ada", api_name="/predict") for _ in range(3)]
    assert [job.result(timeout=60) for job in jobs] == [SAYS] * 3
    with pytest.raises(ValueError, match="Could not login"):
        Client(url, auth=("user", "wrong"), token=token, verbose=False)
    with pytest.raises(AuthenticationError):
        Client(url, token=token, verbose=False)


@pytest.mark.timeout(600)
def test_the_javascript_client_signs_in_and_calls(url: str, token: str | None) -> None:
    folder = node_modules()
    (folder / "password.mjs").write_text(SCRIPT)
    done = subprocess.run(
        ["node", "password.mjs", url, *([token] if token else [])],
        cwd=folder, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1]) == [SAYS, SAYS]


def test_any_client_with_a_jar_signs_in_and_calls(url: str, token: str | None) -> None:
    with requests.Session() as session:
        if token:
            session.headers["Authorization"] = f"Bearer {token}"
        body = {"data": ["Ada"], "fn_index": 0, "session_hash": f"jar{bool(token)}"}
        form = {"username": "user", "password": "pass"}
        assert session.post(f"{url}login", data=form, timeout=30).json() == {"success": True}
        joined = session.post(f"{url}gradio_api/queue/join", json=body, timeout=30)
        assert joined.status_code == 200, joined.text
        told = session.get(f"{url}gradio_api/queue/data?session_hash={body['session_hash']}", timeout=60).text
    assert SAYS in told
