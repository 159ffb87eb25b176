"""An app that is forked from a process that has imported Gradio cannot tell, nor can its visitors."""

from __future__ import annotations

import importlib
import json
import os
import re
import signal
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from hardware.runtimes import shim, standby
from hardware.runtimes.base import Artifact, BuildSpec, ReplicaSpec
from hardware.runtimes.base_image import LAUNCHER
from hardware.runtimes.process import ProcessRuntime
from hardware.runtimes.standby import Standby
from tests.platform_server import lend_environments
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hardware.runtimes.base import Running

IMPORT = "import gradio as gr"
SERVES = "\ngr.Interface(lambda x: x, 'text', 'text').launch()\n"
STATE = Path(__file__).parent.parent / "apps" / "state" / "app.py"


class Bench:
    """Starts apps in a runtime of its own, and says whether they were forked."""

    def __init__(self, home: Path, standby: int, gradio: str = "") -> None:
        lend_environments(home)
        self.home, self._gradio, self._number = home, gradio, 0
        self.runtime = ProcessRuntime(home, standby=standby)

    def start(self, source: str, *, files: dict[str, str] | None = None, **env: str) -> Running:
        self._number += 1
        code = self.home / "sources" / str(self._number)
        for name, text in {"app.py": source, **(files or {})}.items():
            (code / name).parent.mkdir(parents=True, exist_ok=True)
            (code / name).write_text(text)
        artifact = self.build(code)
        return self.runtime.start(self._number, self.spec(artifact, env))

    def build(self, code: Path) -> Artifact:
        spec = BuildSpec(
            space="a/b", space_id=1, sha=f"{self._number:040}", sdk="gradio", source=code,
            sdk_version=self._gradio,
        )  # fmt: skip
        return self.runtime.build(spec, lambda _line: None)

    def spec(self, artifact: Artifact, env: dict[str, str]) -> ReplicaSpec:
        return ReplicaSpec(space="a/b", space_id=1, sdk="gradio", artifact=artifact, tier="cpu", env=env)

    def until_serving(self, running: Running) -> Running:
        def serves() -> bool:
            assert (ended := self.runtime.poll(running.runtime_id)) is None, ended
            try:
                return requests.get(f"http://{running.address}/config", timeout=5).ok
            except requests.RequestException:
                return False

        wait_until(serves, "the app serves", 60)
        return running

    def is_forked(self, running: Running) -> bool:
        return b"--standby" in Path(f"/proc/{self.app_of(running)}/cmdline").read_bytes()

    def reason(self, code: Path, source: str, **env: str) -> str:
        """Why this app would get a process of its own."""
        (code / "app.py").write_text(source)
        artifact = self.build(code)
        app = self.runtime.app(self.spec(artifact, env), code, 1, ())
        if not self.standby():
            self.until_serving(self.start(IMPORT + SERVES))
        (ready,) = (self.home / "standby").glob("*/ready.json")
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(LAUNCHER)
            noticing = importlib.import_module("spaceport_launcher.standby.noticing")
        reason: str = noticing.reason(code / "app.py", app.env, app.usual_env, json.loads(ready.read_text()))
        return reason

    def standby(self) -> list[int]:
        """The process ids of what waits."""
        states = [json.loads(path.read_text()) for path in (self.home / "standby").glob("*/state.json")]
        return [state["pid"] for state in states if shim.is_alive(state)]

    def app_of(self, running: Running) -> int:
        """The app's process id."""
        pid: int = wait_until(
            lambda: min(shim.descendants(self.state(running)["pid"]), default=0), "the app runs"
        )
        return pid

    def state(self, running: Running) -> dict[str, Any]:
        state: dict[str, Any] = json.loads((self.folder(running) / "state.json").read_text())
        return state

    def folder(self, running: Running) -> Path:
        return self.home / "replicas" / running.runtime_id.partition("-")[0]

    def log(self, running: Running) -> list[str]:
        lines = (self.folder(running) / "log").read_text().splitlines()
        return [line.partition(" ")[2] for line in lines]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    made = Bench(tmp_path_factory.mktemp("standby"), 2)
    yield made
    made.runtime.dispose()


DIFFERENT = {
    "gradio.workflow.WRITE_TOKEN",  # each process draws its own
    "fsspec.asyn.lock",  # fsspec sets it in each fork, and nothing reads it
}


@pytest.mark.parametrize("gradio", ["", "5.50.0", "4.44.1", "3.50.2"])
def test_nothing_in_the_process_shows_the_fork(gradio: str, tmp_path: Path) -> None:
    states, logs = [], []
    for most in (0, 1):
        (tmp_path / str(most)).mkdir()
        bench = Bench(tmp_path / str(most), most, gradio)
        try:
            running = bench.until_serving(bench.start(STATE.read_text(), OWN="mine"))
            assert bench.is_forked(running) == bool(most)
            text = (bench.folder(running) / "home" / "state.json").read_text()
            # Of a Python that is no position-independent executable, the heap has short addresses.
            text = re.sub(r"\b\d{12,}|(?<=\w:)\d{7,}\b", "ADDRESS", text.replace(str(bench.home), "HOME"))
            state = {name: value for name, value in json.loads(text).items() if name not in DIFFERENT}
            for part, own in (("pid", bench.app_of(running)), ("PORT", running.address.partition(":")[2])):
                for name in [name for name in state if part in name]:
                    state[name] = re.sub(rf"\b{own}\b", "its own", state[name])
            states.append(state)
            # Gradio 4 counts the starts in an environment, and gives thanks at some of them.
            lines = [line for line in bench.log(running) if line and not line.startswith("Thanks for being")]
            logs.append([line for line in lines if "URL" not in line])
        finally:
            bench.runtime.dispose()
    by_itself, forked = ({f"{k}: {v}" for k, v in state.items()} for state in states)
    assert sorted(by_itself ^ forked) == []
    assert logs[0] == logs[1]


def test_forks_draw_their_own_random_numbers(bench: Bench) -> None:
    draws = (
        "import gradio as gr, numpy, os, random, uuid, multiprocessing, gradio.workflow\n"
        "print(random.random(), numpy.random.rand(), uuid.uuid4(), os.urandom(4).hex())\n"
        "print(multiprocessing.current_process().authkey.hex(), gradio.workflow.WRITE_TOKEN)"
    )
    drawn = set()
    for _ in range(2):
        running = bench.until_serving(bench.start(draws + SERVES))
        assert bench.is_forked(running)
        drawn |= set(" ".join(bench.log(running)[:2]).split())
        bench.runtime.stop(running.runtime_id)
    assert len(drawn) == 12


def test_only_whole_folders_and_the_port_itself_are_changed(bench: Bench) -> None:
    source = (
        f"{IMPORT}, gradio.node_server, huggingface_hub.constants\n"
        "print(huggingface_hub.constants.HF_HOME, gradio.node_server.INITIAL_PORT_VALUE)"
    )
    port = standby.NO_PORT
    running = bench.until_serving(bench.start(source + SERVES, HF_HOME=f"/{port}/of/{port}"))
    assert bench.is_forked(running)
    assert bench.log(running)[0] == f"/{port}/of/{port} {running.address.partition(':')[2]}"


@pytest.mark.parametrize(
    ("source", "is_forked"),
    [
        (IMPORT, True),
        (f'"""What it is."""\nfrom __future__ import annotations\nimport os, numpy as np\n{IMPORT}', True),
        (f"SIZE: int = 3\nNAMES = ['a', 'b']\ndef f(x: list[str] = 3) -> int | None: ...\n{IMPORT}", True),
        (f"import os\nos.environ['MINE'] = '1'\n{IMPORT}", True),
        (f"import os\nos.environ['HF_HUB_OFFLINE'] = '1'\n{IMPORT}", False),
        (f"import os\nos.environ['OMP_NUM_THREADS'] = '1'\n{IMPORT}", False),
        (f"import os\nos.environ['SOME_PROXY'] = 'http://localhost:1'\n{IMPORT}", False),
        (f"import os\nos.environ.update(MINE='1')\n{IMPORT}", False),
        (f"import os\nSIZE = os.cpu_count()\n{IMPORT}", False),
        (f"def f(x=print('once')): ...\n{IMPORT}", False),
        (f"@print\ndef f(): ...\n{IMPORT}", False),
        (f"class Own: ...\n{IMPORT}", False),
        (f"import pytz\n{IMPORT}", True),  # Gradio's pandas looks for it
        (f"import own\n{IMPORT}", False),
        (f"from . import own\n{IMPORT}", False),
        (f"try:\n    {IMPORT}\nexcept ImportError:\n    raise", False),
        ("exec('import gradio as gr')", False),
    ],
)  # fmt: skip
def test_only_what_cannot_notice_is_forked(
    bench: Bench, source: str, is_forked: bool, tmp_path: Path
) -> None:
    assert (bench.reason(tmp_path, source) == "") == is_forked


@pytest.mark.parametrize(
    ("env", "is_forked"),
    [
        ({"MINE": "1", "HF_HOME": "/data/hub"}, True),
        ({"HF_ENDPOINT": "http://localhost:1"}, False),
        ({"XDG_CACHE_HOME": "/data"}, False),
        ({"TZ": "Asia/Tokyo"}, False),
        ({"PYTHONWARNINGS": "error"}, False),
        ({"FSSPEC_S3_KEY": "x"}, False),
        ({"https_proxy": "http://localhost:1"}, False),
    ],
)
def test_a_variable_that_an_import_reads_prevents_the_fork(
    bench: Bench, env: dict[str, str], is_forked: bool, tmp_path: Path
) -> None:
    assert (bench.reason(tmp_path, IMPORT, **env) == "") == is_forked


@pytest.mark.parametrize("name", ["numpy.py", "pandas/__init__.py", "httpx/notes.txt"])
def test_a_module_of_its_own_that_gradio_would_import_prevents_the_fork(
    bench: Bench, name: str, tmp_path: Path
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    assert Path(name).parts[0].partition(".")[0] in bench.reason(tmp_path, IMPORT)


def test_what_could_notice_gets_a_process_of_its_own(bench: Bench, tmp_path: Path) -> None:
    tells = "import os, sys\nprint(sys.argv, sys.orig_argv[1:], os.getcwd(), os.environ['OWN'])\n"
    logs, alone = [], Bench(tmp_path, 0)
    try:
        for one in (bench, alone):
            running = one.until_serving(one.start(f"{tells}{IMPORT}{SERVES}", OWN="mine"))
            assert not one.is_forked(running)
            logs.append(one.log(running)[0].replace(str(one.folder(running)), ""))
    finally:
        alone.runtime.dispose()
    assert logs[0] == logs[1]


def test_the_first_import_in_an_environment_is_as_good_as_later_ones(bench: Bench, tmp_path: Path) -> None:
    code, home = tmp_path / "code", tmp_path / "home"
    code.mkdir()
    home.mkdir()
    (code / "app.py").write_text(IMPORT)
    [gradio] = Path(bench.build(code).environment).glob("lib/*/site-packages/gradio")
    seed = gradio / "hash_seed.txt"
    seed.unlink(missing_ok=True)
    other = Bench(home, 1)
    try:
        assert other.reason(code, IMPORT) == ""
        assert seed.exists()
    finally:
        other.runtime.dispose()


def test_an_end_reads_as_by_itself(bench: Bench) -> None:
    for source, code in (("import gradio\nraise SystemExit(3)", 3), ("import gradio\n1 / 0", 1)):
        running = bench.start(source)
        ended = wait_until(lambda: bench.runtime.poll(running.runtime_id), "it ends")  # noqa: B023
        assert ended.code == code
    assert bench.log(running) == [
        "Traceback (most recent call last):",
        f'  File "{bench.folder(running)}/home/app/app.py", line 2, in <module>',
        "    1 / 0",
        "    ~~^~~",
        "ZeroDivisionError: division by zero",
    ]


def test_its_memory_limit_and_its_family_are_the_shims(bench: Bench) -> None:
    source = f"{IMPORT}\nimport subprocess\nsubprocess.Popen(['sleep', '1000'], start_new_session=True)"
    running = bench.until_serving(bench.start(source + SERVES))
    assert bench.is_forked(running)
    family = shim.descendants(bench.state(running)["pid"])
    assert len(family) == 2
    bench.runtime.stop(running.runtime_id)
    assert not any(shim.started_at(pid) for pid in family)


def test_a_standby_process_that_is_killed_takes_nothing_with_it(bench: Bench) -> None:
    running = bench.until_serving(bench.start(IMPORT + SERVES))
    for pid in bench.standby():
        os.kill(pid, signal.SIGKILL)
    assert requests.get(f"http://{running.address}/config", timeout=5).ok
    following = bench.until_serving(bench.start(IMPORT + SERVES))
    assert bench.is_forked(following)
    bench.runtime.stop(running.runtime_id)
    assert bench.runtime.poll(running.runtime_id)


def test_where_none_answers_apps_start_by_themselves(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.until_serving(bench.start(IMPORT + SERVES))
    monkeypatch.setattr(standby, "ANSWER_S", 0.5)
    (pid,) = bench.standby()
    os.kill(pid, signal.SIGSTOP)
    assert not bench.is_forked(bench.until_serving(bench.start(IMPORT + SERVES)))
    assert bench.standby() == []


def test_one_that_fails_is_not_tried_for_each_app(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(IMPORT)
    code = tmp_path / "code"
    code.mkdir()
    environment = Path(bench.build(tmp_path).environment)
    python = tmp_path / "env" / "bin" / "python"
    python.parent.mkdir(parents=True)
    (tmp_path / "env" / "complete").touch()
    python.write_text(f"#!/bin/sh\necho begun >>{tmp_path}/begun\nexec {environment}/bin/python -c 1/0")
    python.chmod(0o700)
    waiting = Standby(tmp_path / "standby", 1)
    app = standby.App(python, {}, {"PATH": "/usr/bin:/bin"})
    for _ in range(2):
        assert waiting.fork(app, tmp_path, []) is None
    assert (tmp_path / "begun").read_text() == "begun\n"


def test_a_fork_that_nobody_waits_for_any_more_starts_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.until_serving(bench.start(IMPORT + SERVES))
    (folder,) = (bench.home / "standby").glob("*/")
    with socket.socket(socket.AF_UNIX) as door:
        monkeypatch.chdir(folder)
        door.connect("socket")
        door.sendall(json.dumps({"folder": str(folder), "shim": []}).encode())
        (folder / "start.json").write_text("{}")
        pid = json.loads(door.recv(4096))["pid"]
        assert shim.started_at(pid)
    wait_until(lambda: not shim.started_at(pid), "it ends")
    assert not (folder / "shim.log").exists()


def test_the_least_recently_used_ends_for_a_new_one(tmp_path: Path) -> None:
    bench = Bench(tmp_path, 1)
    try:
        bench.start(IMPORT)
        (first,) = bench.standby()
        bench.runtime = ProcessRuntime(tmp_path, standby=1, hub="http://localhost:1")  # another environment
        bench.start(IMPORT)
        (second,) = bench.standby()
        assert first != second
        assert not shim.started_at(first)
    finally:
        bench.runtime.dispose()
    assert bench.standby() == []


def test_they_end_with_the_platform(bench: Bench) -> None:
    bench.start(IMPORT)
    (pid,) = bench.standby()
    long_ago = time.time() - 1000
    os.utime(bench.home / "standby" / "alive", (long_ago, long_ago))
    wait_until(lambda: not shim.started_at(pid), "it ends")
