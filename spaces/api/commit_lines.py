"""The body of a commit: NDJSON, a line an operation. File contents make up most of it and go to disk as they
come; only the rest of a line is kept in memory."""

from __future__ import annotations

import base64
import binascii
import io
import re
import secrets
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any

from infra.json_bodies import BadJson, parse, parse_object
from spaces.api.hub import HubError

CHUNK = 256 * 1024  # a multiple of four
LONG = 64 * 1024  # bytes of a text that goes to disk
LINE = 4 * 1024 * 1024  # of a line without that text
TEXT = 1024 * 1024  # of a file that is sent as text, which is read whole; larger ones are base64

_OUTSIDE = re.compile(rb'["\n]')
_INSIDE = re.compile(rb'["\\\n]')


@dataclass(frozen=True, slots=True)
class Operation:
    """One line. `content` is what a file shall have."""

    key: str
    value: dict[str, Any]
    content: IO[bytes] | None


def operations(read: Callable[[int], bytes], *, most: int, count: int) -> Iterator[Operation]:
    """The operations of a body that comes by `read`.

    Args:
        most: bytes of a file.
        count: operations of a body.

    Raises:
        HubError
    """
    for number, line in enumerate(_lines(read, most), 1):  # blank ones count: they take time as well
        if number > count:
            raise HubError(413, f"A commit may have at most {count:,} operations.")
        with line:
            if line.kept.strip():
                yield _operation(line, number, most)


@dataclass(slots=True)
class _Line:
    """A line as far as it has come. Its first long text is cut out to disk, with `token` in its place."""

    most: int
    token: str = field(default_factory=lambda: secrets.token_hex(8))
    kept: bytearray = field(default_factory=bytearray)
    long: IO[bytes] | None = None
    size: int = 0
    _began: int = -1  # where in `kept` the text begins that comes now; -1 outside of texts
    _cutting: bool = False
    _escaped: bool = False

    def __enter__(self) -> _Line:
        return self

    def __exit__(self, *_: object) -> None:
        if self.long is not None:
            self.long.close()

    def take(self, chunk: bytes, at: int) -> tuple[int, bool]:
        """Take what belongs to this line from `at` on; where that ends, and whether the line does.

        Raises:
            HubError: it is too long.
        """
        start = at
        done = False
        while at < len(chunk) and not done:
            if self._escaped:
                self._escape(chunk[at : at + 1])
                at += 1
                continue
            found = (_OUTSIDE if self._began < 0 else _INSIDE).search(chunk, at)
            self._put(chunk[at : found.start() if found else len(chunk)])
            at = found.end() if found else len(chunk)
            if found:
                done = self._mark(found.group())
        self.size += at - start
        if self.size > self.most * 4 // 3 + LONG:
            raise HubError(413, f"A file of this commit is over the limit of {self.most:,} bytes.")
        if len(self.kept) > LINE:
            raise HubError(413, f"Without its content an operation may have at most {LINE:,} bytes.")
        return at, done

    def _put(self, piece: bytes) -> None:
        length = len(self.kept) - self._began + len(piece)
        if self._began >= 0 and self.long is None and length > LONG:
            self.long = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the line
            self.long.write(self.kept[self._began :])
            self.kept[self._began :] = self.token.encode()
            self._cutting = True
        if self._cutting:
            assert self.long is not None
            self.long.write(piece)
        else:
            self.kept += piece

    def _mark(self, mark: bytes) -> bool:
        if mark == b"\n":
            return True
        if mark == b"\\":
            self._escaped = True
        else:
            self.kept += mark
            self._began, self._cutting = (len(self.kept) if self._began < 0 else -1), False
        return False

    def _escape(self, following: bytes) -> None:
        # Some encoders write "/", which base64 has often, as "\/".
        self._put(following if following == b"/" else b"\\" + following)
        self._escaped = False


def _lines(read: Callable[[int], bytes], most: int) -> Iterator[_Line]:
    line = _Line(most)
    while chunk := read(CHUNK):
        at = 0
        while at < len(chunk):
            at, done = line.take(chunk, at)
            if done:
                yield line
                line = _Line(most)
    if line.size:
        yield line


def _operation(line: _Line, number: int, most: int) -> Operation:
    try:
        parsed = parse_object(bytes(line.kept), "operation")
        key, value = str(parsed["key"]), dict(parsed["value"])
    except (KeyError, TypeError, ValueError) as error:
        raise HubError(400, f"Line {number} of the commit is no operation: {error}") from error
    if key != "file":
        return Operation(key, value, None)
    text, name = value.pop("content", ""), str(value.get("path"))[:200]
    if not isinstance(text, str):
        raise HubError(400, f"'{name}': its content must be text.")
    if line.long is not None and text != line.token:
        raise HubError(400, f"Line {number} of the commit has a text of more than {LONG:,} bytes.")
    if line.long is not None and value.get("encoding") != "base64" and line.long.tell() > TEXT:
        raise HubError(413, f"'{name}': a file of more than {TEXT:,} bytes must be sent as base64.")
    try:
        content = _decoded(line.long, text, value.get("encoding"))
    except (BadJson, ValueError) as error:
        raise HubError(400, f"'{name}': its content is no base64 ({error}).") from error
    size = content.seek(0, io.SEEK_END)
    if size > most:
        raise HubError(413, f"'{name}' has {size:,} bytes; at most {most:,} can be uploaded.")
    return Operation(key, value, content)


def _decoded(long: IO[bytes] | None, text: str, encoding: object) -> IO[bytes]:
    if long is None:
        return io.BytesIO(base64.b64decode(text, validate=True) if encoding == "base64" else text.encode())
    long.seek(0)
    if encoding != "base64":
        return io.BytesIO(parse(b'"' + long.read() + b'"', str).encode())
    return _from_base64(long)


def _from_base64(text: IO[bytes]) -> IO[bytes]:
    """The bytes of a long text, on disk too.

    Raises:
        ValueError: it is no base64.
    """
    decoded = tempfile.TemporaryFile()  # noqa: SIM115  # its taker closes it
    ended = False
    while chunk := text.read(CHUNK):
        if ended:
            raise binascii.Error("Excess data after padding")
        piece = binascii.a2b_base64(chunk, strict_mode=True)
        ended = len(piece) * 4 < len(chunk) * 3
        decoded.write(piece)
    return decoded
