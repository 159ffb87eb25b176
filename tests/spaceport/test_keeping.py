"""Backups that are refused and restores that are refused: a sentence, and nothing changed; and what both do
with files, rows and Redis."""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import threading
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from django.utils import timezone

from accounts.models import Owner, User
from hardware.models import Node, Replica
from infra.folders import installation
from spaceport.keeping import backup, database, parts, restored, secret_key
from spaceport.keeping.manifest import Manifest, Part, Refused
from spaceport.keeping.restore import Restore
from spaceport.up.embedded import HALF_RESTORED
from spaces.git import commits, locks, repository
from spaces.lfs import collection, store
from spaces.lfs.pointers import Pointer
from spaces.models import LargeFile, Secret, Space, Stage, Webhook

Disk = namedtuple("Disk", "total used free")
KEY, WRONG = "the right key", "another key"
CONTENT = b"what was written" * 1000
_numbers = itertools.count(5)


@pytest.fixture
def home(settings: Any, tmp_path: Path) -> Path:
    settings.SPACEPORT_HOME = tmp_path / "home"
    settings.SPACEPORT_RUNTIME = "process"
    settings.SPACEPORT_HOME.mkdir()
    return settings.SPACEPORT_HOME  # type: ignore[no-any-return]


def quiet(_: str) -> None:
    pass


# --- a restore that is refused ----------------------------------------------------------------------


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The beginning of a backup: enough to be refused."""
    folder = tmp_path / "backup"
    folder.mkdir()
    (folder / "database.dump").write_bytes(CONTENT)
    written(folder)
    return folder


def written(folder: Path, **changes: Any) -> None:
    about: dict[str, Any] = {
        "version": "0.1.0", "made_at": "2026-11-29T08:00:00+00:00", "installation": "abcd1234",
        "migrations": {"spaces": ["0001_initial"]}, "key_check": secret_key.check(KEY, "abcd1234"),
        "secrets": {"alice/demo": ["TOKEN", "WORD"]}, "home_bytes": 1000, "redis_db": 0,
        "parts": [part("database.dump", CONTENT)], **changes,
    }  # fmt: skip
    Manifest(**about).write(folder)


def part(file: str, content: bytes) -> Part:
    return Part(file=file, size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


def restoring(source: Path, **changes: Any) -> Restore:
    environ = changes.pop("environ", {"SPACEPORT_SECRET_KEY": KEY})
    return Restore(**{"source": source, "home": source.parent / "new", "environ": environ, "report": quiet,
                      **changes})  # fmt: skip


def no_backup(source: Path) -> Restore:
    (source / "manifest.json").unlink()
    return restoring(source)


def a_damaged_manifest(source: Path) -> Restore:
    (source / "manifest.json").write_text('{"format": 1, "par')
    return restoring(source)


def a_later_form(source: Path) -> Restore:
    written(source, format=2)
    return restoring(source)


def a_newer_version(source: Path) -> Restore:
    written(source, version="9.0", migrations={"spaces": ["0001_initial", "9999_later"]})
    return restoring(source)


def no_key(source: Path) -> Restore:
    return restoring(source, environ={})


def a_key_that_does_not_fit(source: Path) -> Restore:
    return restoring(source, environ={"SPACEPORT_SECRET_KEY": WRONG})


def a_home_that_is_not_empty(source: Path) -> Restore:
    home = source.parent / "full"
    home.mkdir()
    (home / "installation").write_text("12345678")
    return restoring(source, home=home)


def too_little_room(source: Path) -> Restore:
    written(source, home_bytes=10**18)
    return restoring(source)


def a_part_that_changed(source: Path) -> Restore:
    (source / "database.dump").write_bytes(CONTENT[:-1] + b"!")
    return restoring(source)


def a_part_that_is_cut_off(source: Path) -> Restore:
    (source / "database.dump").write_bytes(CONTENT[:-1])
    return restoring(source)


def a_part_that_is_missing(source: Path) -> Restore:
    (source / "database.dump").unlink()
    return restoring(source)


def a_database_that_is_not_empty(source: Path) -> Restore:
    url = os.environ["DATABASE_URL"]  # of prepared people
    return restoring(source, environ={"SPACEPORT_SECRET_KEY": KEY, "DATABASE_URL": url})


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (no_backup, "is no backup: it has no manifest.json"),
        (a_damaged_manifest, "The manifest.json in .* is damaged"),
        (a_later_form, "was made by Spaceport 0.1.0, which is newer"),
        (a_newer_version, r"newer Spaceport \(9.0\): its database has spaces 9999_later"),
        (no_key, "secret key is missing.*alice/demo: TOKEN, WORD.*--without secrets"),
        (a_key_that_does_not_fit, "secret key is not the one of this backup.*alice/demo: TOKEN, WORD"),
        (a_home_that_is_not_empty, "is not empty.*--replace"),
        (too_little_room, "free; the restored data folder takes 1,000,000,000.0 GB"),
        (a_part_that_changed, "database.dump is not what was written"),
        (a_part_that_is_cut_off, "database.dump is not what was written"),
        (a_part_that_is_missing, "database.dump is missing"),
        (a_database_that_is_not_empty, "The database is not empty"),
    ],
)
def test_a_restore_is_refused_before_anything_is_changed(
    source: Path, made: Callable[[Path], Restore], words: str
) -> None:
    job = made(source)
    before = sorted(job.home.rglob("*")) if job.home.exists() else None
    with pytest.raises(Refused, match=words):
        job.run()
    assert (sorted(job.home.rglob("*")) if job.home.exists() else None) == before


def test_a_restore_that_breaks_off_leaves_a_mark(source: Path) -> None:
    written(source, parts=[part("database.dump", CONTENT), part("repositories.tar", CONTENT)])
    (source / "repositories.tar").write_bytes(CONTENT)
    job = restoring(source)
    with pytest.raises(Refused, match="cannot be unpacked"):
        job.run()
    assert (job.home / HALF_RESTORED).exists()


# --- a backup ---------------------------------------------------------------------------------------


@pytest.fixture
def url() -> str:
    return os.environ["DATABASE_URL"]


def test_a_backup_over_something_is_refused(db: None, home: Path, url: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="home exists"):
        backup.make(home, url, quiet)


def test_a_backup_without_room_is_refused(
    db: None, home: Path, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Disk(1, 1, 1))
    with pytest.raises(Refused, match="has 1 bytes free; the backup takes up to"):
        backup.make(tmp_path / "backup", url, quiet)
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_only_one_backup_is_made_at_a_time(db: None, home: Path, url: str, tmp_path: Path) -> None:
    with backup._alone(home), pytest.raises(Refused, match="Another backup"):
        backup.make(tmp_path / "backup", url, quiet)


def test_the_key_is_never_put_into_the_backup(db: None, home: Path, url: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="Keep the secret key apart"):
        backup.make(tmp_path / "backup", url, quiet, tmp_path / "backup" / "key")


def test_a_backup_that_fails_leaves_nothing(db: None, home: Path, url: str, tmp_path: Path) -> None:
    (home / "repositories" / "1.git" / "refs").mkdir(parents=True)
    said: list[str] = []

    def full(text: str) -> None:
        said.append(text)
        if text.startswith("repositories"):
            raise OSError(28, "No space left on device")

    with pytest.raises(Refused, match=r"cannot be written: .*No space left"):
        backup.make(tmp_path / "backup", url, full)
    assert [text.partition(":")[0] for text in said] == ["database.dump", "redis.rdb", "repositories.tar"]
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_a_backup_says_what_it_is_and_checks(db: None, home: Path, url: str, tmp_path: Path) -> None:
    (tmp_path / "backup.unfinished" / "of a killed one").mkdir(parents=True)
    Node.objects.create(name="far", runtime="docker", place="another engine", heartbeat_at=timezone.now())
    said: list[str] = []
    backup.make(tmp_path / "backup", url, said.append, tmp_path / "key")
    found = Manifest.read(tmp_path / "backup")
    assert found.installation == installation(home)
    assert secret_key.fits((tmp_path / "key").read_text(), found)
    assert (tmp_path / "key").stat().st_mode & 0o77 == 0
    parts.verify(tmp_path / "backup", found, quiet)
    assert any("on the node far is kept there and not in this backup" in text for text in said)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup", "home", "key"]


# --- what fits together -----------------------------------------------------------------------------


@pytest.fixture
def space(db: None, home: Path) -> Space:
    owner = Owner.objects.create(name="alice")
    return Space.objects.create(owner=owner, name="demo", subdomain="alice-demo", stage=Stage.RUNNING)


def test_nothing_is_removed_from_the_store_while_it_is_copied(db: None, home: Path) -> None:
    path = store.path_of("a" * 64)
    path.parent.mkdir(parents=True)
    path.touch()
    later = path.stat().st_mtime + collection.GRACE_S + 1
    with store.kept():
        assert collection.collect(later) == 0
    assert collection.collect(later) == 1


def test_a_repository_is_copied_while_nobody_writes_to_it(space: Space) -> None:
    commits.create(space, author="alice", files={"app.py": b"1"})
    folder, wrote = repository.folder_of(space.pk), threading.Event()

    def write() -> None:
        with locks.writer(folder):
            wrote.set()

    waits = threading.Thread(target=write, daemon=True)
    with locks.alone(folder):
        waits.start()
        assert not wrote.wait(0.1)
    assert wrote.wait(10)


def test_a_commit_that_came_after_the_rows_is_taken_in_with_its_large_file(space: Space) -> None:
    content = b"large"
    oid = hashlib.sha256(content).hexdigest()
    target = store.path_of(oid)
    target.parent.mkdir(parents=True)
    target.write_bytes(content)
    pointer = Pointer(oid, len(content))
    sha = commits.create(space, author="alice", files={"app.py": b"1", "m.bin": pointer.text})
    said: list[str] = []
    restored.finish_pushes(said.append)
    space.refresh_from_db()
    assert space.sha == sha
    assert space.builds.get().sha == sha
    assert [row.oid for row in space.large_files.all()] == [oid]
    assert said == [f"alice/demo got {sha[:7]} while the backup was made"]


def test_a_space_without_its_repository_was_deleted(space: Space) -> None:
    restored.drop_deleted(quiet)
    assert not Space.objects.exists()


def test_nobody_is_sent_where_a_replica_was(space: Space) -> None:
    node = Node.objects.create(name="old", runtime="process", heartbeat_at=timezone.now())
    about: dict[str, Any] = {
        "space": space, "tier": "cpu", "spec": {}, "node": node, "state": "ready", "address": "x:1"
    }  # fmt: skip
    runs = Replica.objects.create(**about)
    aside = Replica.objects.create(**about, set_aside_at=timezone.now())
    space.replica = runs
    space.save()
    restored.take_off_nodes()
    for row, state, wanted in ((runs, "pending", True), (aside, "stopped", False)):
        row.refresh_from_db()
        assert (row.state, row.wanted, row.address, row.node) == (state, wanted, "", None)


def test_without_their_key_secrets_go_and_spaces_are_built_again(space: Space, settings: Any) -> None:
    commits.create(space, author="alice", files={"app.py": b"1"})
    Secret.objects.create(space=space, key="WORD", value="kept")
    Replica.objects.create(space=space, tier="cpu", spec={"env": {"WORD": "kept"}}, state="ready")
    user = User.objects.create(username="alice")
    Webhook.objects.create(user=user, url="http://x", watched=[], domains=[], secret="kept")
    settings.SECRET_KEY = WRONG
    restored.drop_secrets()
    restored.build_again()
    assert (Secret.objects.count(), Replica.objects.count(), Webhook.objects.get().secret) == (0, 0, None)
    assert space.builds.count() == 1


def test_a_large_file_that_is_missing_is_said(space: Space) -> None:
    LargeFile.objects.create(space=space, oid="b" * 64, size_bytes=5)
    said: list[str] = []
    restored.report_missing(said.append)
    assert said == [f"alice/demo: the large file {'b' * 64} is missing"]


# --- the servers ------------------------------------------------------------------------------------


def test_the_database_comes_back_or_not_at_all(tmp_path: Path, url: str) -> None:
    with parts.Writing(tmp_path, "database.dump", quiet) as into:
        database.dump(url, into)
    assert into.part == part("database.dump", (tmp_path / "database.dump").read_bytes())
    name = f"restored_{os.getpid()}_{next(_numbers)}"
    target = url.replace("/spaceport?", f"/{name}?")
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(f"create database {name} template template0")
        try:
            assert database.is_empty(target)
            broken = tmp_path / "broken.dump"
            broken.write_bytes((tmp_path / "database.dump").read_bytes()[:-5000])
            with pytest.raises(Refused, match="The database cannot be restored"):
                database.load(target, broken, replace=False)
            assert database.is_empty(target)
            for again in (False, True):
                database.load(target, tmp_path / "database.dump", replace=again)
                assert not database.is_empty(target)
            assert not database.nodes_up(target)
        finally:
            cursor.execute(f"drop database {name} with (force)")
    connection.close()


def test_what_is_on_a_command_line_has_no_password() -> None:
    where, env = database._to("postgresql://spaceport:hidden@db.example.org/spaceport?sslmode=require")
    assert "hidden" not in where
    assert env["PGPASSWORD"] == "hidden"
    assert "sslmode=require" in where
