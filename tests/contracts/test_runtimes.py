"""One suite for both runtimes: what the platform expects of whatever runs its Spaces."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
from gradio_client import Client

from hardware import readiness
from hardware.runtimes.base import (
    Artifact,
    ArtifactMissing,
    BuildFailed,
    BuildSpec,
    EngineUnavailable,
    ReplicaSpec,
)
from hardware.runtimes.docker import DockerRuntime
from hardware.runtimes.process import ProcessRuntime
from hardware.tiers import TIERS, Limits
from tests.platform_server import lend_environments
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hardware.runtimes.base import Running, Runtime

APPS = Path(__file__).parent.parent / "apps"
SPACE_ID = 41


@pytest.fixture(scope="module", params=["process", pytest.param("docker", marks=pytest.mark.docker)])
def runtime(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    home = tmp_path_factory.mktemp(f"{request.param}-home")
    if request.param == "process":
        lend_environments(home)
        made: Runtime = ProcessRuntime(home)
    else:
        try:
            made = DockerRuntime(home)
        except EngineUnavailable as error:
            if os.environ.get("SPACEPORT_REQUIRE_DOCKER"):
                raise
            pytest.skip(str(error))
    yield made
    made.dispose()


def build_spec(app: str | Path, sha: str = "a" * 40, **more: object) -> BuildSpec:
    values: dict[str, object] = {
        "space": "alice/demo", "space_id": SPACE_ID, "sha": sha, "sdk": "gradio", "source": APPS / app,
        **more,
    }  # fmt: skip
    return BuildSpec(**values)  # type: ignore[arg-type]


def replica_spec(artifact: Artifact, **more: object) -> ReplicaSpec:
    values: dict[str, object] = {
        "space": "alice/demo", "space_id": SPACE_ID, "sdk": "gradio", "artifact": artifact, "tier": "cpu",
        **more,
    }  # fmt: skip
    return ReplicaSpec(**values)  # type: ignore[arg-type]


def build(runtime: Runtime, app: str | Path, sha: str = "a" * 40, **more: object) -> Artifact:
    return runtime.build(build_spec(app, sha, **more), lambda _line: None)


def until_ready(runtime: Runtime, running: Running, sdk: str = "gradio") -> None:
    def is_ready() -> bool:
        assert runtime.poll(running.runtime_id) is None
        return asyncio.run(readiness.answers(running.address, sdk))

    wait_until(is_ready, "the app answers", 60)


@pytest.fixture(scope="module")
def echo(runtime: Runtime) -> Artifact:
    return build(runtime, "echo")


@pytest.fixture(scope="module")
def running(runtime: Runtime, echo: Artifact) -> Iterator[Running]:
    started = runtime.start(1, replica_spec(echo, env={"COLOUR": "blue", "SYSTEM": "spaces"}))
    until_ready(runtime, started)
    yield started
    runtime.stop(started.runtime_id)


def test_an_app_builds_runs_and_answers(running: Running) -> None:
    client = Client(f"http://{running.address}", verbose=False)
    assert client.predict("hello", api_name="/echo") == "hello"


def test_the_app_sees_its_variables_and_nothing_of_the_platform(running: Running) -> None:
    client = Client(f"http://{running.address}", verbose=False)
    seen = {
        name: client.predict(name, api_name="/environment")
        for name in ("COLOUR", "SYSTEM", "DATABASE_URL", "REDIS_URL", "SPACEPORT_HOME")
    }
    assert seen == {"COLOUR": "blue", "SYSTEM": "", "DATABASE_URL": "", "REDIS_URL": "", "SPACEPORT_HOME": ""}


def test_the_app_may_write_beside_its_code(running: Running) -> None:
    client = Client(f"http://{running.address}", verbose=False)
    assert client.predict("notes.txt", api_name="/write") == "written"
    assert not (APPS / "echo" / "notes.txt").exists()


def test_the_report_names_the_functions(running: Running) -> None:
    report = asyncio.run(readiness.report(running.address))
    assert report["gradio"].startswith("6.")
    assert [function["api_name"] for function in report["functions"]] == ["echo", "environment", "write"]


def test_a_second_start_of_a_replica_answers_the_one_that_runs(
    runtime: Runtime, echo: Artifact, running: Running
) -> None:
    assert runtime.start(1, replica_spec(echo)) == running
    assert runtime.running()[1] == running


def test_use_is_measured(runtime: Runtime, running: Running) -> None:
    stats = runtime.stats(running.runtime_id)
    assert stats is not None
    assert stats.memory_limit_bytes == TIERS["cpu"].memory_bytes
    assert 20e6 < stats.memory_bytes < stats.memory_limit_bytes
    assert stats.cpu_seconds > 0


def test_logs_can_be_followed_and_taken_up_again(runtime: Runtime, running: Running) -> None:
    first = next(iter(runtime.logs(running.runtime_id)))
    assert "Running on local URL" in first.text
    assert abs(first.at - time.time()) < 300
    later: list[str] = []

    def follow() -> None:
        later.extend(line.text for line in runtime.logs(running.runtime_id, since=first.at))

    threading.Thread(target=follow, daemon=True).start()
    wait_until(lambda: later, "the lines after the first")
    assert first.text not in later


def test_a_code_only_change_installs_nothing(runtime: Runtime, echo: Artifact, tmp_path: Path) -> None:
    changed = tmp_path / "source"
    shutil.copytree(APPS / "echo", changed)
    (changed / "app.py").write_text((changed / "app.py").read_text() + "\n# changed\n")
    lines: list[str] = []
    artifact = runtime.build(build_spec(changed, "b" * 40), lines.append)
    assert artifact != echo
    assert not [line for line in lines if "Downloading" in line or "Installed" in line]
    runtime.forget(artifact)
    with pytest.raises(ArtifactMissing, match="not on this node"):
        runtime.start(9, replica_spec(artifact))


def test_what_the_code_says_about_address_and_queue_does_not_matter(runtime: Runtime) -> None:
    started = runtime.start(2, replica_spec(build(runtime, "hardcoded", "c" * 40)))
    until_ready(runtime, started)
    client = Client(f"http://{started.address}", verbose=False)
    assert client.predict("loud", api_name="/shout") == "LOUD"
    report = asyncio.run(readiness.report(started.address))
    assert report["queue"] == {"concurrency_count": 3, "max_size": 7, "api_open": False}
    assert report["max_threads"] == 8
    # Refused by Gradio itself under api_open=False; inside, the platform alone decides.
    direct = f"http://{started.address}/gradio_api/run/shout"
    assert requests.post(direct, json={"data": ["a"]}, timeout=30).json()["data"] == ["A"]
    runtime.stop(started.runtime_id)


def test_a_script_that_never_launches_is_launched(runtime: Runtime) -> None:
    started = runtime.start(3, replica_spec(build(runtime, "docs_style", "d" * 40)))
    until_ready(runtime, started)
    client = Client(f"http://{started.address}", verbose=False)
    assert client.predict("Ada", api_name="/greet") == "Hello Ada"
    runtime.stop(started.runtime_id)


def test_batches_may_grow_beyond_what_the_code_says(runtime: Runtime) -> None:
    started = runtime.start(4, replica_spec(build(runtime, "batch", "e" * 40)))
    until_ready(runtime, started)
    function = asyncio.run(readiness.report(started.address))["functions"][0]
    assert (function["batch"], function["max_batch_size"]) == (True, 4)
    answer = requests.post(
        f"http://{started.address}/gradio_api/run/double",
        json={"data": [list(range(16))], "batched": True},
        timeout=30,
    )
    assert answer.json()["data"] == [[number * 2 for number in range(16)]]
    runtime.stop(started.runtime_id)


def test_the_end_of_an_app_is_told_with_its_code_and_last_lines(runtime: Runtime) -> None:
    started = runtime.start(5, replica_spec(build(runtime, "crash", "f" * 40), env={"EXIT_CODE": "7"}))
    end = wait_until(lambda: runtime.poll(started.runtime_id), "the app ends")
    assert end.code == 7
    assert "exited with code 7" in end.reason
    assert "about to crash" in end.reason
    assert 5 not in runtime.running()


def test_too_much_memory_is_told_as_such(runtime: Runtime, tmp_path: Path) -> None:
    tiny = Limits(cpus=1, memory_bytes=128 * 1024**2, pids=64)
    # The memory is a child's: the engine's own flag does not tell of those.
    hog = "import time; kept = [bytearray(b'x' * 10**6) for _ in range(400)]; time.sleep(60)"
    code = f"import subprocess, sys\nsys.exit(subprocess.call([sys.executable, '-c', {hog!r}]) and 1)\n"
    (tmp_path / "app.py").write_text(code)
    started = runtime.start(6, replica_spec(build(runtime, tmp_path, "1" * 40), limits=tiny))
    end = wait_until(lambda: runtime.poll(started.runtime_id), "the app runs out of memory", 60)
    assert "ran out of memory (limit 128 MB)" in end.reason
    assert end.out_of_memory
    assert end.memory_limit_bytes == tiny.memory_bytes
    # What the engine ends has just all that it may have.
    assert end.memory_peak_bytes > tiny.memory_bytes or runtime.name == "docker"


def test_stopping_ends_every_process_and_is_no_error_twice(runtime: Runtime, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(12345)'], start_new_session=True)\n"
        "print('deaf', flush=True)\ntime.sleep(12345)\n"
    )
    started = runtime.start(7, replica_spec(build(runtime, tmp_path, "2" * 40)))
    wait_until(lambda: next(iter(runtime.logs(started.runtime_id))).text == "deaf", "the app runs")
    begin = time.monotonic()
    runtime.stop(started.runtime_id, grace_s=1)
    assert time.monotonic() - begin < 8
    runtime.stop(started.runtime_id)
    assert 7 not in runtime.running()
    assert runtime.stats(started.runtime_id) is None
    assert "sleep(12345)" not in "".join(
        path.read_bytes().decode(errors="replace")
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if path.exists()
    )


@pytest.mark.parametrize(
    ("files", "more", "message"),
    [
        ({"main.py": ""}, {}, r"looked for app\.py.*main\.py"),
        ({"app.py": ""}, {"python_version": "2.6"}, r"python_version 2\.6.*3\.11"),
        ({"app.py": ""}, {"sdk_version": "latest"}, "sdk_version 'latest'"),
        ({"app.py": "", "packages.txt": "ok\n; rm -rf /\n"}, {}, "packages.txt, line 2"),
        ({"app.py": "", "requirements.txt": "no-such-package-xyzzy==99\n"}, {}, "could not be installed"),
    ],
)
def test_what_cannot_be_built_is_said(
    runtime: Runtime, tmp_path: Path, files: dict[str, str], more: dict[str, str], message: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(BuildFailed, match=f"(?s){message}"):
        build(runtime, tmp_path, **more)


def test_a_link_instead_of_requirements_is_refused(runtime: Runtime, tmp_path: Path) -> None:
    (tmp_path / "app.py").touch()
    (tmp_path / "requirements.txt").symlink_to("/etc/passwd")
    with pytest.raises(BuildFailed, match="symbolic link"):
        build(runtime, tmp_path)


def test_a_build_that_takes_too_long_is_ended(runtime: Runtime, tmp_path: Path) -> None:
    package = tmp_path / "endless"
    package.mkdir()
    (package / "setup.py").write_text("import time; time.sleep(54321)")
    (tmp_path / "app.py").touch()
    (tmp_path / "requirements.txt").write_text("./endless\n")
    begin = time.monotonic()
    with pytest.raises(BuildFailed, match="longer than 10 s"):
        build(runtime, tmp_path, timeout_s=10)
    assert time.monotonic() - begin < 25
    wait_until(
        lambda: (
            not [
                path
                for path in Path("/proc").glob("[0-9]*/cmdline")
                if path.exists() and b"54321" in path.read_bytes()
            ]
        ),
        "nothing is left of the build",
    )


def test_the_docker_sdk(runtime: Runtime) -> None:
    if runtime.name == "process":
        with pytest.raises(BuildFailed, match="Install Docker"):
            build(runtime, "docker_echo", sdk="docker")
        return
    artifact = build(runtime, "docker_echo", "3" * 40, sdk="docker")
    started = runtime.start(8, replica_spec(artifact, sdk="docker", port=8080))
    until_ready(runtime, started, "docker")
    assert requests.get(f"http://{started.address}/a/b", timeout=10).text == "you asked for /a/b"
    runtime.stop(started.runtime_id)
