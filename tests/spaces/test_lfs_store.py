"""The store of large files: what a build gets, what is collected, and what there is no room for."""

from __future__ import annotations

import os
import shutil
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Owner
from spaces import housekeeping, lifecycle
from spaces.git import commits, locks, references, repository
from spaces.git.bounds import TooMuch
from spaces.git.export import export
from spaces.lfs import addresses, collection, files, holdings, store
from spaces.lfs.pointers import Pointer, parsed
from spaces.lfs.references import release, release_all
from spaces.lfs.store import Incoming, Refused
from spaces.models import Build, LargeFile, Space
from tests.spaces.lfs import oid_of

CONTENT = b"a model " * 1000
POINTER = Pointer(oid_of(CONTENT), len(CONTENT))


@pytest.fixture
def space(db: None, settings: Any, tmp_path: Path) -> Space:
    settings.SPACEPORT_HOME = tmp_path / "home"
    return new_space("demo")


def new_space(name: str) -> Space:
    owner, _ = Owner.objects.get_or_create(name="alice")
    return Space.objects.create(owner=owner, name=name, subdomain=f"alice-{name}")


def add(space: Space, content: bytes = CONTENT) -> Pointer:
    """Have this Space hold this content."""
    pointer = Pointer(oid_of(content), len(content))
    with Incoming(space.pk, pointer.oid, pointer.size) as incoming, store.adding():
        incoming.write(content)
        incoming.keep()
        holdings.add(space.pk, pointer)
    return pointer


def age(path: Path) -> None:
    """It came long ago."""
    then = time.time() - collection.GRACE_S - 1
    os.utime(path, (then, then))


# --- builds -----------------------------------------------------------------------------------------


def test_a_build_gets_the_file_without_a_copy_of_it(space: Space, tmp_path: Path) -> None:
    add(space)
    sha = commits.create(space, author="alice", files={"m/model.bin": POINTER.text, "app.py": b"x"})
    export(space, sha, tmp_path / "out")
    made = tmp_path / "out" / "m" / "model.bin"
    assert made.read_bytes() == CONTENT
    assert made.stat().st_ino == store.path_of(POINTER.oid).stat().st_ino
    assert store.path_of(POINTER.oid).stat().st_mode & 0o222 == 0  # nobody writes to all Spaces' file
    shutil.rmtree(tmp_path / "out")
    assert store.path_of(POINTER.oid).read_bytes() == CONTENT


def test_a_pointer_at_what_a_space_does_not_hold_stays_a_pointer(space: Space, tmp_path: Path) -> None:
    add(new_space("other"))
    sha = commits.create(space, author="alice", files={"model.bin": POINTER.text})
    export(space, sha, tmp_path / "out")
    assert (tmp_path / "out" / "model.bin").read_bytes() == POINTER.text
    entry = files.find(space.pk, sha, "model.bin")
    assert entry is not None
    assert (entry.pointer, entry.size) == (None, len(POINTER.text))
    assert files.read(space.pk, sha, entry) == POINTER.text


def test_one_object_at_many_paths_fills_no_build(space: Space, tmp_path: Path, settings: Any) -> None:
    add(space)
    sha = commits.create(space, author="alice", files={f"{n}.bin": POINTER.text for n in range(5)})
    settings.SPACEPORT_LFS_SPACE_LIMIT_BYTES = 4 * len(CONTENT)
    with pytest.raises(TooMuch, match="large files have more than 32,000 bytes"):
        export(space, sha, tmp_path / "out")


@pytest.mark.parametrize(
    "text",
    [
        POINTER.text.replace(b"v1", b"v2"), POINTER.text.replace(b"\n", b"\r\n"), POINTER.text + b"\n",
        POINTER.text.replace(b"size ", b"size 0"), POINTER.text.upper(), b"x" * len(POINTER.text),
    ],
)  # fmt: skip
def test_what_is_not_exactly_a_pointer_is_an_ordinary_file(text: bytes) -> None:
    assert parsed(text) is None


def test_a_pointer_is_read_as_it_is_written() -> None:
    for size in (0, 1, 10**14):
        assert parsed(Pointer(POINTER.oid, size).text) == Pointer(POINTER.oid, size)


# --- collection -------------------------------------------------------------------------------------


def test_an_object_goes_after_a_while_when_no_space_has_it(space: Space) -> None:
    add(space)
    copied = new_space("copy")
    holdings.copy(space.pk, copied.pk)
    path = store.path_of(POINTER.oid)
    age(path)
    lifecycle.delete(space)
    housekeeping.forget_old_rows()
    assert path.exists()
    lifecycle.delete(copied)
    os.utime(path)
    housekeeping.forget_old_rows()
    assert path.exists()  # it came just now: its first commit may be on the way
    age(path)
    housekeeping.forget_old_rows()
    assert not path.exists()
    assert LargeFile.objects.count() == 0


def test_a_space_lets_go_of_what_nothing_points_at(space: Space) -> None:
    """But not of what a branch, a tag or a version that can be gone back to has, nor of what just came."""
    named = ("main", "tagged", "version", "never committed", "just now")
    large = {name: add(space, name.encode()) for name in named}
    first = commits.create(space, author="alice", files={"m.bin": large["tagged"].text})
    references.create_tag(space.pk, "v1", first)

    def push(pointer: Pointer) -> str:
        changes = commits.Changes(space.pk)
        changes.add("m.bin", pointer.text)
        return changes.commit("next", author="alice")

    built = push(large["version"])
    for sha in (built, "0" * 40):  # and one whose commit is gone
        Build.objects.create(space=space, sha=sha, status="succeeded", artifact={"runtime": "process"})
    push(large["main"])
    commits.squash(space.pk, "main", "all in one", author="alice")
    old = timezone.now() - timedelta(seconds=collection.GRACE_S + 1)
    LargeFile.objects.exclude(oid=large["just now"].oid).update(held_at=old)
    assert release(space) == 1
    kept = holdings.sizes(space.pk, (pointer.oid for pointer in large.values()))
    assert kept.keys() == {large[name].oid for name in named if name != "never committed"}
    references.delete_tag(space.pk, "v1")
    assert release(space) == 1
    assert large["tagged"].oid not in holdings.sizes(space.pk, [large["tagged"].oid])
    assert holdings.borrow(space.pk, None, large["main"])  # somebody sends it again, or commits it
    references.create_branch(space.pk, "other", built)


def test_what_is_asked_for_now_is_held_as_if_it_came_now(space: Space) -> None:
    pointer = add(space)
    commits.create(space, author="alice", files={"a": b"x"})
    LargeFile.objects.update(held_at=timezone.now() - timedelta(seconds=collection.GRACE_S + 1))
    assert holdings.borrow(space.pk, None, pointer)
    assert release(space) == 0
    assert holdings.has(space.pk, pointer)


def test_nothing_is_let_go_of_while_somebody_writes(space: Space) -> None:
    add(space)
    commits.create(space, author="alice", files={"a": b"x"})
    LargeFile.objects.update(held_at=timezone.now() - timedelta(seconds=collection.GRACE_S + 1))
    with locks.writer(repository.folder_of(space.pk)):
        assert release(space) == 0
    assert release(space) == 1


def test_each_space_has_its_hour(space: Space) -> None:
    add(space)
    commits.create(space, author="alice", files={"a": b"x"})
    LargeFile.objects.update(held_at=timezone.now() - timedelta(days=2))
    for hour in range(24):
        release_all(hour)
    assert holdings.used(space.pk) == 0


def test_what_never_arrived_goes_after_a_while(space: Space) -> None:
    (old := store.spool() / "1-old").write_bytes(b"x")
    (new := store.spool() / "1-new").write_bytes(b"x")
    age(old)
    collection.collect()
    assert (old.exists(), new.exists()) == (False, True)


# --- room -------------------------------------------------------------------------------------------


def test_a_full_disk_is_refused_before_it_is_full(space: Space, settings: Any) -> None:
    free = shutil.disk_usage(store.home()).free
    settings.SPACEPORT_LFS_FREE_BYTES = free - 10 * 1000**2
    store.check_room(1000, space.pk)
    with pytest.raises(Refused, match="no room for 100,000,000 more bytes") as refused:
        store.check_room(100 * 1000**2, space.pk)
    assert refused.value.status == 507
    with Incoming(space.pk, "0" * 64, 10**6) as incoming:
        settings.SPACEPORT_LFS_FREE_BYTES = free * 2  # others filled it meanwhile
        incoming.write(b"x")
        incoming._checked -= store.CHECK_EVERY_BYTES
        with pytest.raises(Refused, match="no room"):
            incoming.write(b"x")
    assert list(store.spool().iterdir()) == []


def test_what_is_on_its_way_is_bounded_for_all_and_for_each_space(space: Space, settings: Any) -> None:
    other = new_space("other")
    (store.spool() / f"{space.pk}-x").write_bytes(b"x" * 100_000)
    settings.SPACEPORT_LFS_SPACE_LIMIT_BYTES = 150_000
    with pytest.raises(Refused, match="to this Space") as refused:
        store.check_room(100_000, space.pk)
    assert refused.value.status == 507
    store.check_room(100_000, other.pk)
    settings.SPACEPORT_LFS_SPOOL_LIMIT_BYTES = 150_000
    with pytest.raises(Refused, match="on their way here"):
        store.check_room(100_000, other.pk)


def test_a_space_holds_so_much_and_no_more(space: Space, settings: Any) -> None:
    add(space)
    settings.SPACEPORT_LFS_SPACE_LIMIT_BYTES = 2 * len(CONTENT)
    add(space)  # what it has counts once
    add(space, CONTENT[::-1])
    with pytest.raises(Refused, match="would have 24,000; at most 16,000") as refused:
        add(space, CONTENT[1:] + b"y")
    assert refused.value.status == 413
    assert holdings.used(space.pk) == 2 * len(CONTENT)


def test_an_upload_that_ends_after_its_space_was_deleted_is_refused(space: Space) -> None:
    number = space.pk
    space.delete()
    with pytest.raises(Refused, match="does not exist any more"), store.adding():
        holdings.add(number, POINTER)


def test_an_address_says_how_much_may_be_sent_there() -> None:
    given = addresses.grant("put", 1, POINTER.oid, 5)
    assert addresses.read(addresses.address(given)) == given
    assert addresses.largest_body(addresses.address(given)) == 5
    assert addresses.largest_body(addresses.address(given) + "x") == 0
    assert addresses.largest_body("/_lfs/") == 0
