"""Owners' Markdown: cleaned, and formatted once, within bounds; what is beyond them is shown as text."""

from __future__ import annotations

import pytest
from django.core.cache import cache
from django.test import Client
from markdown_it import MarkdownIt

from spaces.views import prose
from spaces.views.prose import markdown
from tests.people import People
from tests.spaces.pages import folks, space_of, text_of

__all__ = ["folks"]
pytestmark = pytest.mark.django_db


@pytest.fixture
def formatted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that are formatted; none was before."""
    cache.clear()
    texts: list[str] = []
    render = MarkdownIt.render

    def noted(parser: MarkdownIt, text: str) -> str:
        texts.append(text)
        return str(render(parser, text))

    monkeypatch.setattr(MarkdownIt, "render", noted)
    return texts


def test_markdown_is_cleaned() -> None:
    assert str(markdown("**a** <b onclick=x>b</b>")).startswith("<p><strong>a</strong>")
    assert "<b" not in str(markdown("<b onclick=x>b</b>"))
    assert "<a" not in str(markdown("[x](javascript:1)"))


def test_a_file_is_formatted_once_for_all_who_look(folks: People, formatted: list[str]) -> None:
    space_of(folks, files={"README.md": b"# Hi\n", "copy.md": b"# Hi\n"})
    for path in ("", "", "/README.md", "/copy.md"):
        assert "<h1>Hi</h1>" in text_of(Client().get(f"/lab/demo/files{path}"))
    assert len(formatted) == 1


def test_a_large_readme_is_shown_as_text(folks: People, formatted: list[str]) -> None:
    space_of(folks, files={"README.md": b"[" * 262_000})
    for path in ("/lab/demo/files", "/lab/demo/files/README.md"):
        assert "[" * 262_000 in text_of(Client().get(path))
    assert formatted == []


def test_markdown_that_unfolds_is_shown_as_text_and_not_formatted_again(
    folks: People, formatted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prose, "HTML_BYTES", 100)
    space_of(folks, files={"README.md": b">>>>>>>>>>a\n\n" * 20})
    for _ in range(2):
        assert "&gt;&gt;a" in text_of(Client().get("/lab/demo/files"))
    assert len(formatted) == 1


def test_brackets_and_quotes_nest_only_so_deep() -> None:
    html = markdown(">" * 90 + "a\n")
    assert html.count("<blockquote>") <= prose.NESTING


def test_one_owner_has_so_much_formatted_in_a_minute(
    folks: People, formatted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prose, "OWNER_BYTES", 12)
    files = {f"{n}/README.md": b"# Hi %d\n" % n for n in range(3)}
    space_of(folks, files=files)
    space_of(folks, "another", files=files)
    shown = [text_of(Client().get(f"/lab/demo/files/{n}")) for n in range(3)]
    assert ["<h1>Hi" in text for text in shown] == [True, False, False]
    assert "# Hi 2" in shown[2]
    assert "<h1>Hi" in text_of(Client().get("/lab/another/files/0"))
    assert "<h1>Hi" not in text_of(Client().get("/lab/another/files/1"))
    assert len(formatted) == 1


def test_front_matter_alone_is_no_readme(folks: People, formatted: list[str]) -> None:
    space_of(folks, files={"README.md": b"---\ntitle: hidden\n---\n"})
    assert "title: hidden" not in text_of(Client().get("/lab/demo/files"))
