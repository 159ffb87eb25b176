"""JSON that a client sent: one parser, with one error for all its faults."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


class BadJson(ValueError):
    """The text is no JSON, is nested too deeply, or is not of the kind expected; the message names the
    place."""


def parse(raw: bytes | str, kind: type[T]) -> T:
    """The value, as `kind` describes it.

    Raises:
        BadJson
    """
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise BadJson(str(error)) from error


def parse_object(raw: bytes | str, what: str) -> dict[str, Any]:
    """The JSON object; `what` it is, for the error's sentence.

    Raises:
        BadJson
    """
    try:
        value = parse(raw, object)
    except BadJson as error:
        raise BadJson(f"The {what} is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise BadJson(f"The {what} is no JSON object.")
    return value
