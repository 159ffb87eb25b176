"""What an owner does with a Space, by the methods that `huggingface_hub` had a year ago. Run by the Python
that has that release: `HF_ENDPOINT` and `HF_TOKEN` say where and who; the arguments are a fresh Space's id,
and a folder for downloads."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

SPACE, FOLDER = sys.argv[1], Path(sys.argv[2])
OWNER, NAME = SPACE.split("/")
KIND: Any = {"repo_type": "space"}
api: Any = HfApi()  # of another release than the types here


def raises(kind: type[Exception], call: Callable[[], Any], words: str = "") -> None:
    """The call fails like this."""
    said = ""
    try:
        call()
    except kind as error:
        said = str(error) or "nothing"
    assert said, f"{kind} was not raised"
    assert words in said, said


def life() -> None:
    """Made, found, settled."""
    assert api.whoami()["name"] == OWNER
    api.create_repo(SPACE, space_sdk="static", space_variables=[{"key": "A", "value": "1"}], **KIND)
    api.create_repo(SPACE, space_sdk="static", exist_ok=True, **KIND)
    assert api.repo_exists(SPACE, **KIND)
    assert api.space_info(SPACE).id == SPACE
    assert SPACE in {one.id for one in api.list_spaces(author=OWNER)}
    api.update_repo_settings(SPACE, private=True, **KIND)
    assert api.space_info(SPACE).private
    api.update_repo_settings(SPACE, private=False, **KIND)
    api.add_space_secret(SPACE, "S", "v")
    assert api.add_space_variable(SPACE, "B", "2")["B"].value == "2"
    assert set(api.get_space_variables(SPACE)) == {"A", "B"}
    api.delete_space_variable(SPACE, "B")
    api.delete_space_secret(SPACE, "S")
    api.set_space_sleep_time(SPACE, 600)
    api.request_space_hardware(SPACE, "t4-small")
    assert api.get_space_runtime(SPACE).requested_hardware == "t4-small"
    api.pause_space(SPACE)
    api.restart_space(SPACE, factory_reboot=True)


def files() -> None:
    """Sent, listed, fetched, deleted."""
    (FOLDER / "in" / "sub").mkdir(parents=True)
    (FOLDER / "in" / "index.html").write_text("<h1>hi</h1>")
    (FOLDER / "in" / "sub" / "b.bin").write_bytes(bytes(range(256)) * 1000)
    api.upload_folder(repo_id=SPACE, folder_path=FOLDER / "in", **KIND)
    api.upload_file(path_or_fileobj=b"one", path_in_repo="a.txt", repo_id=SPACE, **KIND)
    assert {"a.txt", "index.html", "sub/b.bin"} <= set(api.list_repo_files(SPACE, **KIND))
    done = api.create_commit(
        SPACE,
        [CommitOperationAdd("c.txt", b"c"), CommitOperationDelete("a.txt")],
        commit_message="both",
        **KIND,
    )
    assert api.list_repo_commits(SPACE, **KIND)[0].commit_id == done.oid
    path = api.hf_hub_download(SPACE, "sub/b.bin", cache_dir=FOLDER / "cache", **KIND)
    assert Path(path).read_bytes() == (FOLDER / "in" / "sub" / "b.bin").read_bytes()
    api.snapshot_download(SPACE, local_dir=FOLDER / "out", cache_dir=FOLDER / "cache", **KIND)
    assert (FOLDER / "out" / "c.txt").read_text() == "c"
    assert api.get_paths_info(SPACE, ["c.txt", "nothing"], **KIND)[0].path == "c.txt"
    assert any(one.path == "sub" for one in api.list_repo_tree(SPACE, expand=True, **KIND))
    api.delete_folder("sub", SPACE, **KIND)


def history() -> None:
    """Branches, tags, squashes."""
    api.create_branch(SPACE, branch="feat/x", **KIND)
    api.create_tag(SPACE, tag="v1", tag_message="first", **KIND)
    refs = api.list_repo_refs(SPACE, **KIND)
    assert ({one.name for one in refs.branches}, refs.tags[0].name) == ({"main", "feat/x"}, "v1")
    api.delete_tag(SPACE, tag="v1", **KIND)
    api.delete_branch(SPACE, branch="feat/x", **KIND)
    api.super_squash_history(SPACE, **KIND)
    assert len(api.list_repo_commits(SPACE, **KIND)) == 1


def people() -> None:
    """Likes, profiles, webhooks."""
    assert list(api.list_repo_likers(SPACE, **KIND)) == []
    api.unlike(SPACE, **KIND)
    assert api.get_user_overview(OWNER).username == OWNER
    hook = api.create_webhook(
        url="https://example.org/hook", watched=[{"type": "space", "name": SPACE}], domains=["repo"]
    )
    assert api.disable_webhook(hook.id).disabled
    api.delete_webhook(hook.id)


def errors() -> None:
    """As this release types them."""
    raises(RepositoryNotFoundError, lambda: api.space_info(SPACE + "-missing"))
    raises(RevisionNotFoundError, lambda: api.space_info(SPACE, revision="nowhere"))
    raises(EntryNotFoundError, lambda: api.hf_hub_download(SPACE, "nothing", **KIND))
    raises(HfHubHTTPError, lambda: api.create_pull_request(SPACE, "t", **KIND), "are disabled for this repo")
    raises(HfHubHTTPError, lambda: api.request_space_storage(SPACE, "small"), "storage")


def ends() -> None:
    """Copied, moved, deleted."""
    copy = f"{OWNER}/{NAME}-copy"
    api.duplicate_space(SPACE, copy)
    api.move_repo(copy, f"{copy}-2", **KIND)
    assert api.space_info(copy).id == f"{copy}-2"
    api.delete_repo(f"{copy}-2", **KIND)
    api.delete_repo(SPACE, **KIND)
    assert not api.repo_exists(SPACE, **KIND)


for part in (life, files, history, people, errors, ends):
    part()
print(huggingface_hub.__version__)
