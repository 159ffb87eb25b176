"""`make up` goes on with the data folder of an earlier version.

The stored one is of the version before `queueing` was split into packages: Alice's paused Space with
settings, a secret and one answered call. PostgreSQL is stored as a dump, Valkey as its append-only files.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
from gradio_client import Client

from spaceport.up.embedded import postgres
from tests.platform_server import Platform, process_home, running

HERE = Path(__file__).parent
SPACE = "alice/kept"


def restore(archive: Path, home: Path) -> str:
    """Unpack a stored data folder; the token that Alice had."""
    with tarfile.open(archive) as stored:
        # Python 3.11 has had it since 3.11.4.
        stored.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
        stored.extractall(home)  # noqa: S202  # ours
    server = postgres(home)
    connection = psycopg2.connect(server.start())
    try:
        lines = (home / "database.sql").read_text().splitlines()
        with connection, connection.cursor() as cursor:
            cursor.execute("\n".join(line for line in lines if not line.startswith("\\")))
    finally:
        connection.close()
        server.stop()
    token: str = json.loads((home / "note.json").read_text())["token"]
    return token


@pytest.fixture(scope="module")
def upgraded() -> Iterator[tuple[Platform, str]]:
    with process_home() as home:
        token = restore(HERE / "before-packages.tar.gz", home)
        with running(Platform("process", home)) as platform:
            yield platform, token


def test_a_space_is_as_it_was_and_runs_again(upgraded: tuple[Platform, str]) -> None:
    platform, token = upgraded
    assert platform.stage(SPACE, token) == "PAUSED"
    settings = platform.queue(SPACE, token)
    assert (settings["concurrency_count"], settings["max_size"], settings["policy"]) == (3, 7, "fair")
    api = platform.api(token)
    api.restart_space(SPACE)
    assert platform.settled(SPACE, token) == "RUNNING"
    client = Client(platform.run_url(SPACE), verbose=False)
    assert client.predict("after", api_name="/shout") == "after!"
    assert set(api.list_repo_files(SPACE, repo_type="space")) == {".gitattributes", "README.md", "app.py"}
