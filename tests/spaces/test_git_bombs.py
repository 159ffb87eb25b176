"""What is small when it is sent and large when it is looked at: refused at the push, before any branch points
at it, in words that `git push` shows; where an earlier version took it, it can be read, in bounded time."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import requests

from spaces.git import bounds
from tests.hub_server import UPLOAD_LIMIT, Hub

pytestmark = pytest.mark.long


@pytest.fixture
def work(hub: Hub, space: str, tmp_path: Path) -> Path:
    """A clone of alice's Space, whose `git push` goes there."""
    folder = tmp_path / "work"
    assert hub.git("clone", hub.remote(space, "alice"), str(folder)).returncode == 0
    return folder


def made(folder: Path, kind: str, content: bytes) -> str:
    """The id of an object with this content, whatever it is."""
    command = ["git", "hash-object", "-w", "--literally", "-t", kind, "--stdin"]
    done = subprocess.run(command, cwd=folder, input=content, capture_output=True, check=True)
    return done.stdout.decode().strip()


def tree(folder: Path, *entries: tuple[str, str, str]) -> str:
    """A folder of (mode, name, id)."""
    ordered = sorted(entries, key=lambda e: e[1] + ("/" if e[0] == "40000" else ""))
    raw = b"".join(f"{mode} {name}".encode() + b"\0" + bytes.fromhex(oid) for mode, name, oid in ordered)
    return made(folder, "tree", raw)


def paths_bomb(folder: Path) -> str:
    """Six folders that are a million paths."""
    blob = made(folder, "blob", b"x")
    inside = tree(folder, *(("100644", f"f{n}", blob) for n in range(10)))
    for _ in range(5):
        inside = tree(folder, *(("40000", f"d{n}", inside) for n in range(10)))
    return inside


def deep(folder: Path) -> str:
    inside = tree(folder, ("100644", "f", made(folder, "blob", b"x")))
    for _ in range(bounds.DEPTH + 2):
        inside = tree(folder, ("40000", "d", inside))
    return inside


def long_path(folder: Path) -> str:
    inside = tree(folder, ("100644", "f", made(folder, "blob", b"x")))
    for _ in range(8):
        inside = tree(folder, ("40000", "d" * 150, inside))
    return inside


def zeros(folder: Path) -> str:
    return tree(folder, ("100644", "zeros", made(folder, "blob", bytes(UPLOAD_LIMIT + 1))))


def repeated_zeros(folder: Path) -> str:
    """One file of the allowed size, a thousand times."""
    blob = made(folder, "blob", bytes(UPLOAD_LIMIT - 1))
    return tree(folder, *(("100644", f"z{n}", blob) for n in range(1000)))


def long_name(folder: Path) -> str:
    return tree(folder, ("100644", "n" * 250, made(folder, "blob", b"x")))


def many_files(folder: Path) -> str:
    blob = made(folder, "blob", b"x")
    return tree(folder, *(("100644", f"{n:06}", blob) for n in range(bounds.PATHS + 1)))


BOMBS = {
    "paths": (paths_bomb, "files and folders"),
    "depth": (deep, "deep"),
    "a long path": (long_path, "path of more than"),
    "a large file": (zeros, "at most 3,000,000 are taken"),
    "a file many times": (repeated_zeros, "together, unpacked"),
    "a long name": (long_name, "name of more than"),
    "files": (many_files, "files and folders"),
}


def committed(hub: Hub, folder: Path, root: str) -> str:
    done = hub.git("commit-tree", root, "-m", "bomb", "-p", "HEAD", cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_at_the_push(hub: Hub, space: str, work: Path, name: str) -> None:
    make, words = BOMBS[name]
    bomb = committed(hub, work, make(work))
    refused = hub.git("push", "origin", f"{bomb}:refs/heads/main", cwd=work)
    assert refused.returncode != 0
    assert "Spaceport does not keep this" in refused.stderr, refused.stderr
    assert words in refused.stderr
    # Nothing of it is left, neither by its id nor on disk.
    assert hub.call("GET", f"/api/spaces/{space}/revision/{bomb}", "alice").status_code == 404
    (number,) = hub.sql("select id from spaces_space where name = %s", space.split("/")[1])[0]
    objects = hub.home / "repositories" / f"{number}.git" / "objects"
    assert sum(p.stat().st_size for p in objects.rglob("*") if p.is_file()) < 100_000


def test_a_bomb_hidden_in_the_history_is_found(hub: Hub, work: Path) -> None:
    bomb = committed(hub, work, paths_bomb(work))
    clean = hub.git("rev-parse", "HEAD^{tree}", cwd=work).stdout.strip()
    above = hub.git("commit-tree", clean, "-m", "harmless", "-p", bomb, cwd=work).stdout.strip()
    assert hub.git("push", "origin", f"{above}:refs/heads/main", cwd=work).returncode != 0
    assert hub.git("push", "origin", f"{bomb}:refs/heads/aside", cwd=work).returncode != 0
    hub.git("tag", "-a", "t", "-m", "t", bomb, cwd=work)
    assert hub.git("push", "origin", "t", cwd=work).returncode != 0


def test_a_folder_added_to_one_that_is_there_counts_with_it(hub: Hub, work: Path) -> None:
    """Only what is new is sent; what is there already counts too."""
    blob = made(work, "blob", b"x")
    half = tree(work, *(("100644", f"{n:06}", blob) for n in range(bounds.PATHS // 2)))
    first = committed(hub, work, tree(work, ("40000", "a", half)))
    done = hub.git("push", "origin", f"{first}:refs/heads/main", cwd=work)
    assert done.returncode == 0, done.stderr
    second = committed(hub, work, tree(work, ("40000", "a", half), ("40000", "b", half)))
    assert hub.git("push", "-f", "origin", f"{second}:refs/heads/main", cwd=work).returncode != 0


def test_only_so_many_branches_and_tags_and_nothing_else(hub: Hub, space: str, work: Path) -> None:
    for name in ("refs/notes/x", "refs/pull/1/head", "refs/x"):
        refused = hub.git("push", "origin", f"HEAD:{name}", cwd=work)
        assert "Only branches and tags" in refused.stderr, refused.stderr
    many = [f"HEAD:refs/tags/t{n}" for n in range(bounds.REFS)]
    assert "at most 1,000 branches and tags" in hub.git("push", "origin", *many, cwd=work).stderr
    assert hub.git("push", "origin", *many[:-1], cwd=work).returncode == 0
    answer = hub.call("POST", f"/api/spaces/{space}/branch/more", "alice", json={})
    assert answer.status_code == 400, answer.text
    assert "1,000" in answer.json()["error"]


def test_a_delta_that_unfolds_without_end_costs_git_alone(hub: Hub, space: str, work: Path) -> None:
    """A pack of a few kilobytes whose object would have gigabytes."""
    pack = work / "bomb.pack"
    pack.write_bytes(delta_bomb(12_000_000_000))
    commands = b"0" * 40 + b" " + b"1" * 40 + b" refs/heads/x\0report-status\n"
    body = f"{len(commands) + 4:04x}".encode() + commands + b"0000" + pack.read_bytes()
    headers = {"Content-Type": "application/x-git-receive-pack-request"}
    answer = hub.call("POST", f"/spaces/{space}/git-receive-pack", "alice", data=body, headers=headers)
    assert answer.status_code == 200
    assert b"unpack ok" not in answer.content
    assert hub.call("GET", f"/api/spaces/{space}").status_code == 200


def delta_bomb(size: int) -> bytes:
    """A pack of one blob and one delta that repeats it until it has so many bytes."""
    import hashlib
    import struct
    import zlib

    base = os.urandom(0xFFFF)

    def header(kind: int, length: int) -> bytes:
        byte, length = (kind << 4) | (length & 15), length >> 4
        out = b""
        while length:
            out, byte, length = out + bytes([byte | 0x80]), length & 0x7F, length >> 7
        return out + bytes([byte])

    def varint(number: int) -> bytes:
        out = b""
        while number > 0x7F:
            out, number = out + bytes([number & 0x7F | 0x80]), number >> 7
        return out + bytes([number])

    copies = size // 0xFFFF
    delta = varint(len(base)) + varint(copies * 0xFFFF) + b"\xb0\xff\xff" * copies
    oid = hashlib.sha1(b"blob %d\0" % len(base) + base, usedforsecurity=False).digest()
    body = b"PACK" + struct.pack(">II", 2, 2)
    body += header(3, len(base)) + zlib.compress(base)
    body += header(7, len(delta)) + oid + zlib.compress(delta, 9)
    return body + hashlib.sha1(body, usedforsecurity=False).digest()


# --- from before --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["paths", "a large file", "depth", "files"])
def test_a_bomb_from_before_can_be_read_within_bounds(hub: Hub, space: str, work: Path, name: str) -> None:
    bomb = committed(hub, work, BOMBS[name][0](work))
    (number,) = hub.sql("select id from spaces_space where name = %s", space.split("/")[1])[0]
    there = hub.home / "repositories" / f"{number}.git"
    subprocess.run(["git", "push", "-q", there, f"{bomb}:refs/heads/main"], cwd=work, check=True)
    hub.sql("update spaces_space set sha = %s where id = %s", bomb, number)
    for path in (
        f"/api/spaces/{space}", f"/api/spaces/{space}?blobs=true",
        f"/api/spaces/{space}/tree/main?recursive=true",
        f"/api/spaces/{space}/tree/main?recursive=true&expand=true", f"/{space}/files",
    ):  # fmt: skip
        answer = hub.call("GET", path)  # ends within the client's 30 s
        assert answer.status_code == 200, (path, answer.text)
        assert len(answer.content) < 20_000_000
    if name == "a large file":
        assert hub.process is not None
        before = resident(hub)
        with requests.get(f"{hub.url}/spaces/{space}/resolve/main/zeros", stream=True, timeout=30) as answer:
            assert sum(map(len, answer.iter_content(65536))) == UPLOAD_LIMIT + 1
        assert hub.call("GET", f"/{space}/files/zeros").status_code == 200
        assert resident(hub) - before < 50_000_000


def resident(hub: Hub) -> int:
    assert hub.process is not None
    return int(Path(f"/proc/{hub.process.pid}/statm").read_text().split()[1]) * 4096
