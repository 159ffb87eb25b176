"""Named volumes on the Settings tab, and on which nodes Spaces that have them run."""

from __future__ import annotations

from typing import Any

import pytest

from hardware import nodes
from hardware.models import Deleted, Replica, VolumeHome
from hardware.placement import taking
from hardware.runtimes.base import Use
from hardware.upkeep import volumes
from spaces.models import Space, Volume
from spaces.volumes import changes, mounts
from tests.people import People
from tests.spaces.pages import HTMX, as_, folks, space_of, text_of

__all__ = ["folks"]
pytestmark = pytest.mark.django_db


def post(folks: People, space: Space, **values: str) -> Any:
    return as_(folks.alice).post(f"/{space}/settings/volumes", values, headers=HTMX)


def paths(space: Space) -> dict[str, str]:
    return {one.path: one.name for one in mounts.of(space)}


def test_a_volume_is_made_mounted_unmounted_and_deleted_on_the_page(folks: People) -> None:
    one, two = space_of(folks), space_of(folks, "other")
    assert "Saved" in text_of(post(folks, one, name="store", path="/store"))
    assert "Saved" in text_of(post(folks, two, name="STORE", path="/data/", read_only="on"))
    assert (paths(one), paths(two)) == ({"/store": "lab/store"}, {"/data": "lab/store"})
    volume = Volume.objects.get()
    VolumeHome.objects.create(volume_id=volume.pk, place="here", size_bytes=5 * 1024**2, files=3)
    page = text_of(as_(folks.alice).get(f"/{two}/settings"))
    assert "Mounted by lab/demo, lab/other" in page
    assert "5.0\xa0MB, 3 files" in page
    assert "read only" in page

    refused = post(folks, one, delete=str(volume.pk))
    assert (refused.status_code, "lab/store is mounted by lab/demo, lab/other" in text_of(refused)) == (
        422,
        True,
    )
    for space in (one, two):
        assert "None mounted" in text_of(post(folks, space, unmount=str(space.mounts.get().pk)))
    assert "Saved" in text_of(post(folks, one, delete=str(volume.pk)))
    assert not Volume.objects.exists()
    assert not VolumeHome.objects.exists()
    assert Deleted.objects.get().volume_id == volume.pk


def test_a_mount_that_is_refused_leaves_nothing_behind(folks: People) -> None:
    space = space_of(folks)
    for name, path, words in (
        ("store", "/proc/x", "would hide"),
        ("a b", "/store", "a name has 1 to 96"),
        ("\0", "", "is no path"),
    ):
        answer = post(folks, space, name=name, path=path)
        assert (answer.status_code, words in text_of(answer)) == (422, True)
    assert not Volume.objects.exists()
    assert (
        as_(folks.reader).post(f"/{space}/settings/volumes", {"name": "x", "path": "/x"}).status_code == 404
    )


def test_where_spaces_are_plain_processes_only_a_folder_at_home_is_mounted(folks: People) -> None:
    nodes.register("here", {"cpu": False}, "process")
    space = space_of(folks)
    assert "only below /home/user and outside of /home/user/app" in text_of(
        post(folks, space, name="store", path="/data")
    )
    assert "nothing keeps a process from writing" in text_of(
        post(folks, space, name="store", path="/home/user/store", read_only="on")
    )
    assert "Saved" in text_of(post(folks, space, name="store", path="/home/user/store"))


def test_a_space_runs_where_its_volume_is(folks: People) -> None:
    nodes.register("a", {"cpu": False}, "docker", "machine one")
    nodes.register("b", {"cpu": False, "t4": False}, "docker", "machine two")
    volume = changes.create(folks.lab, "store").pk
    assert [node.name for node in nodes.up("cpu", [volume])] == ["a", "b"], "it is nowhere yet"
    space = space_of(folks)
    row = Replica(space=space, tier="cpu", volumes=[volume])
    assert volumes.claim(row, "machine two")
    assert not volumes.claim(row, "machine one")
    assert taking.node_for(row) == "b"
    assert nodes.absence("t4", [volume]) == ""
    nodes.leave(nodes.register("b", {"cpu": False, "t4": False}, "docker", "machine two").pk)
    assert taking.node_for(Replica(space=space, tier="cpu")) == "a"
    assert taking.node_for(row) is None
    assert "kept on a machine where no node" in nodes.absence("cpu", [volume])


def test_what_a_volume_holds_is_counted_where_it_is(folks: People) -> None:
    nodes.register("a", {"cpu": False}, "docker", "machine one")
    for number, place in ((1, "machine one"), (2, "machine two")):
        VolumeHome.objects.create(volume_id=number, place=place)

    class Runtime:
        def volume_uses(self) -> dict[int, Use]:
            return {1: Use(4096, 1), 2: Use(8192, 2), 3: Use(1, 1)}

    volumes.count("a", Runtime())  # type: ignore[arg-type]
    assert list(VolumeHome.objects.order_by("volume_id").values_list("size_bytes", "files")) == [
        (4096, 1),
        (0, 0),
    ]
