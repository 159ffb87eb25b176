"""A commit's body is read a piece at a time: the same operations come of it however it is cut, and however
large a file is, little of it is ever in memory."""

from __future__ import annotations

import base64
import io
import json
import os
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spaces.api import commit_lines
from spaces.api.commit_lines import LONG, operations
from spaces.api.hub import HubError

MOST = 400_000


def line(path: str, content: bytes, *, first: str = "path") -> bytes:
    encoded = base64.b64encode(content).decode()
    value = {"path": path, "content": encoded, "encoding": "base64"}
    return json.dumps({"key": "file", "value": {first: value[first]} | value}).encode()


def in_pieces(body: bytes, sizes: Iterator[int]) -> Callable[[int], bytes]:
    stream = io.BytesIO(body)
    return lambda most: stream.read(max(1, min(most, next(sizes, most))))


def files(body: bytes, sizes: Iterator[int] = iter(())) -> dict[str, bytes]:  # noqa: B008  # it is empty
    found = {}
    for operation in operations(in_pieces(body, sizes), most=MOST, count=100):
        if operation.content is not None:
            operation.content.seek(0)
            found[operation.value["path"]] = operation.content.read()
    return found


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(1, 100_000)), st.sampled_from(["path", "content", "encoding"]))
def test_a_body_means_the_same_however_it_is_cut(sizes: list[int], first: str) -> None:
    content = bytes(range(256)) * 600
    text = "ü\n" * (LONG // 4)  # in JSON eight bytes each
    body = b"\n".join(
        [
            b'{"key":"header","value":{"summary":"a \\"b\\" \\u00fc"}}',
            line('a "quoted" \\ näme', content, first=first),
            b"",
            line("small", b"1", first=first),
            line("large", content[1:], first=first).replace(b"/", b"\\/"),
            json.dumps({"key": "file", "value": {"path": "text", "content": text}}).encode(),
        ]
    )
    assert files(body, iter(sizes)) == {
        'a "quoted" \\ näme': content,
        "small": b"1",
        "large": content[1:],
        "text": text.encode(),
    }


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (line("big", b"x" * (MOST + 1)), 413, "at most 400,000 can be uploaded"),
        (line("big", b"x" * (2 * MOST)), 413, "over the limit of 400,000 bytes"),
        (line("pad", b"x" * LONG * 2).replace(b"eHh4", b"eA==", 1), 400, "no base64"),
        (line("odd", b"x" * LONG * 2).replace(b"eHh4", b"e!h4", 1), 400, "no base64"),
        (json.dumps({"key": "file", "value": {"path": "p" * 2 * LONG}}).encode(), 400, "a text of more than"),
        (b'{"key":"' + b"k" * 2 * LONG, 400, "Line 1 of the commit is no operation"),
        (b'{"key":"file","value":{"path":"a","content":5}}', 400, "must be text"),
    ],
)
def test_what_is_wrong_with_a_line_is_named(body: bytes, status: int, words: str) -> None:
    with pytest.raises(HubError, match=words) as refused:
        files(body)
    assert refused.value.status == status


def test_an_operation_without_content_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit_lines, "LINE", 1000)
    with pytest.raises(HubError, match="at most 1,000 bytes"):
        files(b'{"key":"file","value":[' + b'"x",' * 1000)


def test_a_large_file_is_never_in_memory() -> None:
    size = 30_000_000
    body = io.BytesIO(line("large", os.urandom(size)))
    tracemalloc.start()
    try:
        [found] = operations(body.read, most=size, count=1)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.content is not None
    assert found.content.seek(0, io.SEEK_END) == size
    assert peak < size / 10


def test_a_large_file_that_is_no_base64_is_refused_and_never_in_memory() -> None:
    size = 30_000_000
    body = io.BytesIO(b'{"key":"file","value":{"path":"large","content":"%s"}}' % (b"x" * size))
    tracemalloc.start()
    try:
        with pytest.raises(HubError, match="must be sent as base64") as refused:
            list(operations(body.read, most=size, count=1))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert refused.value.status == 413
    assert peak < size / 10


def test_more_operations_than_a_commit_may_have_are_refused() -> None:
    body: Any = b"\n".join([line("a", b"1")] * 101)
    for too_many in (body, b"\n" * 101 + line("a", b"1")):
        with pytest.raises(HubError, match="at most 100 operations"):
            files(too_many)
    assert files(b"\n".join([line("a", b"1")] * 100) + b"\n")
