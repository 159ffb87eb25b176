"""What the official client may ask for is done, or refused in a sentence; nothing is left out in silence."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import HfApi, Volume
from huggingface_hub.errors import BadRequestError, HfHubHTTPError, RepositoryNotFoundError

from tests.hub_server import Hub

Make = Callable[..., str]


@pytest.fixture
def api(hub: Hub) -> HfApi:
    return hub.api("alice")


def card(hub: Hub, space: str, text: str) -> None:
    readme = f"---\nsdk: gradio\n{text}---\n"
    hub.api("alice").upload_file(
        path_or_fileobj=readme.encode(), path_in_repo="README.md", repo_id=space, repo_type="space"
    )


VOLUME = Volume(type="model", source="a/b", mount_path="/data")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"space_volumes": [VOLUME]}, "volumes: There are no models here to mount"),
        ({"region": "us"}, "region: There are no regions here"),
        ({"resource_group_id": "x" * 24}, "resourceGroupId: There are no resource groups"),
        ({"space_hardware": "a100x8"}, "'a100x8' has 8 GPUs"),
        ({"space_hardware": "zero-a10g"}, "no hardware 'zero-a10g'. Choose one of: cpu"),
    ],
)
def test_what_a_new_space_cannot_have_is_refused(api: HfApi, options: dict[str, Any], words: str) -> None:
    with pytest.raises(BadRequestError, match=words):
        api.create_repo("alice/never", repo_type="space", space_sdk="gradio", **options)
    assert not api.repo_exists("alice/never", repo_type="space")


@pytest.mark.parametrize(("key", "value"), [("storageTier", "small"), ("storage", "small")])
def test_older_clients_are_refused_alike(hub: Hub, space: str, key: str, value: str) -> None:
    body = {"name": "never", "type": "space", "sdk": "gradio", key: value}
    assert hub.call("POST", "/api/repos/create", "alice", json=body).json()["error"].startswith(f"{key}: ")
    copy = {"repository": "alice/never", key: "small"}
    assert hub.call("POST", f"/api/spaces/{space}/duplicate", "alice", json=copy).status_code == 400


def test_a_new_space_begins_with_a_template(hub: Hub, api: HfApi) -> None:
    for number, template in enumerate(("static", "examples/static")):
        space = f"alice/of-template-{number}"
        api.create_repo(space, repo_type="space", space_template=template)
        assert {"index.html", "perceptron.js"} <= set(api.list_repo_files(space, repo_type="space"))
        assert api.space_info(space).sdk == "static"
        api.delete_repo(space, repo_type="space")
    body = {"name": "never", "type": "space", "sdk": "gradio", "template": "nobody/none"}
    refused = hub.call("POST", "/api/repos/create", "alice", json=body).json()["error"]
    assert refused.startswith("template: There is no 'nobody/none', but there are: examples/batch")


def test_gating_is_refused_and_ending_it_is_fine(api: HfApi, space: str) -> None:
    with pytest.raises(BadRequestError, match="gated: Spaces are not gated here"):
        api.update_repo_settings(space, repo_type="space", gated="auto")
    api.update_repo_settings(space, repo_type="space", gated=False)


def test_a_tag_keeps_its_message(hub: Hub, api: HfApi, space: str, tmp_path: Path) -> None:
    head = api.space_info(space).sha
    api.create_tag(space, repo_type="space", tag="v1", tag_message="First öne\n\nWith more.")
    [tag] = api.list_repo_refs(space, repo_type="space").tags
    assert (tag.name, tag.target_commit) == ("v1", head)
    assert api.space_info(space, revision="v1").sha == head
    assert hub.git("clone", hub.remote(space), str(tmp_path / "work")).returncode == 0
    shown = hub.git("tag", "-n9", "--format=%(taggername): %(contents)", cwd=tmp_path / "work").stdout
    assert shown.strip() == "alice: First öne\n\nWith more."
    api.delete_tag(space, repo_type="space", tag="v1")
    assert not api.list_repo_refs(space, repo_type="space").tags


def test_lists_are_sorted_as_asked(hub: Hub, api: HfApi, new_space: Make) -> None:
    first, second = new_space(space_variables=[{"key": "A", "value": "1"}]), new_space()
    api.update_repo_settings(first, repo_type="space", visibility="public")

    def order(sort: Any) -> list[str]:
        return [s.id for s in api.list_spaces(author="alice", sort=sort) if s.id in {first, second}]

    assert order("created_at") == [second, first]
    assert order("last_modified") == [first, second]
    assert sorted(order("likes")) == sorted(order("trending_score")) == sorted([first, second])
    for query, words in (("sort=downloads", "but can be createdAt"), ("direction=1", "descending")):
        assert words in hub.call("GET", f"/api/spaces?{query}").json()["error"]


def test_lists_are_filtered_by_the_models_and_data_sets_of_the_cards(
    hub: Hub, api: HfApi, new_space: Make
) -> None:
    one, two, three = new_space(), new_space(), new_space()
    card(hub, one, "models: [openai/whisper, gpt2]\n")
    card(hub, two, "datasets: [squad]\n")

    def found(**query: Any) -> set[str]:
        return {s.id for s in api.list_spaces(author="alice", **query)} & {one, two, three}

    assert found(models="gpt2") == found(models=["gpt2", "openai/whisper"]) == {one}
    assert found(datasets="squad") == {two}
    assert found(linked=True) == {one, two}
    assert api.space_info(one).models == ["openai/whisper", "gpt2"]


def test_what_is_expanded_is_there_and_nothing_else(hub: Hub, api: HfApi, space: str) -> None:
    card(hub, space, "title: Expanded\n")
    [listed] = [s for s in api.list_spaces(author="alice", expand=["cardData", "sdk"]) if s.id == space]
    assert (listed.sdk, listed.card_data is not None, listed.author) == ("gradio", True, None)
    [listed] = [s for s in api.list_spaces(author="alice", full=True) if s.id == space]
    assert "README.md" in {file.rfilename for file in listed.siblings or []}
    found = api.space_info(space, expand=["usedStorage", "trendingScore", "resourceGroup", "region"])
    assert found.used_storage is not None
    assert found.used_storage > 0
    assert found.sha is None
    with pytest.raises(BadRequestError, match="expand is 'downloads', but can be"):
        api.space_info(space, expand=["downloads"])  # type: ignore[list-item]  # as older clients may


def test_the_storage_of_ones_spaces_is_their_repositories(hub: Hub, api: HfApi, space: str) -> None:
    content = base64.b64encode(bytes(range(256)) * 200)
    api.upload_file(path_or_fileobj=content, path_in_repo="x.bin", repo_id=space, repo_type="space")
    [mine] = [one for one in api.list_user_repos() if one.id == space]
    assert mine.storage == api.space_info(space).used_storage
    assert mine.storage > 1000


@pytest.mark.parametrize(
    ("repo", "kind"),
    [("gpt2", "space"), ("gpt2", None), ("a/b", None), ("squad", "dataset"), ("a/b", "dataset")],
)
def test_what_cannot_be_here_does_not_exist(api: HfApi, repo: str, kind: str | None) -> None:
    assert api.repo_exists(repo, repo_type=kind) is False
    assert api.file_exists(repo, "README.md", repo_type=kind) is False
    assert api.revision_exists(repo, "main", repo_type=kind) is False
    with pytest.raises(RepositoryNotFoundError):
        api.list_repo_files(repo, repo_type=kind)
    with pytest.raises(RepositoryNotFoundError):
        api.hf_hub_download(repo, "README.md", repo_type=kind)
    api.delete_repo(repo, repo_type=kind, missing_ok=True)


def test_models_are_asked_for_by_who_forgot_the_type(hub: Hub, space: str, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("x")
    for arguments in (
        ("upload", "alice/new", str(tmp_path)),
        ("repos", "create", "alice/new"),
        ("download", space),
        ("download", space, "README.md"),
    ):
        done = hub.hf("alice", *arguments)
        assert done.returncode != 0
        assert "Traceback" not in done.stderr
        if arguments[0] == "download":  # the command has its own words for what is not found
            assert f"Model '{space}' not found" in done.stderr
        else:
            assert "--repo-type space" in done.stderr, arguments
            assert 'repo_type="space"' in done.stderr, arguments
    with pytest.raises(HfHubHTTPError, match="--repo-type space"):
        hub.api("alice").model_info(space)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda api, space: api.enable_space_dev_mode(space), "no dev mode"),
        (lambda api, _: list(api.list_papers(query="x")), "unset HF_ENDPOINT"),
        (lambda api, _: list(api.list_models()), "There are only Spaces here"),
        (lambda api, _: list(api.list_datasets()), "There are only Spaces here"),
        (lambda api, _: api.get_zero_gpu_quota(), "no ZeroGPU here"),
    ],
)
def test_what_is_missing_is_named_with_what_to_do(api: HfApi, space: str, call: Any, words: str) -> None:
    with pytest.raises(HfHubHTTPError, match=words):
        call(api, space)


def test_the_number_of_replicas_is_in_the_runtime(hub: Hub, space: str) -> None:
    for count in (2, 1):
        answer = hub.call("POST", f"/api/spaces/{space}/replicas", "alice", json={"replicas": count})
        assert (answer.status_code, answer.json()["replicas"]["requested"]) == (200, count)
    answer = hub.call("POST", f"/api/spaces/{space}/replicas", "alice", json={"replicas": 0})
    assert (answer.status_code, "1 to" in answer.json()["error"]) == (400, True)


def test_an_unknown_address_says_where_the_addresses_are_listed(hub: Hub) -> None:
    assert "/api/docs" in hub.call("POST", "/api/spaces/a/b/nonsense", "alice").json()["error"]
