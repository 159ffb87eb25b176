"""Connections: `http` to a platform, any number of them, `client` to replicas; reading a websocket."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from hardware.replica_client import ReplicaClient


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        yield session


@pytest.fixture
async def client() -> AsyncIterator[ReplicaClient]:
    async with ReplicaClient() as made:
        yield made


async def until(web: aiohttp.ClientWebSocketResponse, word: str, **fields: Any) -> dict[str, Any]:
    """The first message of this kind with these fields; others before it are skipped."""
    while True:
        message: dict[str, Any] = json.loads((await web.receive(timeout=90)).data)
        if message["msg"] == word and fields.items() <= message.items():
            return message


def accept_all(server: socket.socket) -> None:
    """Accept whoever connects to it, and hang up, until it is closed."""

    def accept() -> None:
        while True:
            try:
                server.accept()[0].close()
            except OSError:
                return

    threading.Thread(target=accept, daemon=True).start()
