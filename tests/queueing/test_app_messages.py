"""What an app says is told as it is, whatever it is made of; only what the platform goes by is looked at."""

from __future__ import annotations

import json

import pytest

from queueing.app_messages import NotUnderstood, decode_message, ended, parse, plain, rows_of, speaks_of
from queueing.events import encode

EVENT = "e" * 32
DEEP = b"[" * 9999


def end(data: bytes, more: bytes = b"") -> bytes:
    return b'{"msg":"process_completed","event_id":"%s","success":true,"output":{"data":%s%s}}' % (
        EVENT.encode(), data, more,
    )  # fmt: skip


@pytest.mark.parametrize("data", [b"[1]", b'["%s"]' % (b"x" * 2_000_000), b"[%s1]" % (b"[]," * 400_000)])
def test_a_message_keeps_everything_but_its_id(data: bytes) -> None:
    message = parse(end(data, b',"duration":1.5'))
    heard = json.loads(message.about("ours"))
    assert heard["output"] == {"data": json.loads(data), "duration": 1.5}
    assert (heard["event_id"], heard["success"]) == ("ours", True)


@pytest.mark.parametrize("data", [b"[1]", b'["%s"]' % (b"x" * 2_000_000), b"[%s]" % (b"9" * 40), b"[1e999]"])
def test_a_result_is_written_again_as_it_was(data: bytes) -> None:
    message = decode_message(end(data, b',"duration":1.5'))
    assert message["success"]
    assert encode(message["output"]["duration"]) == b"1.5"
    assert encode(message["output"]["data"]) == data


def test_what_cannot_be_made_into_values_is_none() -> None:
    assert plain(decode_message(end(b"[1e999]"))["output"]["data"]) is None
    assert plain(decode_message(end(b'["%s"]' % (b"x" * 2_000_000)))["output"]["data"]) == ["x" * 2_000_000]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"1",
        b'{"msg":1}',
        b'{"x":1}',
        b'{"msg":"x","y":NaN}',
        b'{"msg":"\xff"}',
        b'{"msg":' + b"[" * 9999,
    ],
)
def test_what_is_no_message_is_none(raw: bytes) -> None:
    assert not speaks_of(raw, EVENT, ends=False)
    with pytest.raises(NotUnderstood):
        parse(raw)


def test_a_message_speaks_of_its_event_alone_and_ends_it_or_not() -> None:
    assert speaks_of(end(b"[]"), EVENT, ends=True)
    assert not speaks_of(end(b"[]"), EVENT, ends=False)
    assert not speaks_of(end(b"[]"), "f" * 32, ends=True)
    assert not speaks_of(end(b"[\r1]"), EVENT, ends=True), "a line end would end the message for its reader"


def test_an_empty_end_is_a_cancelled_one() -> None:
    assert ended({}, success=True).head.is_empty
    assert not parse(end(b"[]")).head.is_empty


def test_a_batch_gives_each_event_its_row() -> None:
    rows = rows_of(b'{"data": [["a", "b"], [1,\n [2]]], "duration": 1.5}', 2)
    assert [json.loads(encode(row)) for row in rows] == [
        {"data": ["a", 1], "duration": 1.5}, {"data": ["b", [2]], "duration": 1.5},
    ]  # fmt: skip
    assert [row["data"] for row in rows_of(b'{"data": []}', 3)] == [[], [], []]


@pytest.mark.parametrize("data", [b"[[1]]", b"[[1, 2, 3]]", b"[[1, 2], [1]]", b"[[%s1]]" % (b"1," * 500_000)])
def test_a_batch_with_another_number_of_results_says_so(data: bytes) -> None:
    with pytest.raises(ValueError, match="one result for each of its 2 inputs"):
        rows_of(b'{"data": %s}' % data, 2)


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b'{"data": 1}', b'{"data": [1, 2]}', b'{"data": [[]' + b"," * 999]
)
def test_a_batch_without_results_is_not_understood(raw: bytes) -> None:
    with pytest.raises(NotUnderstood):
        rows_of(raw, 2)
