"""Docker and static Spaces, and what people see when something is wrong with theirs."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests

from tests.platform_server import APPS, ROOT, Platform, engine_answers
from tests.waiting import wait_until


def written(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return folder


def reason(platform: Platform, space: str, token: str) -> str:
    runtime = platform.api(token).get_space_runtime(space)
    return str(runtime.raw["errorMessage"])


@pytest.mark.docker
def test_a_docker_space_runs_its_own_dockerfile(platform: Platform, alice: str) -> None:
    if not engine_answers():
        pytest.skip("no Docker engine answers")
    assert platform.push("alice/docked", alice, ROOT / "examples" / "docker", sdk="docker") == "RUNNING"
    color = requests.get(f"{platform.run_url('alice/docked')}color?name=sea", timeout=10)
    assert color.json()["name"] == "sea"
    host = {"Host": f"alice-docked.localhost:{platform.port}", "Accept": "text/html"}
    page = requests.get(f"{platform.url}/", headers=host, timeout=10)
    assert "Color thesaurus" in page.text


def test_a_static_space_needs_no_container(platform: Platform, alice: str) -> None:
    assert platform.push("alice/still", alice, ROOT / "examples" / "static", sdk="static") == "RUNNING"
    host = {"Host": f"alice-still.localhost:{platform.port}"}
    page = requests.get(f"{platform.url}/", headers=host, timeout=10)
    assert "Perceptron playground" in page.text
    script = requests.get(f"{platform.url}/perceptron.js", headers=host, timeout=10)
    assert script.headers["content-type"].startswith("text/javascript")
    assert requests.get(f"{platform.url}/nothing.js", headers=host, timeout=10).status_code == 404


def test_bad_front_matter_is_told_with_its_line(platform: Platform, alice: str, tmp_path: Path) -> None:
    folder = written(tmp_path, app__py="import gradio", README__md="---\ntitle: x\nsdk: gradoi\n---\n")
    with pytest.raises(ValueError, match="line 3"):
        platform.push("alice/typo", alice, folder)


def test_a_space_without_its_app_file_says_which_one(platform: Platform, alice: str, tmp_path: Path) -> None:
    folder = written(tmp_path, README__md="---\nsdk: gradio\napp_file: main.py\n---\n")
    assert platform.push("alice/empty", alice, folder) == "NO_APP_FILE"
    assert "main.py" in reason(platform, "alice/empty", alice)


def test_a_failed_build_shows_the_reason_and_the_log(platform: Platform, alice: str, tmp_path: Path) -> None:
    folder = written(
        tmp_path,
        app__py="print(1)",
        requirements__txt="surely-no-such-package-xyz==9.9.9\n",
        README__md="---\nsdk: gradio\n---\n",
    )
    assert platform.push("alice/unbuilt", alice, folder) == "BUILD_ERROR"
    log = platform.hf(alice, "spaces", "logs", "alice/unbuilt", "--build").stdout
    assert "surely-no-such-package-xyz" in log


def test_an_app_that_exits_shows_its_last_lines_and_can_be_mended(
    platform: Platform, alice: str, tmp_path: Path
) -> None:
    folder = written(
        tmp_path,
        app__py="raise RuntimeError('the model file is missing')\n",
        README__md="---\nsdk: gradio\n---\n",
    )
    assert platform.push("alice/broken", alice, folder) == "RUNTIME_ERROR"
    assert "the model file is missing" in reason(platform, "alice/broken", alice)
    refusal = requests.get(f"{platform.run_url('alice/broken')}config", timeout=10)
    assert refusal.status_code == 503
    assert "stopped with an error" in refusal.json()["error"]
    mended = (APPS / "echo" / "app.py").read_bytes()
    platform.api(alice).upload_file(
        path_or_fileobj=mended, path_in_repo="app.py", repo_id="alice/broken", repo_type="space"
    )
    wait_until(lambda: platform.stage("alice/broken", alice) == "RUNNING", "it runs", timeout_s=90)


def test_secrets_and_variables_reach_the_app_and_no_reader(
    platform: Platform, alice: str, charlie: str, tmp_path: Path
) -> None:
    code = (
        "import os, gradio as gr\n"
        "gr.Interface(lambda k: os.environ.get(k, 'absent'), 'text', 'text', api_name='env').launch()\n"
    )
    folder = written(tmp_path, app__py=code, README__md="---\nsdk: gradio\n---\n")
    stage = platform.push(
        "alice/env", alice, folder, space_secrets=[{"key": "TOKEN", "value": "s3cret"}],
        space_variables=[{"key": "MODE", "value": "fast"}],
    )  # fmt: skip
    assert stage == "RUNNING"
    url = f"{platform.run_url('alice/env')}gradio_api/run/env"

    def value(key: str) -> str:
        return str(requests.post(url, json={"data": [key]}, timeout=30).json()["data"][0])

    assert (value("TOKEN"), value("MODE")) == ("s3cret", "fast")
    assert (value("DATABASE_URL"), value("REDIS_URL"), value("SYSTEM")) == ("absent",) * 3
    assert "s3cret" not in str(platform.api(alice).get_space_secrets("alice/env"))
    platform.api(alice).add_space_variable("alice/env", "MODE", "slow")
    wait_until(lambda: value("MODE") == "slow", "the new value is there", timeout_s=60)


def test_a_private_space_is_nobody_elses(platform: Platform, alice: str, charlie: str) -> None:
    assert platform.push("alice/mine", alice, APPS / "echo", visibility="private") == "RUNNING"
    url = f"{platform.run_url('alice/mine')}config"
    assert requests.get(url, timeout=10).status_code == 404
    stranger = {"Authorization": f"Bearer {charlie}"}
    assert requests.get(url, headers=stranger, timeout=10).status_code == 404
    owner = {"Authorization": f"Bearer {alice}"}
    assert requests.get(url, headers=owner, timeout=10).status_code == 200
    host = {"Host": f"alice-mine.localhost:{platform.port}"}
    assert requests.get(f"{platform.url}/", headers=host, timeout=10).status_code == 404


def test_a_deleted_space_leaves_nothing_behind(platform: Platform, alice: str) -> None:
    assert platform.push("alice/gone", alice, APPS / "echo") == "RUNNING"
    platform.api(alice).delete_repo("alice/gone", repo_type="space")
    assert requests.get(f"{platform.run_url('alice/gone')}config", timeout=10).status_code == 404
    assert not platform.api(alice).repo_exists("alice/gone", repo_type="space")
