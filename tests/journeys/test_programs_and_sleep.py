"""A program that comes while a Space sleeps is told at once what the app offers, however slowly it starts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from gradio_client import Client
from huggingface_hub import CommitOperationAdd

from queueing.store import keys
from queueing.store.keys import SpaceKeys
from tests.platform_server import APPS, Platform
from tests.waiting import wait_until

SPACE = "alice/slowstart"


@dataclass
class Sleeper:
    """The Space, private: it starts when its gate is there, and sleeps when it is told to."""

    platform: Platform
    token: str
    gate: Path

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def get(self, path: str, headers: dict[str, str] | None = None) -> requests.Response:
        url = f"{self.platform.run_url(SPACE)}{path}"
        return requests.get(url, headers=self.headers if headers is None else headers, timeout=60)


@pytest.fixture(scope="module")
def awake(process_platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Sleeper:
    token = process_platform.token("alice")
    gate = tmp_path_factory.mktemp("slow") / "gate"
    gate.touch()
    api = process_platform.api(token)
    api.create_repo(SPACE, repo_type="space", space_sdk="gradio", private=True)
    api.add_space_variable(SPACE, "GATE", str(gate))
    assert process_platform.push(SPACE, token, APPS / "slow_start") == "RUNNING"
    return Sleeper(process_platform, token, gate)


@pytest.fixture
def sleeper(awake: Sleeper) -> Iterator[Sleeper]:
    """It sleeps, and what its app of these tests offers is kept."""
    valkey, api = awake.platform.valkey(), awake.platform.api(awake.token)
    key = SpaceKeys(int(valkey.get(keys.name(SPACE)) or 0)).kept
    sha = api.space_info(SPACE).sha
    assert sha is not None
    wait_until(lambda: valkey.hget(key, "sha") == sha.encode(), "what it says is kept")
    awake.platform.put_to_sleep(SPACE, awake.token)
    yield awake
    awake.gate.touch()


def test_gradio_client_waits_for_a_space_that_starts_slowly(sleeper: Sleeper) -> None:
    sleeper.gate.unlink()
    client = Client(sleeper.platform.run_url(SPACE), token=sleeper.token, verbose=False)
    assert client.config["root"] == sleeper.platform.run_url(SPACE).rstrip("/")
    job = client.submit("Ada", api_name="/echo")
    wait_until(lambda: sleeper.platform.stage(SPACE, sleeper.token) == "APP_STARTING", "it starts")
    assert sleeper.get("gradio_api/info").json()["named_endpoints"]["/echo"]
    sleeper.gate.touch()
    assert job.result(timeout=90) == "hello Ada"


def test_a_copy_is_for_those_who_may_see_the_space(sleeper: Sleeper) -> None:
    for path in ("config", "gradio_api/info"):
        assert sleeper.get(path, headers={}).status_code == 404
        assert sleeper.get(path).status_code == 200


@pytest.fixture
def app_as_before(sleeper: Sleeper) -> Iterator[None]:
    yield
    commit(sleeper, (APPS / "slow_start" / "app.py").read_text())


def commit(sleeper: Sleeper, app: str) -> None:
    sleeper.platform.api(sleeper.token).create_commit(
        SPACE, [CommitOperationAdd("app.py", app.encode())], repo_type="space", commit_message="change"
    )


@pytest.mark.usefixtures("app_as_before")
def test_a_copy_of_another_commit_is_not_told(sleeper: Sleeper) -> None:
    changed = (APPS / "slow_start" / "app.py").read_text().replace('api_name="echo"', 'api_name="renamed"')
    commit(sleeper, changed)

    def told() -> str:
        answer = sleeper.get("gradio_api/info")
        return " ".join(answer.json()["named_endpoints"]) if answer.ok else ""

    wait_until(lambda: "/echo" not in told(), "the web process has heard of the commit")
    names: list[str] = []

    def look() -> bool:
        names.append(told())
        return bool(names[-1])

    wait_until(look, "it runs anew", 180)
    assert "/echo" not in names
    assert "/renamed" in names[-1]
