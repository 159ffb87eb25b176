"""Every route is described in OpenAPI's terms, and none fails on what schemathesis makes of that."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests
import schemathesis
from django.urls import URLPattern
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from spaces.api.urls import urlpatterns
from spaces.openapi.paths import LEFT_OUT, name_of, paths
from tests.hub_server import Hub


@schemathesis.serializer("application/x-ndjson")
def lines(_: Any, value: Any) -> Any:
    """JSON, a line each."""
    return "\n".join(json.dumps(one) for one in value).encode() if isinstance(value, list) else b""


EXAMPLES = 8  # of each operation
ENDLESS = "/logs/"  # streams that go on until their reader leaves
#: Not here, and said so with this status.
ABSENT = 501


def described(hub: Hub) -> dict[str, Any]:
    answer = requests.get(f"{hub.url}/api/openapi.json", timeout=30)
    value: dict[str, Any] = answer.json()
    return value


def operations(schema: Any) -> list[Any]:
    """All of them, each valid."""
    return [one.ok() for one in schema.get_all_operations()]


def test_every_route_of_the_hub_is_described(hub: Hub) -> None:
    found = described(hub)["paths"]
    views = {name_of(p.callback) for p in urlpatterns if isinstance(p, URLPattern)}
    told = {operation["operationId"].split(":")[0] for path in found.values() for operation in path.values()}
    assert {".".join(one.split(".")[:2]) for one in told if "." in one} >= views - LEFT_OUT
    for path in ("/api/repos/move", "/api/settings/webhooks/{number}", "/api/spaces/{owner}/{name}/queue"):
        assert path in found, path
    assert set(found["/api/spaces/{owner}/{name}/secrets"]) == {"get", "post", "delete"}


def test_the_document_is_valid_openapi(hub: Hub) -> None:
    schema = schemathesis.openapi.from_url(f"{hub.url}/api/openapi.json")
    assert len(operations(schema)) > 80


def test_paths_are_written_as_people_read_them() -> None:
    found = paths(urlpatterns)
    assert "/spaces/{owner}/{name}.git/info/lfs/objects/batch" in found
    assert "/run/{owner}/{name}/--replicas/+{replica_id}/get-reload" in found
    assert not [path for path in found if set(path) & set("()?^$\\<>")]


@pytest.mark.long
@pytest.mark.timeout(600)
def test_nothing_that_is_sent_makes_the_server_fail(hub: Hub, new_space: Any) -> None:
    schema = schemathesis.openapi.from_url(f"{hub.url}/api/openapi.json")
    space = [new_space()]
    token = f"Bearer {hub.tokens['alice']}"
    failed: list[str] = []

    def call(case: Any, real: bool) -> None:  # hypothesis names it
        if real and "owner" in (case.path_parameters or {}):
            if not hub.api("alice").repo_exists(space[0], repo_type="space"):
                space[0] = new_space()
            owner, name = space[0].split("/")
            case.path_parameters = {**case.path_parameters, "owner": owner, "name": name}
        headers = {
            key: value for key, value in (case.headers or {}).items() if key.lower() != "authorization"
        }
        case.headers = headers
        try:
            answer = case.call(headers={"Authorization": token}, timeout=30)
        except (requests.exceptions.InvalidHeader, requests.exceptions.InvalidURL):
            return
        if answer.status_code >= 500 and answer.status_code != ABSENT:
            failed.append(f"{answer.status_code} {case.as_curl_command()}")

    for operation in operations(schema):
        if ENDLESS in operation.path:
            continue
        fuzz = given(case=operation.as_strategy(), real=st.booleans())(call)
        settings(
            max_examples=EXAMPLES, deadline=None, database=None, derandomize=True,
            phases=[Phase.generate], suppress_health_check=list(HealthCheck),
        )(fuzz)()  # fmt: skip
    assert failed == []
