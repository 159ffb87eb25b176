"""The documents are true of the code: generated tables are fresh, links lead somewhere, paths exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.redis_keys import TABLE
from tests.reference import environment, pages

DOCS = pages.ROOT / "docs"
TEXTS = sorted([*DOCS.rglob("*.md"), *pages.ROOT.glob("*.md")])
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
#: Paths of the code; tests and the launcher's modules may be named from their own folders.
CODE = re.compile(
    r"`((?:\.ci|docker|docs|examples|hardware|platform|queueing|spaces|tests)/[\w./*-]+"
    r"|spaceport_launcher/[\w.]+|\w+/test_[\w*]+\.py|lua/[\w./]+)`"
)
FROM = ("", "tests", "docker/base/launcher", "queueing/store")
#: What a history may name although it is gone.
HISTORY = ("CHANGELOG.md",)


@pytest.mark.parametrize("page", pages.TABLES)
def test_generated_tables_are_as_the_code_has_them(page: str) -> None:
    assert (pages.REFERENCE / page).read_text() == pages.generated(page), "run `make docs`"


def test_every_variable_that_is_read_is_on_the_page() -> None:
    page = (pages.REFERENCE / "environment.md").read_text()
    assert sorted(name for name in environment.names() if f"`{name}`" not in page) == []


def test_every_redis_key_has_its_writers_and_readers() -> None:
    roles = (pages.REFERENCE / "redis-keys.md").read_text().partition("## Which process does what")[2]
    named = re.findall(r"`([\w:]+)`", "".join(re.findall(r"^\| (`.*?) \|", roles, re.MULTILINE)))
    declared = {key.pattern().removeprefix("sp:{<space>}:").partition(":<")[0] for key in TABLE}
    assert sorted(named) == sorted(declared)


def test_a_read_variable_has_its_default_and_the_comment_above_it() -> None:
    source = '# --- limits ---\n#: How much\n#: at most.\nX = env.int("X_BYTES", 2 * MEGABYTE)\n'
    assert list(environment.declared(source)) == [
        environment.Variable("X_BYTES", "`2097152` (2 MiB)", "limits", "How much at most.")
    ]


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: str(path.relative_to(pages.ROOT)))
def test_links_lead_to_files_and_headings(text: Path) -> None:
    assert list(broken(text)) == []


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: str(path.relative_to(pages.ROOT)))
def test_paths_of_the_code_exist(text: Path) -> None:
    if text.name not in HISTORY:
        assert sorted(path for path in CODE.findall(text.read_text()) if not exists(path)) == []


def test_the_index_lists_every_page() -> None:
    index = (DOCS / "README.md").read_text() + (DOCS / "decisions" / "README.md").read_text()
    assert [page.name for page in sorted(DOCS.rglob("*.md")) if page.name not in index] == []


def test_the_readme_is_short() -> None:
    assert len((pages.ROOT / "README.md").read_text().split()) <= 700


def broken(text: Path) -> Iterator[str]:
    """The links of a page that lead nowhere."""
    for link in LINK.findall(without_code(text.read_text())):
        path, _, heading = link.partition("#")
        if "://" in link or link.startswith("mailto:"):
            continue
        target = (text.parent / path).resolve() if path else text
        if not target.exists() or (heading and heading not in anchors(target)):
            yield link


def without_code(text: str) -> str:
    return re.sub(r"```.*?```", "", text, flags=re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The headings of a page, as links name them."""
    found = re.findall(r"^#+ (.*)$", without_code(page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in found}


def exists(path: str) -> bool:
    """Whether a path that a page names is there; `x_*.py` names several."""
    return any(any((pages.ROOT / folder).glob(path.rstrip("/."))) for folder in FROM)
