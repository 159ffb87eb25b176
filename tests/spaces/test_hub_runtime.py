"""The unmodified `huggingface_hub` on a Space that runs, or would: hardware, sleep, pause, environment, logs;
and Spaceport's own queue route. Without workers: what is asked for is seen in what is answered."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.errors import BadRequestError, HfHubHTTPError, RepositoryNotFoundError
from huggingface_hub.hf_api import RepoFile

from queueing.setting_fields import FIELDS
from tests.hub_server import Hub

Make = Callable[..., str]


@pytest.fixture
def api(hub: Hub) -> HfApi:
    return hub.api("alice")


@pytest.fixture
def pushed(api: HfApi, space: str) -> str:
    """A Space with an app, waiting for its build."""
    api.upload_file(path_or_fileobj=b"print()", path_in_repo="app.py", repo_id=space, repo_type="space")
    return space


def flavor(name: str) -> Any:
    """The client's types know the Hub's names only; it sends any."""
    return name


def log(hub: Hub, space: str, kind: str, *lines: str, at: float | None = None) -> None:
    """Write as the builder and the node do."""
    (pk,) = hub.sql("select id from spaces_space where name = %s", space.split("/")[1])[0]
    with redis.Redis.from_url(hub.redis) as client:
        for line in lines:
            client.xadd(f"logs:{kind}:{pk}", {"at": f"{at or time.time():.6f}", "text": line, "replica": 0})


def test_a_push_of_an_app_orders_a_build(hub: Hub, api: HfApi, pushed: str) -> None:
    runtime = api.get_space_runtime(pushed)
    assert (runtime.stage, runtime.hardware, runtime.requested_hardware) == ("BUILDING", None, "cpu-basic")
    built = (
        "select status, sha from spaces_build where space_id = (select id from spaces_space where name = %s)"
    )
    name = pushed.split("/")[1]
    assert hub.sql(built, name) == [("queued", api.space_info(pushed).sha)]
    api.upload_file(path_or_fileobj=b"print(2)", path_in_repo="app.py", repo_id=pushed, repo_type="space")
    assert [row[0] for row in hub.sql(f"{built} order by id", name)] == ["cancelled", "queued"]


def test_hardware_by_any_of_its_names(api: HfApi, space: str) -> None:
    for asked, answered in (("t4-medium", "t4-small"), ("a100", "a100-large"), ("cpu-upgrade", "cpu-basic")):
        assert api.request_space_hardware(space, flavor(asked), sleep_time=600).requested_hardware == answered
    assert api.get_space_runtime(space).sleep_time == 600
    with pytest.raises(BadRequestError, match=r"no hardware 'quantum'.*cpu \(cpu-basic\)"):
        api.request_space_hardware(space, flavor("quantum"), sleep_time=5)
    with pytest.raises(BadRequestError, match=r"'a100x8' has 8 GPUs; a Space here has at most one\. Choose"):
        api.request_space_hardware(space, flavor("a100x8"), sleep_time=5)
    runtime = api.get_space_runtime(space)
    assert (runtime.requested_hardware, runtime.sleep_time) == ("cpu-basic", 600)


def test_replicas_are_wanted_and_told_as_the_hub_tells_them(hub: Hub, api: HfApi, space: str) -> None:
    path = f"/api/spaces/{space}/replicas"
    assert hub.call("POST", path, "alice", json={"replicas": 3}).status_code == 200
    assert api.get_space_runtime(space).raw["replicas"] == {"current": 0, "requested": 3}
    for wrong in (0, 11, "2", True, None, 1.5):
        refused = hub.call("POST", path, "alice", json={"replicas": wrong})
        assert refused.status_code == 400, wrong
        assert "replicas" in refused.json()["error"]
    assert api.get_space_runtime(space).raw["replicas"]["requested"] == 3


def test_the_hardware_there_is(api: HfApi) -> None:
    found = {h.name: h for h in api.list_spaces_hardware()}
    assert list(found) == ["cpu-basic", "t4-small", "a100-large"]
    assert found["cpu-basic"].accelerator is None
    assert found["a100-large"].accelerator is not None
    assert "A100" in found["a100-large"].accelerator.model


def test_sleep_time(api: HfApi, space: str) -> None:
    api.request_space_hardware(
        space, flavor("t4-small")
    )  # the client warns of the Hub's own rules for cpu-basic
    assert api.set_space_sleep_time(space, 3600).sleep_time == 3600
    assert api.set_space_sleep_time(space, -1).sleep_time is None
    with pytest.raises(BadRequestError):
        api.set_space_sleep_time(space, -5)


def test_pause_and_restart(api: HfApi, pushed: str) -> None:
    assert api.pause_space(pushed).stage == "PAUSED"
    api.upload_file(path_or_fileobj=b"print(2)", path_in_repo="app.py", repo_id=pushed, repo_type="space")
    assert api.get_space_runtime(pushed).stage == "PAUSED"
    assert api.restart_space(pushed).stage == "BUILDING"
    assert api.restart_space(pushed, factory_reboot=True).stage == "BUILDING"


def test_restart_without_an_app_says_what_is_missing(api: HfApi, space: str) -> None:
    runtime = api.restart_space(space)
    assert runtime.stage == "NO_APP_FILE"
    assert "app.py" in runtime.raw["errorMessage"]


def test_secrets_are_written_never_read(hub: Hub, api: HfApi, space: str) -> None:
    api.add_space_secret(space, "KEY", "canary-77", description="of a service")
    api.add_space_secret(space, "KEY", "canary-78")
    api.add_space_secret(space, "OTHER", "canary-79")
    assert set(api.get_space_secrets(space)) == {"KEY", "OTHER"}
    for path in ("", "/secrets", "/variables", "/runtime"):
        assert "canary" not in hub.call("GET", f"/api/spaces/{space}{path}", "alice").text
    assert "canary" not in str(hub.sql("select value from spaces_secret"))
    api.delete_space_secret(space, "KEY")
    assert set(api.get_space_secrets(space)) == {"OTHER"}
    with pytest.raises(HfHubHTTPError, match="no 'KEY'"):
        api.delete_space_secret(space, "KEY")


def test_variables(api: HfApi, space: str) -> None:
    assert api.add_space_variable(space, "MODE", "fast", description="how")["MODE"].value == "fast"
    assert api.add_space_variable(space, "MODE", "slow")["MODE"].value == "slow"
    assert api.add_space_variable(space, "EMPTY", "")["EMPTY"].value == ""
    assert set(api.delete_space_variable(space, "MODE")) == {"EMPTY"}
    for key in ("", "1A", "A B", "A=B", "ü", "A" * 129, "A\n"):
        with pytest.raises(BadRequestError, match="is no name for a variable"):
            api.add_space_variable(space, key, "x")
    assert set(api.get_space_variables(space)) == {"EMPTY"}


# --- logs -------------------------------------------------------------------------------------------


def test_logs_end_by_themselves(hub: Hub, api: HfApi, space: str, new_space: Make) -> None:
    """The client ends a log it does not follow after 5 s without a byte."""
    log(hub, space, "run", "first", "zwölf 🚀", at=time.time() - 60)
    log(hub, space, "build", "collecting", at=time.time() - 60)
    silent = new_space()
    began = time.monotonic()
    with ThreadPoolExecutor() as pool:
        logs = pool.map(
            lambda of: [line.rstrip("\n") for line in api.fetch_space_logs(of[0], build=of[1])],
            ((space, False), (space, True), (silent, False)),
        )
        assert list(logs) == [["first", "zwölf 🚀"], ["collecting"], []]
    assert time.monotonic() - began < 12


def test_logs_are_followed(hub: Hub, api: HfApi, space: str) -> None:
    log(hub, space, "run", "old", at=time.time() - 60)
    later = threading.Timer(1, lambda: log(hub, space, "run", "new"))
    later.start()
    lines = iter(api.fetch_space_logs(space, follow=True))
    assert [next(lines).rstrip("\n") for _ in range(2)] == ["old", "new"]
    later.join()


def test_logs_are_the_owners(hub: Hub, space: str) -> None:
    with pytest.raises(HfHubHTTPError, match="Only who can write"):
        list(hub.api("charlie").fetch_space_logs(space))
    with pytest.raises(RepositoryNotFoundError):
        list(hub.api("charlie").fetch_space_logs("alice/never-was"))


# --- the queue's settings ---------------------------------------------------------------------------


def test_queue_settings_are_read_and_changed_in_part(hub: Hub, space: str) -> None:
    url = f"/api/spaces/{space}/queue"
    first = hub.call("GET", url).json()
    assert first["concurrency_count"] == 1
    assert first["max_size"] is None
    assert (first["pending"], first["running"], first["served_today"], first["events"]) == (0, 0, 0, [])
    changed = hub.call("PUT", url, "alice", json={"max_size": 3, "batch": True}).json()
    assert changed == {**first, "max_size": 3, "batch": True}
    assert hub.call("PUT", url, "alice", json={}).json() == changed
    assert hub.call("PUT", url, "alice", json={"max_size": None}).json()["max_size"] is None
    (pk,) = hub.sql("select id from spaces_space where name = %s", space.split("/")[1])[0]
    with redis.Redis.from_url(hub.redis) as client:
        assert list(client.scan_iter(f"*{pk}*cfg*")), "the scripts read them from Redis"


def test_settings_out_of_bounds_name_what_is_allowed(hub: Hub, space: str) -> None:
    answer = hub.call("PUT", f"/api/spaces/{space}/queue", "alice", json={"concurrency_count": -3})
    assert answer.json()["error"] == (
        "concurrency_count is a whole number from 1 to 1,000, or none for no limit."
    )


def test_the_openapi_page_shows_the_queue(hub: Hub) -> None:
    assert "swagger" in hub.call("GET", "/api/docs").text.lower()
    schema: Any = hub.call("GET", "/api/openapi.json").json()
    assert set(schema["paths"]["/api/spaces/{owner}/{name}/queue"]) == {"get", "put"}
    for name in ("Queue", "QueueChange"):
        offered = schema["components"]["schemas"][name]["properties"]
        for field in FIELDS:
            assert offered[field.name].get("default") == field.default  # a null is left out
            assert offered[field.name]["description"].startswith(field.help)
    assert "huggingface_hub" in schema["info"]["description"]


# --- the rest of uploads ----------------------------------------------------------------------------


def test_one_commit_larger_than_an_ordinary_body(api: HfApi, space: str) -> None:
    parts = [CommitOperationAdd(f"part-{n}", bytes([n]) * 2_900_000) for n in range(5)]
    api.create_commit(space, parts, commit_message="14.5 MB", repo_type="space")
    sizes = {e.path: e.size for e in api.list_repo_tree(space, repo_type="space") if isinstance(e, RepoFile)}
    assert all(sizes[f"part-{n}"] == 2_900_000 for n in range(5))


def test_ignored_and_deleted_by_pattern(api: HfApi, space: str, tmp_path: Any) -> None:
    for name, text in (
        (".gitignore", "*.tmp\nout/\n!keep.tmp\n"),
        ("a.py", "1"),
        ("b.tmp", "2"),
        ("keep.tmp", "3"),
    ):
        (tmp_path / name).write_text(text)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "x").write_text("4")
    api.upload_file(path_or_fileobj=b"old", path_in_repo="old.py", repo_id=space, repo_type="space")
    api.upload_folder(repo_id=space, repo_type="space", folder_path=tmp_path, delete_patterns="*.py")
    files = set(api.list_repo_files(space, repo_type="space"))
    assert files - {"README.md", ".gitattributes"} == {".gitignore", "a.py", "keep.tmp"}


def test_an_organizations_member_makes_and_pushes(hub: Hub, new_space: Make) -> None:
    space = new_space("bob", owner="lab")
    assert hub.api("reader").space_info(space).author == "lab"
    for who in ("reader", "charlie"):
        with pytest.raises(HfHubHTTPError, match="no rights to create"):
            hub.api(who).create_repo("lab/other", repo_type="space", space_sdk="gradio")
    hub.api("bob").delete_repo(space, repo_type="space")
    assert not hub.api("bob").repo_exists(space, repo_type="space")
