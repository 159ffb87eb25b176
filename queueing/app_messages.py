"""An app's messages about an event, parsed as hostile input: JSON of any size, depth and content. Only the
fields that the platform uses are decoded; results stay bytes, so that a large one costs the event loop next
to nothing."""

from __future__ import annotations

import contextlib
from functools import cache
from typing import Any

import msgspec
from msgspec import Raw, Struct

encode = msgspec.json.Encoder().encode
whole = msgspec.json.Decoder().decode
fields_of = msgspec.json.Decoder(dict[str, Raw]).decode

NOT_UNDERSTOOD = "The app answered with something that is no message of Gradio's."
#: Of a message, without its result.
SMALL_BYTES = 64 * 1024
#: A message up to this size is decoded as a whole where its values are needed.
WHOLE_BYTES = 1024 * 1024
FAILURES = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
NULL = Raw(b"null")
EMPTY = (b"", b"null", b"{}")
MOST_OUTPUTS = 256


class NotUnderstood(ValueError):
    """This is no message; the text is for people."""

    def __init__(self) -> None:
        super().__init__(NOT_UNDERSTOOD)


class Head(Struct):
    """The fields of a message that the platform uses."""

    msg: str
    event_id: str | None = None
    success: bool | None = False
    output: Raw = NULL

    @property
    def ends(self) -> bool:
        """Whether it is the last message of its event."""
        return self.msg == "process_completed"

    @property
    def is_empty(self) -> bool:
        """Whether it has no result: Gradio ends a cancelled event so."""
        return len(self.output) < SMALL_BYTES and bytes(self.output).translate(None, b" \t\r\n") in EMPTY


class Output(Struct):
    """A result."""

    data: Raw = Raw(b"[]")


_head = msgspec.json.Decoder(Head).decode
_output = msgspec.json.Decoder(Output | None).decode


def head_of(raw: bytes | str) -> Head:
    """The head of a message.

    Raises:
        NotUnderstood
    """
    try:
        if isinstance(raw, bytes) and not raw.isascii():
            raw.decode()  # fields that are skipped below are not decoded
        return _head(raw)
    except FAILURES as error:
        raise NotUnderstood from error


def speaks_of(raw: bytes, event_id: str, *, ends: bool) -> bool:
    """Whether the visitor may get this as it is: one line, a message of this event, and final exactly if it
    `ends` the event."""
    try:
        head = head_of(raw)
    except NotUnderstood:
        return False
    return head.event_id == event_id and head.ends == ends and b"\r" not in raw and b"\n" not in raw


def decode_message(raw: bytes) -> dict[str, Any]:
    """A stored message, decoded for protocols that answer in another form. A result that is large, or that
    cannot be decoded, stays bytes (`Raw`), which can be encoded again, or decoded by `plain`."""
    if len(raw) <= WHOLE_BYTES:
        with contextlib.suppress(*FAILURES):
            value: dict[str, Any] = whole(raw)
            return value
    head = head_of(raw)
    try:
        found = _output(head.output) or Output()
        output = {**_small_fields(bytes(head.output), found.data), "data": found.data}
    except (NotUnderstood, *FAILURES):
        return {"msg": head.msg, "event_id": head.event_id, "output": {"error": NOT_UNDERSTOOD}}
    return {"msg": head.msg, "event_id": head.event_id, "success": head.success, "output": output}


def plain(value: Any) -> Any:
    """Decode what `decode_message` may have left as bytes; None where that fails."""
    if not isinstance(value, Raw):
        return value
    with contextlib.suppress(*FAILURES):
        return whole(value)
    return None


class Message(Struct, frozen=True):
    """A message of Gradio's own protocol."""

    head: Head
    fields: dict[str, Raw]

    @property
    def msg(self) -> str:
        return self.head.msg

    def about(self, event_id: str) -> bytes:
        """The message under this event's id."""
        return encode({**self.fields, "event_id": event_id})


def parse(raw: bytes | str) -> Message:
    """A message of Gradio's own protocol.

    Raises:
        NotUnderstood
    """
    whole = raw.encode("utf-8", "surrogatepass") if isinstance(raw, str) else raw
    head = head_of(whole)
    fields = _small_fields(whole, head.output)
    if "output" in fields:
        fields["output"] = head.output
    return Message(head, {name: _one_line(value) for name, value in fields.items()})


def ended(output: dict[str, Any], *, success: bool) -> Message:
    """A last message that did not come from the app."""
    fields = {"msg": "process_completed", "output": output, "success": success}
    return parse(encode(fields))


def rows_of(raw: bytes, count: int) -> list[dict[str, Any]]:
    """The outputs of a batch of `count` events, from the one output of its call: column-major there, one row
    for each here.

    Raises:
        NotUnderstood
        ValueError: the function gave another number of results; says so.
    """
    try:
        raw.decode()
        data = _data(raw).data
        columns = _columns(data)
        known = [column for column in msgspec.structs.astuple(columns) if len(column)]
        rest = _small_fields(raw, data)
        if not known:
            rows: list[tuple[Raw, ...]] = [()] * count
        else:
            decode = _row_decoder(count)
            rows = list(zip(*(decode(column) for column in known), strict=True))
    except msgspec.ValidationError as error:
        if "length" in str(error):
            text = f"The batch function did not answer one result for each of its {count} inputs."
            raise ValueError(text) from error
        raise NotUnderstood from error
    except FAILURES as error:
        raise NotUnderstood from error
    return [{**rest, "data": [_one_line(value) for value in row]} for row in rows]


class _WithData(Struct):
    data: Raw


_data = msgspec.json.Decoder(_WithData).decode
# Surplus columns, and surplus rows below, are not decoded.
_columns = msgspec.json.Decoder(
    msgspec.defstruct(
        "Columns",
        [(f"c{n}", Raw, Raw()) for n in range(MOST_OUTPUTS)],
        array_like=True,
        forbid_unknown_fields=True,
    )
).decode


@cache
def _row_decoder(count: int) -> Any:
    return msgspec.json.Decoder(tuple[(Raw,) * count]).decode  # type: ignore[misc]


def _small_fields(raw: bytes, large: Raw) -> dict[str, Raw]:
    """All fields, the large one emptied where the whole is large.

    Raises:
        NotUnderstood: what is left is large too.
    """
    if len(raw) > SMALL_BYTES:
        raw = raw.replace(bytes(large), b"null", 1)
        if len(raw) > SMALL_BYTES:
            raise NotUnderstood
    try:
        return fields_of(raw)
    except FAILURES as error:
        raise NotUnderstood from error


def _one_line(raw: Raw) -> Raw:
    """The same value without line breaks, which separate messages in a stream."""
    text = bytes(raw)
    return Raw(msgspec.json.format(text, indent=-1)) if b"\n" in text or b"\r" in text else raw
