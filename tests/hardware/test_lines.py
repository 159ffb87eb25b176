"""Lines come out of chunks of any size, and a line over the limit costs no memory."""

from __future__ import annotations

import pytest

from infra.line_splitter import KEPT_BYTES, Cut, Lines


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_chunks_of_any_size_give_the_same_lines(size: int) -> None:
    text = b"one\n\ntwo two\r\n" + b"x" * 10 + b"\n" + b"y" * 11 + b"\nlast\nrest"
    lines = Lines(10)
    found = [line for at in range(0, len(text), size) for line in lines.feed(text[at : at + size])]
    assert found == [b"one", b"", b"two two\r", b"x" * 10, Cut(b"y" * 11), b"last"]
    assert lines.pending == len(b"rest")


def test_a_line_without_end_is_counted_but_not_kept() -> None:
    lines = Lines(1000)
    for _ in range(10_000):
        assert lines.feed(b"x" * 1000) == []
    assert lines.pending == 10_000_000
    assert sum(map(len, lines._parts)) <= KEPT_BYTES
    assert lines.feed(b"\nnext\n") == [Cut(b"x" * 2000), b"next"]
