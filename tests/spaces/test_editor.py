"""A file is edited on its page: what is saved, by whom, and what happens when others change it too."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest

from spaces.git import commits, repository
from spaces.lfs import files
from spaces.models import Space
from tests.people import People
from tests.spaces.pages import as_, folks, space_of, text_of

__all__ = ["folks"]
pytestmark = pytest.mark.django_db(transaction=True)

AWKWARD = "\n\n<b>&amp;</b> '\"\n\ttab\n</textarea>\nno end"


@pytest.fixture
def space(folks: People) -> Space:
    space = space_of(folks)
    commit(space, {"app.py": b"one\n", "dos.txt": b"a\r\nb\r\n", "x.bin": b"\0\xff", "latin.txt": b"\xe9"})
    return space


def commit(space: Space, content: dict[str, bytes]) -> None:
    changes = commits.Changes(space.pk)
    for path, text in content.items():
        changes.add(path, text)
    space.sha = changes.commit("others", author="bob")
    space.save()


def opened(folks: People, space: Space, path: str) -> dict[str, str]:
    """What the form holds."""
    page = text_of(as_(folks.alice).get(f"/{space}/edit/{path}"))
    area = re.search(r"<textarea[^>]*>\n(.*?)</textarea>", page, re.DOTALL)
    parent = re.search(r'name="parent" value="(\w*)"', page)
    assert area is not None
    assert parent is not None
    return {"text": html.unescape(area[1]), "parent": parent[1]}


def save(folks: People, space: Space, path: str, form: dict[str, str]) -> Any:
    as_browsers_do = form | {"text": form["text"].replace("\r\n", "\n").replace("\n", "\r\n")}
    return as_(folks.alice).post(f"/{space}/edit/{path}", as_browsers_do)


def content(space: Space, path: str) -> bytes | None:
    return repository.read_blob(space.pk, repository.head(space), path)


def test_what_is_saved_is_a_commit_of_its_author(folks: People, space: Space) -> None:
    form = opened(folks, space, "app.py") | {"message": "Count on"}
    answer = save(folks, space, "app.py", form | {"text": "two\n"})
    assert (answer.status_code, answer["Location"]) == (302, f"/{space}/files/app.py")
    assert content(space, "app.py") == b"two\n"
    [last] = repository.log(space.pk, repository.head(space), limit=1)
    assert (last.title, last.author) == ("Count on", "alice")
    space.refresh_from_db()
    assert space.sha == last.oid, "and it is built as a push is"


@pytest.mark.parametrize("text", [AWKWARD, "", "\n", "one"])
def test_text_comes_back_as_it_was(folks: People, space: Space, text: str) -> None:
    commit(space, {"x.md": text.encode()})
    form = opened(folks, space, "x.md")
    assert form["text"] == text
    save(folks, space, "x.md", form)
    assert content(space, "x.md") == text.encode()


def test_ends_of_lines_stay_what_they_were(folks: People, space: Space) -> None:
    form = opened(folks, space, "dos.txt")
    save(folks, space, "dos.txt", form | {"text": form["text"] + "c\n"})
    assert content(space, "dos.txt") == b"a\r\nb\r\nc\r\n"


def test_a_file_is_made(folks: People, space: Space) -> None:
    answer = as_(folks.alice).get(f"/{space}/edit", {"path": " /lib/new one.py"})
    assert answer["Location"] == f"/{space}/edit/lib/new%20one.py"
    save(folks, space, "lib/new one.py", {"text": "new\n", "parent": space.sha})
    assert content(space, "lib/new one.py") == b"new\n"


def test_another_files_change_is_kept(folks: People, space: Space) -> None:
    form = opened(folks, space, "app.py")
    commit(space, {"other.py": b"theirs"})
    assert save(folks, space, "app.py", form | {"text": "mine\n"}).status_code == 302
    assert (content(space, "app.py"), content(space, "other.py")) == (b"mine\n", b"theirs")


@pytest.mark.parametrize("parent", ["as shown", "", "0" * 40, "no commit"])
def test_the_same_files_change_is_not_lost_unseen(folks: People, space: Space, parent: str) -> None:
    form = opened(folks, space, "app.py") | {"text": "mine\n"}
    if parent != "as shown":
        form["parent"] = parent
    commit(space, {"app.py": b"theirs"})
    answer = save(folks, space, "app.py", form)
    assert answer.status_code == 422
    assert "Somebody changed this file" in text_of(answer)
    assert content(space, "app.py") == b"theirs"
    again = re.search(r'name="parent" value="(\w*)"', text_of(answer))
    assert again is not None
    save(folks, space, "app.py", form | {"parent": again[1]})
    assert content(space, "app.py") == b"mine\n", "who saves again has seen it"


def test_a_large_file_stays_one(folks: People, space: Space) -> None:
    commit(space, {".gitattributes": b"*.csv filter=lfs diff=lfs merge=lfs -text\n"})
    save(folks, space, "a.csv", {"text": "1,2\n", "parent": space.sha})
    assert (content(space, "a.csv") or b"").startswith(b"version https://git-lfs")
    entry = files.find(space.pk, repository.head(space), "a.csv")
    assert entry is not None
    assert (entry.size, opened(folks, space, "a.csv")["text"]) == (4, "1,2\n")


@pytest.mark.parametrize("path", ["x.bin", "latin.txt", ".git/config", "a/../../b"])
def test_what_cannot_be_edited_is_not(folks: People, space: Space, path: str) -> None:
    assert as_(folks.alice).get(f"/{space}/edit/{path}").status_code == 404
    assert save(folks, space, path, {"text": "x", "parent": space.sha}).status_code == 404


def test_too_much_text_is_refused_and_not_lost(folks: People, space: Space) -> None:
    answer = save(folks, space, "app.py", {"text": "x" * 600_000, "parent": space.sha})
    assert answer.status_code == 422
    assert "600,000 bytes" in text_of(answer)
    assert "x" * 600_000 in text_of(answer)


def test_strangers_and_readers_edit_nothing(folks: People, space: Space) -> None:
    for user in (folks.charlie, folks.reader):
        assert as_(user).get(f"/{space}/edit/app.py").status_code == 404
        answer = as_(user).post(f"/{space}/edit/app.py", {"text": "x", "parent": space.sha})
        assert answer.status_code == 404
        assert f"/{space}/edit" not in text_of(as_(user).get(f"/{space}/files/app.py"))
    assert content(space, "app.py") == b"one\n"
