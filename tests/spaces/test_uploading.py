"""Files, folders and zip archives that are dropped on a page: what becomes of them, and what is refused."""

from __future__ import annotations

import io
import json
import stat
import zipfile
from collections.abc import Callable

import pytest

from spaces.uploading.dropped import BadUpload, placed
from tests.hub_server import Hub
from tests.spaces.browser import Browser

Make = Callable[..., str]
MOST = 10_000


def of(*paths: str, folder: str = "") -> list[str]:
    """Where these files go."""
    return [one.path for one in placed([(path, io.BytesIO(b"x")) for path in paths], folder, most_bytes=MOST)]


def zipped(files: dict[str, str]) -> bytes:
    """An archive of these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return buffer.getvalue()


def unpacked(archive: bytes, *, most_bytes: int = MOST) -> dict[str, str]:
    found = placed([("demo.zip", io.BytesIO(archive))], "", most_bytes=most_bytes)
    found_by_path = {}
    for one in found:
        one.content.seek(0)
        found_by_path[one.path] = one.content.read().decode()
    return found_by_path


def test_a_folder_of_a_space_loses_its_name_and_any_other_keeps_it() -> None:
    assert of("demo/app.py", "demo/img/a.png") == ["app.py", "img/a.png"]
    assert of("img/a.png", "img/b.png") == ["img/a.png", "img/b.png"]
    assert of("app.py", "img/a.png") == ["app.py", "img/a.png"]
    assert of("app.py", folder="deep/down") == ["deep/down/app.py"]


def test_what_nobody_means_is_left_out() -> None:
    left_out = ("demo/.git/config", "demo/__pycache__/a.pyc", "demo/.DS_Store", "demo/node_modules/x/y.js")
    assert of("demo/app.py", *left_out) == ["app.py"]


@pytest.mark.parametrize("path", ["../app.py", "/etc/passwd", "a/../../b", "a\\b", "a\x00b", ".GIT/config"])
def test_a_path_that_leads_out_is_refused(path: str) -> None:
    with pytest.raises(BadUpload):
        of("x.txt", path)
    with pytest.raises(BadUpload):
        of("x.txt", folder=path)


def test_a_zip_archive_is_unpacked() -> None:
    archive = zipped({"demo/app.py": "1", "demo/img/a": "2", "__MACOSX/x": "3"})
    assert unpacked(archive) == {"app.py": "1", "img/a": "2"}


def test_a_hostile_archive_is_refused() -> None:
    with pytest.raises(BadUpload, match="more than 10,000 bytes"):
        unpacked(zipped({"a": "x" * (MOST + 1)}))
    with pytest.raises(BadUpload, match="leads outside"):
        unpacked(zipped({"../../etc": "x"}))
    with pytest.raises(BadUpload, match="cannot be read"):
        unpacked(b"PK no archive")
    with pytest.raises(BadUpload, match="no files"):
        unpacked(zipped({}))
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(BadUpload, match="is a link"):
        unpacked(buffer.getvalue())


def test_an_archive_that_lies_about_its_sizes_gives_no_more_than_it_says() -> None:
    honest = zipped({"a": "x" * MOST})
    liar = honest.replace(MOST.to_bytes(4, "little"), (10).to_bytes(4, "little"))
    assert liar != honest
    with pytest.raises(BadUpload, match="cannot be read"):
        unpacked(liar, most_bytes=100)


def drop(browser: Browser, space: str, files: dict[str, bytes], **fields: str) -> str:
    """The page that follows."""
    token = browser.session.cookies.get("csrftoken") or ""
    answer = browser.session.post(
        f"{browser.hub.url}/{space}/upload",
        data={"csrfmiddlewaretoken": token, "paths": json.dumps(list(files)), **fields},
        files=[("files", (path.rpartition("/")[2], content)) for path, content in files.items()],
        headers={"Origin": browser.hub.url, "Referer": f"{browser.hub.url}/"},
        timeout=60,
    )
    return answer.text


def test_files_of_a_browser_become_a_commit(hub: Hub, space: str) -> None:
    browser = Browser(hub, "alice")
    large = b"\x00" * 3_000_000  # more than an ordinary request
    page = drop(browser, space, {"demo/app.py": b"print(1)", "demo/img/a.bin": large})
    assert "2 files uploaded" in page
    files = hub.api("alice").list_repo_files(space, repo_type="space")
    assert {"app.py", "img/a.bin", "README.md"} <= set(files)
    assert "leads outside the repository" in drop(browser, space, {"../x": b"1"})
    assert "1 file uploaded" in drop(browser, space, {"deep.txt": b"1"}, folder="a/b")
    assert "a/b/deep.txt" in hub.api("alice").list_repo_files(space, repo_type="space")


def test_strangers_upload_nothing(hub: Hub, space: str) -> None:
    before = hub.api("alice").space_info(space).sha
    assert "uploaded" not in drop(Browser(hub, "charlie"), space, {"app.py": b"x"})
    large = {"Content-Length": "3000000", "Content-Type": "multipart/form-data; boundary=x"}
    assert hub.call("POST", f"/{space}/upload", data=b"x" * 3_000_000, headers=large).status_code == 413
    assert hub.api("alice").space_info(space).sha == before
