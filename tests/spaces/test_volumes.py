"""Named volumes by the official client: made, mounted, shared within an owner, deleted, or refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from huggingface_hub import HfApi, Volume
from huggingface_hub.errors import BadRequestError, BucketNotFoundError, HfHubHTTPError

from tests.hub_server import Hub

Make = Callable[..., str]


@pytest.fixture
def api(hub: Hub) -> HfApi:
    return hub.api("alice")


@pytest.fixture
def volume(hub: Hub, api: HfApi) -> Iterator[str]:
    """A volume of alice's; at the end she has none."""
    yield api.create_bucket("alice/store").bucket_id
    hub.sql("delete from spaces_mount where volume_id in (select id from spaces_volume)")
    hub.sql("delete from spaces_volume")


def at(where: str, source: str = "alice/store", **more: Any) -> Volume:
    return Volume(type="bucket", source=source, mount_path=where, **more)


def mounted(api: HfApi, space: str) -> list[tuple[str, str, bool | None]]:
    runtime = api.space_info(space).runtime
    assert runtime is not None
    return [(one.source, one.mount_path, one.read_only) for one in runtime.volumes or []]


def test_the_command_makes_mounts_and_deletes_a_volume(hub: Hub, space: str) -> None:
    def hf(*arguments: str) -> str:
        done = hub.hf("alice", *arguments, "--format", "json")
        assert done.returncode == 0, done.stderr
        return done.stdout

    hf("buckets", "create", "alice/kept")
    [made] = hub.api("alice").list_buckets()
    assert (made.id, made.private, made.size, made.total_files) == ("alice/kept", True, 0, 0)
    hf("spaces", "volumes", "set", space, "-v", "hf://buckets/alice/kept:/data")
    [listed] = json.loads(hf("spaces", "volumes", "ls", space))
    assert (listed["source"], listed["mount_path"]) == ("alice/kept", "/data")
    done = hub.hf("alice", "buckets", "delete", "alice/kept", "--yes")
    assert f"alice/kept is mounted by {space}. Unmount it there first." in " ".join(done.stderr.split())
    hf("spaces", "volumes", "delete", space, "--yes")
    assert mounted(hub.api("alice"), space) == []
    hf("buckets", "delete", "alice/kept", "--yes")
    assert list(hub.api("alice").list_buckets()) == []


def test_volumes_are_named_anew_each_time_and_come_with_a_new_space(
    api: HfApi, new_space: Make, volume: str
) -> None:
    space = new_space(space_volumes=[at("/store")])
    assert mounted(api, space) == [(volume, "/store", False)]
    api.set_space_volumes(space, [at("/data", read_only=True), at("/other/place")])
    assert mounted(api, space) == [(volume, "/data", True), (volume, "/other/place", False)]
    copy = f"{space}-copy"
    api.duplicate_repo(space, copy, repo_type="space")
    assert mounted(api, copy) == []
    api.delete_repo(copy, repo_type="space")
    api.duplicate_repo(space, copy, repo_type="space", space_volumes=[at("/store")])
    assert mounted(api, copy) == [(volume, "/store", False)]
    api.delete_repo(copy, repo_type="space")
    api.delete_space_volumes(space)
    with pytest.raises(BadRequestError, match="has no volumes mounted"):
        api.delete_space_volumes(space)
    api.delete_bucket(volume)
    with pytest.raises(BucketNotFoundError):
        api.bucket_info(volume)
    api.delete_bucket(volume, missing_ok=True)


@pytest.mark.parametrize(
    ("volumes", "words"),
    [
        ([Volume(type="model", source="a/b", mount_path="/m")], "no models here to mount"),
        ([Volume(type="dataset", source="a/b", mount_path="/m")], "no data sets here to mount"),
        ([Volume(type="space", source="a/b", mount_path="/m")], "snapshot_download"),
        ([Volume(type="else", source="a/b", mount_path="/m")], "type is bucket, not 'else'"),
        ([at("/m", "alice/nothing")], "no volume alice/nothing. Make it first: hf buckets create alice/no"),
        ([at("/m", "lab/store")], "have volumes of alice alone, not 'lab/store'"),
        ([at("/m", revision="main")], "leave out revision"),
        ([at("/m", path="sub/folder")], "mounted as a whole"),
        ([at("m")], "is no path"),
        ([at("/a/../b")], "is no path"),
        ([at("/")], "is no path"),
        ([at("/etc/x")], "would hide what the Space runs on"),
        ([at("/home/user")], "would hide what the Space runs on"),
        ([at("/home/user/app")], "would hide what the Space runs on"),
        ([at("/data/x")], "in the Space's own /data"),
        ([at("/a"), at("/a/b")], "overlap"),
        ([at(f"/v{n}") for n in range(11)], "at most 10 volumes"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)
def test_what_cannot_be_mounted_is_refused(
    api: HfApi, space: str, volume: str, volumes: list[Volume], words: str
) -> None:
    with pytest.raises(BadRequestError) as refused:
        api.set_space_volumes(space, volumes)
    assert words in str(refused.value)
    assert mounted(api, space) == []
    with pytest.raises(BadRequestError, match="volumes: "):
        api.create_repo("alice/never", repo_type="space", space_sdk="gradio", space_volumes=volumes)
    assert not api.repo_exists("alice/never", repo_type="space")


def test_a_static_space_has_none(api: HfApi, new_space: Make, volume: str) -> None:
    with pytest.raises(BadRequestError, match="static Space"):
        api.set_space_volumes(new_space(space_sdk="static"), [at("/store")])


def test_a_space_with_volumes_stays_with_its_owner(api: HfApi, space: str, volume: str) -> None:
    api.set_space_volumes(space, [at("/store")])
    with pytest.raises(HfHubHTTPError, match="Unmount them first: hf spaces volumes delete"):
        api.move_repo(space, "lab/taken-along", repo_type="space")
    api.move_repo(space, f"{space}-b", repo_type="space")
    assert mounted(api, f"{space}-b") == [(volume, "/store", False)]
    api.delete_space_volumes(space)
    api.move_repo(space, f"lab/{space.split('/')[1]}", repo_type="space")


def test_strangers_and_narrow_tokens_have_no_part_in_volumes(hub: Hub, api: HfApi, volume: str) -> None:
    space = "lab/with-volume"
    api.create_repo(space, repo_type="space", space_sdk="gradio")
    api.create_bucket("lab/store", exist_ok=True)
    api.create_bucket("lab/store", exist_ok=True)
    api.set_space_volumes(space, [at("/store", "lab/store")])
    assert [one.id for one in hub.api("reader").list_buckets("lab", search="STO")] == ["lab/store"]
    for who in ("reader", "alice_read"):
        with pytest.raises(HfHubHTTPError, match="403"):
            hub.api(who).delete_bucket("lab/store")
        with pytest.raises(HfHubHTTPError, match="403"):
            hub.api(who).delete_space_volumes(space)
    with pytest.raises(BucketNotFoundError):
        hub.api("charlie").bucket_info("lab/store")
    assert mounted(hub.api("charlie"), space) == [], "which folders there are is their owner's business"
    token = hub.python(
        "import django; django.setup()\n"
        "from accounts import tokens; from accounts.models import User; from spaces.models import Space\n"
        "space, alice = Space.objects.get(name='with-volume'), User.objects.get(username='alice')\n"
        "print(tokens.issue(alice, 'one', space_id=space.pk)[1])"
    ).strip()
    narrow = HfApi(endpoint=hub.url, token=token)
    for call in (
        lambda: narrow.delete_space_volumes(space),
        lambda: narrow.set_space_volumes(space, []),
        lambda: narrow.bucket_info("lab/store"),
        lambda: narrow.create_bucket("lab/more"),
    ):
        with pytest.raises(HfHubHTTPError, match=f"This token is for {space} alone"):
            call()
    assert mounted(api, space) == [("lab/store", "/store", False)]
    api.delete_repo(space, repo_type="space")
    assert api.bucket_info("lab/store").id == "lab/store", "a volume outlives its Spaces"


def test_of_a_bucket_only_the_volume_is_here(hub: Hub, api: HfApi, volume: str) -> None:
    calls: list[tuple[Callable[[], Any], str]] = [
        (lambda: list(api.list_bucket_tree(volume)), "read and written by the Spaces"),
        (lambda: api.update_bucket_settings(volume, private=False), "read and written by the Spaces"),
        (lambda: api.move_bucket(volume, "alice/else"), "Volumes are not renamed"),
        (lambda: api.create_bucket("alice/two", visibility="public"), "A volume is private"),
        (lambda: api.create_bucket("alice/two", region="eu"), "no regions here"),
        (lambda: api.create_bucket("alice/STORE"), "already created this volume: alice/store"),
        (lambda: api.create_bucket("bob/mine"), "404"),
    ]
    for call, words in calls:
        with pytest.raises(HfHubHTTPError, match=words):
            call()
    assert hub.call("POST", "/api/buckets/alice/a--b", "alice").status_code == 400
    assert hub.call("PUT", "/api/spaces/alice/x/volumes", "alice", json={"volumes": 3}).status_code == 404
    for number in range(9):
        api.create_bucket(f"alice/more-{number}")
    with pytest.raises(BadRequestError, match="alice has 10 volumes, which is the most"):
        api.create_bucket("alice/one-too-many")
