"""Requests that no honest client sends are 400 at every door, and never reach anything that could read them
in two ways."""

from __future__ import annotations

import pytest

from spaceport.web.plain import fault_of

HOSTS = ["localhost", "127.0.0.1", "[::1]", ".spaces.example"]
GOOD = ("host", "localhost:8000")


def fault(*headers: tuple[str, str], path: str = "/", query: str = "", kind: str = "http") -> str:
    scope = {
        "type": kind, "path": path, "query_string": query.encode(),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
    }  # fmt: skip
    return fault_of(scope, is_demo=lambda host: ".demos.example" in host, hosts=HOSTS)


@pytest.mark.parametrize("path", ["/", "/run/ann/x/config", "/ws/spaces/ann/x/queue", "/api/spaces"])
def test_a_request_names_exactly_one_host_that_is_ours(path: str) -> None:
    for good in ("localhost", "localhost:8000", "127.0.0.1:1", "[::1]:8000", "a.spaces.example", "LOCALHOST"):
        assert not fault(("host", good), path=path), good
    assert not fault(("host", "ann-x.demos.example:8000"), path=path)
    for bad in ("evil.com", "", "localhost evil.com", "localhost/x", "user@localhost", "localhost\x00",
                "localhost,evil.com", "evil.com:80@localhost", "demos.example", "[evil", "::::",
                "localhost:123456", "localhost:", "localhost:8000:8000", "localhost:80x",
                "ann-x.demos.example:123456", f"{'a' * 300}.demos.example"):  # fmt: skip
        assert fault(("host", bad), path=path), bad
    assert fault(path=path)
    assert fault(GOOD, GOOD, path=path)
    assert fault(GOOD, ("Host", "localhost"), path=path)


def test_zero_bytes_are_refused() -> None:
    assert fault(GOOD, path="/\0/x")
    assert fault(GOOD, path="/run/ann/\0")
    assert fault(GOOD, query="q=%00")
    assert not fault(GOOD, path="/run/ann/x", query="q=%00"), "an app may be asked for anything"


@pytest.mark.parametrize(
    "value", ["Bearer  hf_x", "Bearer\thf_x", " Bearer x", "Bearer x y", "Basic  eDp4", "Basic a b", "", " ",
              "Bearer x\x00", "Bearer ä", "Be,arer x"],
)  # fmt: skip
def test_credentials_of_odd_form_are_refused(value: str) -> None:
    for host in ("localhost", "ann-x.demos.example"):
        assert fault(("host", host), ("authorization", value))


def test_credentials_come_once_and_in_any_scheme() -> None:
    for good in ("Bearer hf_x", "bearer hf_x", "Basic eDp4", 'Digest username="u", realm="a b"', "Negotiate"):
        assert not fault(GOOD, ("authorization", good)), good
    assert fault(GOOD, ("authorization", "Bearer a"), ("Authorization", "Bearer b"))
