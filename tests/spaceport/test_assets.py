"""Static files of pages: named by a hash of their content, kept by browsers for ever, compressed ahead."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
import requests
from django.contrib.staticfiles.storage import staticfiles_storage

from spaceport.web import assets
from tests.hub_server import Hub

STYLE = "spaceport/app.css"


def address(web: Hub) -> str:
    """Of the stylesheet that the front page names."""
    found = re.search(
        r'href="(/static/spaceport/app\.[0-9a-f]{12}\.css)"', requests.get(web.url, timeout=30).text
    )
    assert found is not None
    return f"{web.url}{found[1]}"


def test_what_a_page_names_is_kept_for_ever(web: Hub) -> None:
    answer = requests.get(address(web), timeout=30)
    kept = {word.strip() for word in answer.headers["cache-control"].split(",")}
    assert kept == {"public", "immutable", f"max-age={365 * 24 * 3600}"}
    assert answer.headers["content-type"].startswith("text/css")
    again = requests.get(address(web), headers={"If-None-Match": answer.headers["etag"]}, timeout=30)
    assert (again.status_code, again.content) == (304, b"")


def test_it_comes_compressed_as_the_browser_understands_it(web: Hub) -> None:
    sizes, texts = [], set()
    for encoding in ("br", "gzip", "identity"):
        answer = requests.get(address(web), headers={"Accept-Encoding": encoding}, timeout=30)
        assert answer.headers.get("content-encoding", "identity") == encoding
        assert "accept-encoding" in answer.headers["vary"].lower()
        sizes.append(int(answer.headers["content-length"]))
        texts.add(answer.text)
    assert sizes == sorted(sizes)
    assert sizes[1] < sizes[2] / 3
    assert len(texts) == 1


def test_a_plain_name_still_leads_to_the_file(web: Hub) -> None:
    plain = requests.get(f"{web.url}/static/{STYLE}", timeout=30)
    assert plain.text == requests.get(address(web), timeout=30).text
    assert "immutable" not in plain.headers["cache-control"]


@pytest.fixture
def source(settings: Any, tmp_path: Path) -> Path:
    """The only static file there is."""
    folder = tmp_path / "source"
    folder.mkdir()
    settings.STATIC_ROOT = tmp_path / "static"
    settings.STATICFILES_DIRS = [folder]
    settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
    (folder / "page.css").write_text("a { color: red }")
    return folder / "page.css"


def collected(settings: Any) -> set[str]:
    """The names of the stylesheets, once they are collected."""
    assets.collect()
    return {path.name for path in settings.STATIC_ROOT.glob("*.css")}


def test_names_are_plain_until_files_are_collected(settings: Any, source: Path) -> None:
    assert staticfiles_storage.url("page.css") == "/static/page.css"
    [name] = collected(settings)
    assert staticfiles_storage.url("page.css") == f"/static/{name}"
    assert staticfiles_storage.url("no-such.css") == "/static/no-such.css"


def test_files_are_collected_again_only_when_they_changed(
    settings: Any, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = collected(settings)
    with monkeypatch.context() as patch:
        patch.setattr(assets, "call_command", lambda *_, **__: pytest.fail("nothing has changed"))
        assert collected(settings) == before
    source.write_text("a { color: blue; }")
    assert collected(settings) > before, "an open page still names the old one"


def test_files_are_removed_long_after_others_took_their_place(settings: Any, source: Path) -> None:
    before = collected(settings)
    _age(settings, before)
    assert collected(settings) == before, "it is in use"
    source.write_text("a { color: blue; }")
    assert before < collected(settings), "pages that are open name it, however long it was in use"
    _age(settings, before)
    source.write_text("a { color: green; }")
    assert not before & collected(settings)


def _age(settings: Any, names: set[str]) -> None:
    for name in names:
        os.utime(settings.STATIC_ROOT / name, (0, 0))


def test_a_collection_that_somebody_removed_is_made_again(settings: Any, source: Path) -> None:
    before = collected(settings)
    for path in settings.STATIC_ROOT.iterdir():
        path.unlink()
    assert collected(settings) == before
