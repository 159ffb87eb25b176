"""A large file as its reader takes it: piece by piece, so many at a time, within a time."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator
from pathlib import Path

from spaces.git.objects import CHUNK, LEAST_RATE, START_S, BrokenOff, downloads


async def content(path: Path, start: int, size: int, address: str) -> AsyncGenerator[bytes]:
    """So many bytes from `start` on, for the visitor from this address.

    Raises:
        BrokenOff: there is not so much of it, or the visitor takes too long.
        spaces.git.limiter.Full: too many others are sent something for too long.
    """
    await downloads.acquire_within(address, START_S)
    try:
        file = await asyncio.to_thread(os.open, path, os.O_RDONLY)
        try:
            began, sent = time.monotonic(), 0
            while sent < size:
                chunk = await asyncio.to_thread(os.pread, file, min(CHUNK, size - sent), start + sent)
                if not chunk or time.monotonic() - began > START_S + sent / LEAST_RATE:
                    raise BrokenOff(f"{path.name}: {sent:,} of {size:,} bytes were sent.")
                sent += len(chunk)
                yield chunk
        finally:
            os.close(file)
    finally:
        downloads.release(address)
