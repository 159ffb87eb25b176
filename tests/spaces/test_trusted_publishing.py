"""Keyless CI: a job that a trusted issuer vouches for gets a token for one Space, by the official client."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.hub_server import Hub
from tests.spaces.browser import Browser

Make = Callable[..., str]
HOST = "127.0.0.2"  # the operator of the tests opened it


class Issuer:
    """A CI provider that vouches for its jobs."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.kid, self.fetched, self.port = "one", [], 0  # type: ignore[var-annotated]
        self.answers: dict[str, Any] = {}

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def token(self, hub: Hub, **claims: Any) -> str:
        """A job's id token."""
        now = int(time.time())
        values = {
            "iss": self.url, "aud": hub.url, "iat": now, "exp": now + 300,
            "sub": "repo:org/demo:ref:refs/heads/main", "repository": "org/demo", "ref": "refs/heads/main",
            **claims,
        }  # fmt: skip
        values = {key: value for key, value in values.items() if value is not None}
        return jwt.encode(values, self.key, algorithm="RS256", headers={"kid": self.kid})

    def jwk(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        return {**found, "kid": self.kid, "use": "sig", "alg": "RS256"}


@contextlib.contextmanager
def serving(issuer: Issuer) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.fetched.append(self.path)
            default = {
                "/.well-known/openid-configuration": {"issuer": issuer.url, "jwks_uri": f"{issuer.url}/keys"},
                "/keys": {"keys": [issuer.jwk()]},
            }
            body = json.dumps(issuer.answers.get(self.path, default.get(self.path))).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer((HOST, 0), Handler)
    issuer.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    made = Issuer()
    with serving(made):
        yield made


def trust(hub: Hub, space: str, issuer: str, who: str = "alice", **claims: str) -> requests.Response:
    body = {"issuer": issuer, "claims": claims or {"repository": "org/demo"}}
    return hub.call("POST", f"/api/spaces/{space}/trusted-publishers", who, json=body)


def exchange(hub: Hub, space: str, token: str, **more: Any) -> requests.Response:
    body = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
        "subject_token": token,
        "resource": f"spaces/{space}",
        **more,
    }
    return requests.post(f"{hub.url}/oauth/token", json=body, timeout=30)


def test_a_trusted_job_pushes_with_the_official_client(
    hub: Hub, new_space: Make, issuer: Issuer, tmp_path: object
) -> None:
    space, other = new_space(visibility="private"), new_space(visibility="private")
    assert trust(hub, space, issuer.url).status_code == 200
    code = (
        "import os; from huggingface_hub import HfApi; from huggingface_hub._oidc import oidc_login; "
        "given = oidc_login(resource='spaces/' + os.environ['SPACE'], subject_token=os.environ['JOB']); "
        "assert given['expires_in'] == 3600 and given['token_type'] == 'bearer', given; "
        "api = HfApi(token=given['access_token']); "
        "api.upload_file(path_or_fileobj=b'by CI', path_in_repo='ci.txt', repo_id=os.environ['SPACE'], "
        "repo_type='space'); print(api.repo_exists(os.environ['OTHER'], repo_type='space'))"
    )
    env = {
        **hub.client_env(""),
        "SPACE": space,
        "OTHER": other,
        "JOB": issuer.token(hub),
        "HF_HOME": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **env}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "False"
    assert "ci.txt" in hub.api("alice").list_repo_files(space, repo_type="space")
    assert "CI: org/demo" in Browser(hub, "alice").get("/tokens").text


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"repository": "org/other"}, "No trusted publisher"),
        ({"aud": "https://elsewhere.example"}, "is not for"),
        ({"aud": None}, "not valid"),
        ({"exp": 1000}, "not valid"),
        ({"exp": None}, "not valid"),
        ({"iat": None}, "not valid"),
        ({"exp": int(time.time()) + 10**6}, "longer than a day"),
        ({"nbf": int(time.time()) + 3600}, "not valid"),
        ({"iss": "https://elsewhere.example"}, "No trusted publisher"),
    ],
)
def test_a_job_that_is_not_the_trusted_one_gets_nothing(
    hub: Hub, space: str, issuer: Issuer, claims: dict[str, Any], words: str
) -> None:
    trust(hub, space, issuer.url)
    answer = exchange(hub, space, issuer.token(hub, **claims))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert words in answer.json()["error_description"]


def test_all_that_was_named_has_to_be_right(hub: Hub, space: str, issuer: Issuer) -> None:
    trust(hub, space, issuer.url, repository="org/demo", ref="refs/heads/main")
    assert exchange(hub, space, issuer.token(hub, ref="refs/heads/evil")).status_code == 400
    assert exchange(hub, space, issuer.token(hub)).status_code == 200


def test_forged_signatures_get_nothing(hub: Hub, space: str, issuer: Issuer) -> None:
    trust(hub, space, issuer.url)
    real = issuer.key
    issuer.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    forged = issuer.token(hub)
    issuer.key = real
    claims = jwt.decode(forged, options={"verify_signature": False})
    unsigned = jwt.encode(claims, "", algorithm="none", headers={"kid": "one"})
    shared = jwt.encode(claims, "0" * 64, algorithm="HS256", headers={"kid": "one"})
    unknown = jwt.encode(claims, real, algorithm="RS256", headers={"kid": "two"})
    for token in (forged, unsigned, shared, unknown, "a.b.c", "x", forged[:-9]):
        answer = exchange(hub, space, token)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant"), token
    assert exchange(hub, space, issuer.token(hub)).status_code == 200


def test_keys_are_kept_and_new_ones_found(hub: Hub, space: str, issuer: Issuer) -> None:
    trust(hub, space, issuer.url)
    for _ in range(3):
        assert exchange(hub, space, issuer.token(hub)).status_code == 200
    assert issuer.fetched == ["/.well-known/openid-configuration", "/keys"]


def test_an_issuer_that_lies_or_hides_is_not_believed(hub: Hub, space: str, issuer: Issuer) -> None:
    trust(hub, space, issuer.url)
    issuer.answers["/.well-known/openid-configuration"] = {
        "issuer": "https://elsewhere.example", "jwks_uri": f"{issuer.url}/keys",
    }  # fmt: skip
    answer = exchange(hub, space, issuer.token(hub))
    assert "another issuer" in answer.json()["error_description"]


def test_keys_at_an_internal_address_are_not_fetched(hub: Hub, space: str, issuer: Issuer) -> None:
    trust(hub, space, issuer.url)
    issuer.answers["/.well-known/openid-configuration"] = {
        "issuer": issuer.url, "jwks_uri": f"https://127.0.0.1:{issuer.port}/keys",
    }  # fmt: skip
    answer = exchange(hub, space, issuer.token(hub))
    assert "internal address" in answer.json()["error_description"]
    assert "/keys" not in issuer.fetched


def test_who_trusted_the_job_must_still_be_allowed(hub: Hub, new_space: Make, issuer: Issuer) -> None:
    space = new_space(owner="lab")
    trust(hub, space, issuer.url, who="bob")
    token = exchange(hub, space, issuer.token(hub)).json()["access_token"]
    change = (
        "update accounts_membership set role = %s where user_id = (select id from accounts_user where "
        "username = 'bob') and owner_id = (select id from accounts_owner where name = 'lab')"
    )
    hub.sql(change, "read")
    try:
        assert "may not write" in exchange(hub, space, issuer.token(hub)).json()["error_description"]
        headers = {"Authorization": f"Bearer {token}"}
        assert hub.call("POST", f"/api/spaces/{space}/pause", headers=headers).status_code == 403
    finally:
        hub.sql(change, "write")


def test_a_jobs_token_trusts_nobody_else(hub: Hub, space: str, issuer: Issuer) -> None:
    trust(hub, space, issuer.url)
    token = exchange(hub, space, issuer.token(hub)).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    body = {"issuer": issuer.url, "claims": {"repository": "evil/repo"}}
    answer = hub.call("POST", f"/api/spaces/{space}/trusted-publishers", headers=headers, json=body)
    assert answer.status_code == 403


def test_what_may_not_be_trusted_is_refused(hub: Hub, space: str) -> None:
    for issuer, claims, words in (
        ("http://issuer.example", {"repository": "a/b"}, "begins with https"),
        ("nonsense", {"repository": "a/b"}, "no address"),
        ("https://issuer.example", {}, "give 1 to 10"),
        ("https://issuer.example", {"ref": "refs/heads/main"}, "whose job it is"),
        ("https://issuer.example", {"repository": ""}, "must be a text"),
    ):
        body = {"issuer": issuer, "claims": claims}
        answer = hub.call("POST", f"/api/spaces/{space}/trusted-publishers", "alice", json=body)
        assert (answer.status_code, words in answer.json()["error"]) == (400, True), answer.text
    assert trust(hub, space, "https://issuer.example", who="charlie").status_code == 403
    for resource in ("alice/demo", "alice", "datasets/a/b", 7):
        answer = exchange(hub, space, "x.y.z", resource=resource)
        assert answer.json()["error"] == "invalid_target"


def test_a_space_that_is_hidden_or_absent_answers_alike(hub: Hub, new_space: Make, issuer: Issuer) -> None:
    space = new_space(visibility="private")
    told = [exchange(hub, one, issuer.token(hub)).json() for one in (space, space + "x")]
    first, second = (answer["error_description"] for answer in told)
    assert first.replace(space, "") == second.replace(space + "x", "")


def test_the_settings_add_and_remove_publishers(hub: Hub, space: str) -> None:
    browser, section = Browser(hub, "alice"), f"/{space}/settings/publishers"
    page = browser.post(
        f"/{space}/settings/publishers", issuer="https://issuer.example", repository="org/demo"
    )
    assert "repository = org/demo" in page.text
    refused = browser.post(section, issuer="http://issuer.example", repository="a/b")
    assert (refused.status_code, "begins with https" in refused.text) == (422, True)
    [one] = hub.call("GET", f"/api/spaces/{space}/trusted-publishers", "alice").json()
    browser.post(section, delete=str(one["id"]))
    assert hub.call("GET", f"/api/spaces/{space}/trusted-publishers", "alice").json() == []
