"""A Space gets another name, owner or both, and what knew it by the old one is led to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from huggingface_hub import HfApi
from huggingface_hub.errors import BadRequestError, HfHubHTTPError, RepositoryNotFoundError

from tests.hub_server import Hub
from tests.spaces.browser import Browser

Make = Callable[..., str]


@pytest.fixture
def api(hub: Hub) -> HfApi:
    return hub.api("alice")


def host(hub: Hub, label: str, path: str, **headers: str) -> requests.Response:
    """A request to a demo host, without following."""
    named = {"Host": f"{label}.localhost:{hub.port}", "Accept": "text/html", **headers}
    return requests.get(f"{hub.url}{path}", headers=named, timeout=30, allow_redirects=False)


def test_the_old_name_leads_to_the_new_one_everywhere(
    hub: Hub, api: HfApi, space: str, tmp_path: Path
) -> None:
    api.upload_file(
        path_or_fileobj=b"---\nsdk: static\n---\n", path_in_repo="README.md", repo_id=space, repo_type="space"
    )
    api.upload_file(path_or_fileobj=b"hello", path_in_repo="index.html", repo_id=space, repo_type="space")
    new = f"lab/moved-{space.split('-')[1]}"
    api.move_repo(space, new, repo_type="space")
    assert api.space_info(space).id == api.space_info(new).id == new
    assert api.space_info(new).author == "lab"
    assert [s.id for s in api.list_spaces(search=space)] == []
    path = api.hf_hub_download(space, "index.html", repo_type="space", cache_dir=tmp_path / "cache")
    assert Path(path).read_bytes() == b"hello"
    api.upload_file(path_or_fileobj=b"again", path_in_repo="a.txt", repo_id=space, repo_type="space")
    assert hub.git("clone", hub.remote(space, "alice"), str(tmp_path / "work")).returncode == 0
    assert (tmp_path / "work" / "a.txt").read_text() == "again"
    (tmp_path / "work" / "b.txt").write_text("b")
    hub.git("add", ".", cwd=tmp_path / "work")
    hub.git("commit", "-m", "b", cwd=tmp_path / "work")
    assert hub.git("push", cwd=tmp_path / "work").returncode == 0
    assert "b.txt" in api.list_repo_files(new, repo_type="space")
    page = requests.get(f"{hub.url}/{space}/files?revision=main", timeout=30, allow_redirects=False)
    assert page.headers["Location"] == f"/{new}/files?revision=main"
    page = requests.get(f"{hub.url}/spaces/{space}", timeout=30)
    assert (page.status_code, page.url) == (200, f"{hub.url}/{new}")
    label = new.replace("/", "-")
    there = host(hub, space.replace("/", "-"), "/some/page?x=1")
    assert there.headers["Location"] == f"http://{label}.localhost:{hub.port}/some/page?x=1"
    assert "hello" in host(hub, label, "/").text


def test_who_takes_the_old_name_has_it(hub: Hub, api: HfApi, space: str) -> None:
    new = f"{space}-b"
    api.move_repo(space, new, repo_type="space")
    api.create_repo(space, repo_type="space", space_sdk="docker")
    assert (api.space_info(space).sdk, api.space_info(space).id) == ("docker", space)
    assert api.space_info(space).subdomain == space.replace("/", "-")
    assert host(hub, space.replace("/", "-"), "/").status_code == 503  # not started; and no way elsewhere
    api.delete_repo(space, repo_type="space")
    assert not api.repo_exists(space, repo_type="space")
    assert api.repo_exists(new, repo_type="space")


def test_back_and_forth_and_in_other_letters(api: HfApi, space: str) -> None:
    api.move_repo(space, f"{space}-b", repo_type="space")
    api.move_repo(f"{space}-b", space, repo_type="space")
    assert api.space_info(space).subdomain == space.replace("/", "-")
    assert api.space_info(f"{space}-b").id == space
    louder = space.replace("demo", "DEMO")
    api.move_repo(space, louder, repo_type="space")
    assert api.space_info(space).id == louder


def test_a_taken_or_bad_name_moves_nothing(hub: Hub, api: HfApi, new_space: Make) -> None:
    one, two = new_space(), new_space()
    with pytest.raises(HfHubHTTPError, match=f"A space repository called {two} already exists"):
        api.move_repo(one, two, repo_type="space")
    with pytest.raises(BadRequestError, match="a name"):
        api.move_repo(one, "alice/a--b", repo_type="space")
    with pytest.raises(HfHubHTTPError, match="no rights to create"):
        api.move_repo(one, "charlie/mine", repo_type="space")
    with pytest.raises(HfHubHTTPError, match="no write access"):
        hub.api("charlie").move_repo(one, "charlie/mine", repo_type="space")
    with pytest.raises(HfHubHTTPError, match="may only read"):
        hub.api("alice_read").move_repo(one, f"{one}-b", repo_type="space")
    assert api.space_info(one).id == one


def test_a_private_space_that_moved_stays_hidden(hub: Hub, api: HfApi, new_space: Make) -> None:
    space = new_space(visibility="private")
    api.move_repo(space, f"{space}-b", repo_type="space")
    with pytest.raises(RepositoryNotFoundError):
        hub.api("charlie").space_info(space)
    assert requests.get(f"{hub.url}/{space}", timeout=30).status_code == 404
    assert f"{space}-b" not in str(host(hub, space.replace("/", "-"), "/").headers)


def test_no_space_keeps_more_than_ten_names(api: HfApi, space: str) -> None:
    for number in range(12):
        before = space if number == 0 else f"{space}-{number - 1}"
        api.move_repo(before, f"{space}-{number}", repo_type="space")
    assert not api.repo_exists(space, repo_type="space")
    assert not api.repo_exists(f"{space}-0", repo_type="space")
    assert api.space_info(f"{space}-1").id == f"{space}-11"


def test_the_settings_move_it_too(hub: Hub, api: HfApi, new_space: Make) -> None:
    space, other = new_space(), new_space()
    browser = Browser(hub, "alice")
    name = space.split("/")[1]
    refused = browser.post(f"/{space}/settings/move", owner="alice", name=other.split("/")[1])
    assert (refused.status_code, f"{other} exists already." in refused.text) == (422, True)
    moved = browser.post(f"/{space}/settings/move", owner="lab", name=name)
    assert moved.url == f"{hub.url}/lab/{name}/settings"
    assert api.space_info(space).id == f"lab/{name}"
