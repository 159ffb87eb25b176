"""Every method of the official client: it works for a Space, or a sentence says why not. A release of the
client that brings another one fails here until somebody has looked."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import CommitOperationAdd, HfApi, SpaceHardware, Volume
from huggingface_hub.errors import HfHubHTTPError

from tests.hub_server import Hub

# Both of the client's own: what this hardware would be at Hugging Face, and that hiding is for ever.
pytestmark = pytest.mark.filterwarnings("ignore:If your Space runs on", "ignore:Hidden comments' content")

Call = Callable[[HfApi, str, Path], Any]
KIND: dict[str, Any] = {"repo_type": "space"}
HOOK: dict[str, Any] = {"url": "https://127.0.0.2:9/x", "watched": [{"type": "user", "name": "alice"}]}
BIG = b"\x00\x01" * 6_000_000


def _file(api: HfApi, space: str, path: str = "a/b.txt", content: bytes = b"1") -> None:
    api.upload_file(path_or_fileobj=content, path_in_repo=path, repo_id=space, **KIND)


def _after_file(call: Callable[[HfApi, str], Any]) -> Call:
    def done(api: HfApi, space: str, _: Path) -> Any:
        _file(api, space)
        return call(api, space)

    return done


def _hook(call: Callable[[HfApi, str], Any]) -> Call:
    def done(api: HfApi, _space: str, _: Path) -> Any:
        hook = api.create_webhook(**HOOK).id
        try:
            return call(api, hook)
        finally:
            if hook in {one.id for one in api.list_webhooks()}:
                api.delete_webhook(hook)

    return done


def _bucket(call: Callable[[HfApi, str, str], Any]) -> Call:
    def done(api: HfApi, space: str, _: Path) -> Any:
        name = api.create_bucket("alice/every", exist_ok=True).bucket_id
        try:
            return call(api, space, name)
        finally:
            api.set_space_volumes(space, [])
            api.delete_bucket(name, missing_ok=True)

    return done


def _mounted(api: HfApi, space: str, name: str) -> None:
    api.set_space_volumes(space, [Volume(type="bucket", source=name, mount_path="/data")])


def _unmounted(api: HfApi, space: str, name: str) -> None:
    _mounted(api, space, name)
    api.delete_space_volumes(space)


def _secret(api: HfApi, space: str, _: Path) -> None:
    api.add_space_secret(space, "K", "v")
    assert set(api.get_space_secrets(space)) == {"K"}
    api.delete_space_secret(space, "K")


def _variable(api: HfApi, space: str, _: Path) -> None:
    assert api.add_space_variable(space, "K", "v")["K"].value == "v"
    assert api.delete_space_variable(space, "K") == api.get_space_variables(space) == {}


def _branch(api: HfApi, space: str, _: Path) -> None:
    api.create_branch(space, branch="b", **KIND)
    api.delete_branch(space, branch="b", **KIND)


def _tag(api: HfApi, space: str, _: Path) -> None:
    api.create_tag(space, tag="t", **KIND)
    api.delete_tag(space, tag="t", **KIND)


def _large(api: HfApi, space: str, _: Path) -> None:
    _file(api, space, "big.bin", BIG)
    [held] = api.list_lfs_files(space, **KIND)
    api.permanently_delete_lfs_files(space, [held], **KIND)
    assert list(api.list_lfs_files(space, **KIND)) == []
    api.super_squash_history(space, **KIND)


def _preupload(api: HfApi, space: str, _: Path) -> None:
    addition = CommitOperationAdd("big.bin", BIG)
    api.preupload_lfs_files(space, [addition], **KIND)
    api.create_commit(space, [addition], commit_message="m", **KIND)


def _folder(api: HfApi, space: str, folder: Path) -> None:
    (folder / "app.py").write_text("1")
    api.upload_folder(repo_id=space, folder_path=folder, **KIND)
    api.delete_folder("a", space, **KIND) if api.file_exists(space, "a/x", **KIND) else None
    api.snapshot_download(space, local_dir=folder / "copy", **KIND)
    assert api.verify_repo_checksums(space, local_dir=folder / "copy", **KIND).mismatches == []


def _download(api: HfApi, space: str, folder: Path) -> None:
    _file(api, space)
    path = api.hf_hub_download(space, "a/b.txt", cache_dir=folder, **KIND)
    assert Path(path).read_text() == "1"
    assert api.resolve_revision(space, cache_dir=folder, **KIND)
    assert api.get_hf_file_metadata(url=f"{api.endpoint}/spaces/{space}/resolve/main/a/b.txt").size == 1


def _life(api: HfApi, space: str, _: Path) -> None:
    api.pause_space(space)
    assert api.get_space_runtime(space).stage == "PAUSED"
    assert api.wait_for_space(space).stage == "PAUSED"
    api.restart_space(space)
    assert api.set_space_sleep_time(space, 600).sleep_time == 600
    assert api.request_space_hardware(space, SpaceHardware.T4_SMALL).requested_hardware == "t4-small"


def _copies(api: HfApi, space: str, _: Path) -> None:
    copy = api.duplicate_repo(space, f"{space}-copy", **KIND).repo_id
    api.move_repo(copy, f"{space}-moved", **KIND)
    api.delete_repo(f"{space}-moved", **KIND)


def _copied(api: HfApi, space: str, _: Path) -> None:
    _file(api, space)
    api.copy_files(f"hf://spaces/{space}/a/b.txt", f"hf://spaces/{space}/c.txt")
    assert api.file_exists(space, "c.txt", **KIND)


def _collection(api: HfApi, space: str, _: Path) -> None:
    slug = api.create_collection("Every method").slug
    item = api.add_collection_item(slug, space, "space").items[0]
    api.update_collection_item(slug, item.item_object_id, note="n")
    slug = api.update_collection_metadata(slug, title="Renamed").slug
    assert slug in {one.slug for one in api.list_collections(item=f"spaces/{space}")}
    api.delete_collection_item(slug, item.item_object_id)
    assert api.get_collection(slug).items == []
    api.delete_collection(slug)


def _resource_group(api: HfApi, _space: str, _: Path) -> None:
    slug = api.create_collection("Of a group").slug
    try:
        api.update_collection_resource_group(slug, None)
    finally:
        api.delete_collection(slug)


#: One call may be of several methods, whose names stand before it.
WORKS: dict[str, Call] = {
    "add_space_secret delete_space_secret get_space_secrets": _secret,
    "add_space_variable delete_space_variable get_space_variables": _variable,
    "auth_check": lambda api, space, _: api.auth_check(space, write=True, **KIND),
    "bucket_info create_bucket delete_bucket list_buckets": _bucket(
        lambda api, _, name: api.bucket_info(name).id in {one.id for one in api.list_buckets()}
    ),
    "set_space_volumes": _bucket(_mounted),
    "delete_space_volumes": _bucket(_unmounted),
    "create_collection update_collection_metadata list_collections get_collection delete_collection "
    "add_collection_item update_collection_item delete_collection_item": _collection,
    "copy_files": _copied,
    "create_branch delete_branch": _branch,
    "create_tag delete_tag": _tag,
    "create_commit preupload_lfs_files": _preupload,
    "list_lfs_files permanently_delete_lfs_files super_squash_history": _large,
    "create_repo": lambda api, space, _: api.create_repo(space, space_sdk="gradio", exist_ok=True, **KIND),
    "duplicate_repo move_repo delete_repo": _copies,
    "create_webhook list_webhooks delete_webhook": _hook(lambda api, hook: api.delete_webhook(hook)),
    "get_webhook": _hook(lambda api, hook: api.get_webhook(hook)),
    "enable_webhook disable_webhook": _hook(
        lambda api, hook: (api.disable_webhook(hook), api.enable_webhook(hook))
    ),
    "update_webhook": _hook(lambda api, hook: api.update_webhook(hook, **HOOK)),
    "delete_file": _after_file(lambda api, space: api.delete_file("a/b.txt", space, **KIND)),
    "delete_files": _after_file(lambda api, space: api.delete_files(space, ["a/*"], **KIND)),
    "delete_folder": _after_file(lambda api, space: api.delete_folder("a", space, **KIND)),
    "fetch_space_logs": lambda api, space, _: list(api.fetch_space_logs(space)),
    "file_exists repo_exists revision_exists": lambda api, space, _: (
        api.file_exists(space, "README.md", **KIND)
        and api.repo_exists(space, **KIND)
        and api.revision_exists(space, "main", **KIND)
    ),
    "get_full_repo_name": lambda api, _, __: api.get_full_repo_name("x") == "alice/x",
    "get_organization_overview": lambda api, _, __: api.get_organization_overview("lab").name == "lab",
    "get_user_overview": lambda api, _, __: api.get_user_overview("alice").username == "alice",
    "list_organization_members": lambda api, _, __: list(api.list_organization_members("lab")),
    "list_organization_followers list_user_followers list_user_following": lambda api, _, __: (
        [*api.list_organization_followers("lab"), *api.list_user_followers("alice")]
        == [*api.list_user_following("alice")]
        == []
    ),
    "get_paths_info": lambda api, space, _: api.get_paths_info(space, ["README.md"], expand=True, **KIND),
    "hf_hub_download resolve_revision get_hf_file_metadata": _download,
    "list_repo_commits": lambda api, space, _: api.list_repo_commits(space, formatted=True, **KIND),
    "list_repo_files": lambda api, space, _: api.list_repo_files(space, **KIND),
    "list_repo_likers list_liked_repos unlike": lambda api, space, _: (
        api.unlike(space, **KIND) is None
        and list(api.list_repo_likers(space, **KIND)) == []
        and space not in api.list_liked_repos("alice").spaces
    ),
    "list_repo_refs": lambda api, space, _: api.list_repo_refs(space, include_pull_requests=True, **KIND),
    "list_repo_tree": lambda api, space, _: list(api.list_repo_tree(space, expand=True, **KIND)),
    "list_space_templates": lambda api, _, __: "hello" in {one.name for one in api.list_space_templates()},
    "list_spaces": lambda api, space, _: space in {one.id for one in api.list_spaces(author="alice")},
    "search_spaces": lambda api, _, __: isinstance(
        list(api.search_spaces("demo", include_non_running=True)), list
    ),
    "list_spaces_hardware": lambda api, _, __: api.list_spaces_hardware(),
    "list_user_repos": lambda api, space, _: space in {one.id for one in api.list_user_repos()},
    "pause_space restart_space get_space_runtime wait_for_space set_space_sleep_time"
    " request_space_hardware": _life,
    "repo_info space_info": lambda api, space, _: (
        api.space_info(space, files_metadata=True).sha == api.repo_info(space, **KIND).sha
    ),
    "run_as_future whoami": lambda api, _, __: api.run_as_future(api.whoami).result()["name"] == "alice",
    "update_repo_settings": lambda api, space, _: api.update_repo_settings(space, private=True, **KIND),
    "upload_file": lambda api, space, _: _file(api, space),
    "upload_folder snapshot_download verify_repo_checksums": _folder,
}
NO_DISCUSSIONS = "are disabled for this repo"
NOT_GATED = "This Space is not gated"
OF_SPACES_ALONE = "There are only Spaces here|404"
BUCKETS_FILES = "are read and written by the Spaces that have it"

#: What a refusal says, and the calls that get it.
REFUSED: dict[str, dict[str, Call]] = {
    NO_DISCUSSIONS: {
        "change_discussion_status": lambda api, s, _: api.change_discussion_status(s, 1, "closed", **KIND),
        "comment_discussion": lambda api, s, _: api.comment_discussion(s, 1, "c", **KIND),
        "create_discussion": lambda api, s, _: api.create_discussion(s, "t", **KIND),
        "create_pull_request": lambda api, s, _: api.create_pull_request(s, "t", **KIND),
        "edit_discussion_comment": lambda api, s, _: api.edit_discussion_comment(s, 1, "x", "c", **KIND),
        "get_discussion_details": lambda api, s, _: api.get_discussion_details(s, 1, **KIND),
        "get_repo_discussions": lambda api, s, _: list(api.get_repo_discussions(s, **KIND)),
        "hide_discussion_comment": lambda api, s, _: api.hide_discussion_comment(s, 1, "x", **KIND),
        "merge_pull_request": lambda api, s, _: api.merge_pull_request(s, 1, **KIND),
        "rename_discussion": lambda api, s, _: api.rename_discussion(s, 1, "t", **KIND),
    },
    NOT_GATED: {
        "accept_access_request": lambda api, s, _: api.accept_access_request(s, "bob", **KIND),
        "cancel_access_request": lambda api, s, _: api.cancel_access_request(s, "bob", **KIND),
        "grant_access": lambda api, s, _: api.grant_access(s, "bob", **KIND),
        "list_accepted_access_requests": lambda api, s, _: list(api.list_accepted_access_requests(s, **KIND)),
        "list_pending_access_requests": lambda api, s, _: list(api.list_pending_access_requests(s, **KIND)),
        "list_rejected_access_requests": lambda api, s, _: list(api.list_rejected_access_requests(s, **KIND)),
        "reject_access_request": lambda api, s, _: api.reject_access_request(
            s, "bob", rejection_reason=None, **KIND
        ),
    },
    "There is no dev mode here": {
        "disable_space_dev_mode": lambda api, s, _: api.disable_space_dev_mode(s),
        "enable_space_dev_mode": lambda api, s, _: api.enable_space_dev_mode(s),
    },
    "There is no ZeroGPU here": {"get_zero_gpu_quota": lambda api, _, __: api.get_zero_gpu_quota()},
    "Volumes are not renamed": {
        "move_bucket": _bucket(lambda api, _, name: api.move_bucket(name, "alice/other"))
    },
    BUCKETS_FILES: {
        "batch_bucket_files": _bucket(lambda api, _, name: api.batch_bucket_files(name, delete=["a"])),
        "download_bucket_files": _bucket(
            lambda api, _, name: api.download_bucket_files(name, [("a", "/tmp/never")])  # noqa: S108
        ),
        "get_bucket_file_metadata": _bucket(lambda api, _, name: api.get_bucket_file_metadata(name, "a")),
        "get_bucket_paths_info": _bucket(lambda api, _, name: list(api.get_bucket_paths_info(name, ["a"]))),
        "list_bucket_tree": _bucket(lambda api, _, name: list(api.list_bucket_tree(name))),
        "sync_bucket": _bucket(lambda api, _, name: api.sync_bucket(f"hf://buckets/{name}", "/tmp/never")),  # noqa: S108
        "update_bucket_settings": _bucket(
            lambda api, _, name: api.update_bucket_settings(name, private=False)
        ),
    },
    "no resource groups": {"update_collection_resource_group": _resource_group},
    "Attachments belong to discussions": {
        "upload_attachment": lambda api, _, folder: api.upload_attachment(_attachment(folder)),
    },
}
#: Of models, data sets and services of Hugging Face's.
OTHERS = re.compile(r".*(?:inference|job|paper|dataset|model|kernel|safetensors).*")


def _attachment(folder: Path) -> Path:
    (folder / "a.png").write_bytes(b"1")
    return folder / "a.png"


def test_every_method_is_known() -> None:
    names = {name for name, _ in inspect.getmembers(HfApi, callable) if not name.startswith("_")}
    tried = {name for several in WORKS for name in several.split()}
    tried |= {name for calls in REFUSED.values() for name in calls}
    assert {name for name in names - tried if not OTHERS.fullmatch(name)} == set()
    assert tried <= names


@pytest.mark.parametrize("names", WORKS)
def test_it_works(hub: Hub, space: str, tmp_path: Path, names: str) -> None:
    assert WORKS[names](hub.api("alice"), space, tmp_path) is not False


@pytest.mark.parametrize(
    ("words", "name"), [(words, name) for words, calls in REFUSED.items() for name in calls]
)
def test_it_says_why_not(hub: Hub, space: str, tmp_path: Path, words: str, name: str) -> None:
    with pytest.raises(HfHubHTTPError, match=words):
        REFUSED[words][name](hub.api("alice"), space, tmp_path)
