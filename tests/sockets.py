"""Connections to a platform: `http`, a client that holds any number of them, and reading a websocket."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        yield session


async def until(socket: aiohttp.ClientWebSocketResponse, word: str, **fields: Any) -> dict[str, Any]:
    """The first message of this kind with these fields; others before it are skipped."""
    while True:
        message: dict[str, Any] = json.loads((await socket.receive(timeout=90)).data)
        if message["msg"] == word and fields.items() <= message.items():
            return message
