"""Logs and repositories are for this installation's own account, and no token gets into a log."""

from __future__ import annotations

import logging
import stat
from pathlib import Path

import pytest
import requests

from infra.folders import private
from spaceport.redaction import Redaction, address, redacted
from spaceport.up.child import Child
from spaces.gateway import page_tokens
from tests.hub_server import Hub
from tests.spaceport.conftest import SPACE

PAGE = "bm9uY2U.dmlzaXQ.7.1900000000.c2lnbmF0dXJl"
SIGNED = "WzEsInYiLG51bGxd:1uABCD:f00d-beef"


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        (f"/_ui/{PAGE}/config", "/_ui/.../config"),
        (f"/%5fui/{PAGE}/config", "/_ui/.../config"),
        (f"/_%75i/{PAGE}", "/_ui/..."),
        (f"/run/a/b/_ui/{PAGE}/x?session_hash=1", "/run/a/b/_ui/.../x"),
        (f"/?__visit={SIGNED}", "/"),
        ("/ws/spaces/a/b/queue?visit=abc", "/ws/spaces/a/b/queue"),
        ("/alice/demo/file%20name", "/alice/demo/file%20name"),
        ('/a"b\nc', "/a%22b%0Ac"),
    ],
)
def test_addresses_are_logged_without_tokens(target: str, shown: str) -> None:
    assert address(target) == shown


@pytest.mark.parametrize(
    "text",
    [
        "hf_abcdefABCDEF0123456789abcdefABCDEF", "Bearer hf_x0", "authorization: Basic YTpoZl94MA==",
        f"GET /_ui/{PAGE}/x", f"http://a.localhost/?__visit={SIGNED}&x=1", "?token=sesame",
    ],
)  # fmt: skip
def test_other_lines_are_too(text: str) -> None:
    clean = redacted(f"failed: {text!r} after 3 s")
    assert clean.startswith("failed: ")
    assert "after 3 s" in clean
    for secret in ("hf_", "YTpo", PAGE, "WzEs", "sesame"):
        assert secret not in clean
    record = logging.makeLogRecord({"msg": "asked %s", "args": (text,)})
    assert Redaction().filter(record)
    assert "..." in record.getMessage()


def test_neither_servers_log_has_a_token_of_a_request(web: Hub) -> None:
    page = page_tokens.make("key", 1, visit="v", user_id=7)
    token = web.tokens["alice"]
    host = {"Host": "alice-fed.localhost"}
    for path, headers in (
        (f"/_ui/{page}/config", host),
        (f"/%5Fui/{page}/", host),
        (f"/?__visit={SIGNED}", host),
        (f"/api/whoami-v2?token={token}", {"Authorization": f"Bearer {token}"}),
        (f"/run/{SPACE}/config?__sign={SIGNED}", {"Authorization": f"Bearer {token}"}),
        (f"/seen-{web.web_server}", {}),
    ):
        requests.get(f"{web.url}{path}", headers=headers, timeout=10)
    log = web.log()
    assert f"/seen-{web.web_server}" in log or log.count("GET") == 0
    for secret in (page, token, SIGNED, "hf_"):
        assert secret not in log


def test_nobody_else_may_read_repositories_or_logs(web: Hub, tmp_path: Path) -> None:
    assert mode(web.home / "repositories") == 0o700
    for folder in (web.home / "repositories").iterdir():
        assert mode(folder) == 0o700
    (tmp_path / "log").mkdir(mode=0o755)
    (tmp_path / "log" / "x.log").touch(mode=0o644)
    child = Child("x", ["true"], tmp_path / "log" / "x.log")
    child.start()
    child.wait_for(float("inf"))
    child.close()
    assert (mode(tmp_path / "log"), mode(tmp_path / "log" / "x.log")) == (0o700, 0o600)


def test_a_folder_of_an_earlier_version_is_closed(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir(mode=0o755)
    assert mode(private(tmp_path / "old")) == 0o700
    assert mode(private(tmp_path / "new")) == 0o700


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
