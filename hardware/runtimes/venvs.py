"""Virtual environments of the process runtime: one for each set of dependencies, shared by its Spaces."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import uv

from hardware.runtimes.base import BuildFailed
from infra import file_locks

if TYPE_CHECKING:
    from pathlib import Path

    from hardware.runtimes.base import Log
    from hardware.runtimes.dependencies import Dependencies

#: Variables of the platform's own environment that installs and apps may see: how to reach the network.
NETWORK_VARIABLES = (
    "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT",
    "NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy",
    "https_proxy", "no_proxy", "LANG",
)  # fmt: skip
INSTALL_VARIABLES = ("PATH", "HOME", "UV_CACHE_DIR", "UV_INDEX_URL", "UV_DEFAULT_INDEX", "PIP_INDEX_URL")

#: Runs a command that ends when the thread that waits for it does, however that ends: what a killed worker
#: left behind would go on writing where its successor writes (Linux).
WITH_US = (
    "import ctypes, os, sys\n"
    "ctypes.CDLL(None).prctl(1, 9)\n"  # PR_SET_PDEATHSIG, SIGKILL
    "if os.getppid() == int(sys.argv[1]): os.execv(sys.argv[2], sys.argv[2:])\n"
)

#: Compiles what has no bytecode yet; not pip, which apps do not import. What is no Python of this version
#: stays as it is.
COMPILE = (
    "import compileall, re, sys\n"
    "compileall.compile_dir(sys.argv[1], quiet=2, workers=0, rx=re.compile('/site-packages/pip/'))"
)
#: How often to start over when an environment is removed while it is made.
ATTEMPTS = 2
#: How long an environment is kept that nothing was built or started with.
KEPT_S = 30 * 24 * 3600
#: The number of other environments searched for bytecode.
SHARED_WITH = 4


def passed_on(names: tuple[str, ...]) -> dict[str, str]:
    """These variables of ours, where set. Nothing else of the platform's environment is ever handed on."""
    return {name: os.environ[name] for name in names if name in os.environ}


def interpreter(version: str, log: Log) -> str:
    """The Python of this version ("3.12"; empty: the one the platform runs on), fetched where there is none.

    Raises:
        BuildFailed: there is none, and none can be fetched; names the ones there are.
    """
    if not version or version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    if found := _found(version):
        return found
    log(f"There is no Python {version} on this machine: fetching it, once.")
    fetched = _uv("python", "install", version)
    if found := _found(version):
        return found
    listed = _uv("python", "list", "--only-installed").stdout.split()
    there = {".".join(word.split("-")[1].split(".")[:2]) for word in listed if word.startswith("cpython-")}
    why = (fetched.stderr.strip().splitlines() or ["uv failed."])[0]
    raise BuildFailed(
        f"README.md asks for python_version {version}, but this machine has {', '.join(sorted(there))}, "
        f"and no other can be fetched: {why[:300]} Change the version, or install that Python here."
    )


def _found(version: str) -> str:
    """The path of such a Python on this machine; "": there is none."""
    found = _uv("python", "find", "--system", "--no-python-downloads", version)
    return found.stdout.strip() if found.returncode == 0 else ""


def ensure(root: Path, wanted: Dependencies, source: Path, timeout_s: float, log: Log) -> Path:
    """The environment with these dependencies, made now if there is none yet; answers its folder.

    Raises:
        BuildFailed: an install failed or took too long.
    """
    python = interpreter(wanted.python_version, log)
    folder = root / f"py{'.'.join(_version_of(python))}-{wanted.key}"
    root.mkdir(parents=True, exist_ok=True)
    with file_locks.waited_for(root / f"{folder.name}.lock"):
        if is_whole(folder):
            used(folder)
            log("Dependencies are unchanged: nothing to install.")
            return folder
        failure = BuildFailed("The environment was removed while it was made. Try again.")
        for _ in range(ATTEMPTS):
            try:
                _make(folder, python, wanted, source, timeout_s, log)
                # That of the folder that was begun: it is not there if somebody has removed it meanwhile.
                (folder / "begun").rename(folder / "complete")
            except BuildFailed as error:
                failure = error
            except FileNotFoundError:
                log("The environment was removed while it was made.")
            else:
                return folder
            if (folder / "begun").exists():
                break
        raise failure


def is_whole(folder: Path) -> bool:
    """Whether this environment was made to its end, and not removed in part."""
    return (folder / "complete").exists() and (folder / "bin" / "python").exists()


def _make(folder: Path, python: str, wanted: Dependencies, source: Path, timeout_s: float, log: Log) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "begun").touch()
    begin = ["venv", "-q", "--seed", "--allow-existing", "--python", python, str(folder)]
    run([uv.find_uv_bin(), *begin], source, timeout_s, log)
    python = str(folder / "bin" / "python")
    for command in install_commands(wanted, python, folder):
        run([uv.find_uv_bin(), *command], source, timeout_s, log)
    _share_bytecode(folder)
    run([python, "-IS", "-c", COMPILE, str(folder / "lib")], source, timeout_s, log)


def used(folder: Path) -> None:
    """Keep this environment for another `KEPT_S`."""
    folder.with_name(f"{folder.name}.lock").touch()


def remove_unused(root: Path, running: set[Path], now: float) -> None:
    """Remove environments that no app was built or started with for `KEPT_S`; a Space that wants one again is
    built again. `running`: those of apps that run."""
    for note in root.glob("py*.lock"):
        folder = note.with_suffix("")
        if folder in running or not folder.exists() or note.stat().st_mtime > now - KEPT_S:
            continue
        with note.open("a") as lock:
            if file_locks.try_lock(lock):  # nobody makes it anew just now
                (folder / "complete").unlink(missing_ok=True)  # from now on it is none
                shutil.rmtree(folder, ignore_errors=True)


def _share_bytecode(folder: Path) -> None:
    """Link the bytecode that the latest other environments have of the same files.

    uv links files from its cache, so a file of a release has one inode. Where uv copied, nothing is shared.
    """
    python = folder.name.partition("-")[0]
    tag = "cpython-" + python.removeprefix("py").replace(".", "")
    complete = sorted(folder.parent.glob(f"{python}-*/complete"), key=lambda path: -path.stat().st_mtime)
    others = [path.parent for path in complete[:SHARED_WITH]]
    for source in folder.glob("lib/python*/site-packages/**/*.py"):
        name = f"__pycache__/{source.stem}.{tag}.pyc"
        for other in others:
            there = other / source.relative_to(folder)
            with contextlib.suppress(OSError):  # there is none, or it goes just now
                if there.samefile(source):
                    source.with_name("__pycache__").mkdir(exist_ok=True)
                    (source.parent / name).hardlink_to(there.parent / name)
                    break


def install_commands(wanted: Dependencies, python: str, notes: Path) -> list[list[str]]:
    """The uv commands that install the dependencies; their input files are written to `notes`."""
    common = ["pip", "install", "--python", python]
    files = input_files(wanted)
    for name, text in files.items():
        (notes / name).write_text(text)
    options = [
        *(["--overrides", str(notes / "overrides.txt")] if "overrides.txt" in files else []),
        *(["--constraints", str(notes / "constraints.txt")] if "constraints.txt" in files else []),
    ]
    commands = []
    if wanted.pre_requirements:
        commands.append([*common, "-r", str(notes / "pre-requirements.txt")])
    what = wanted.named
    if wanted.requirements.strip():
        # Read where it lies: it may point at files beside it.
        what += ["-r", "requirements.txt"]
    commands.append([*common, *options, *what])
    return commands


def input_files(wanted: Dependencies) -> dict[str, str]:
    """Files that the install commands name, beside the repository's own requirements.txt."""
    files = {}
    if wanted.overrides:
        files["overrides.txt"] = wanted.gradio + "\n"
    if wanted.constraints:
        files["constraints.txt"] = "\n".join(wanted.constraints) + "\n"
    if wanted.pre_requirements:
        files["pre-requirements.txt"] = wanted.pre_requirements
    return files


def run(command: list[str], cwd: Path, timeout_s: float, log: Log) -> None:
    """Run an install command, its output line by line to `log`; ended with all its children on failure.

    Raises:
        BuildFailed: it failed, or took longer than `timeout_s`.
    """
    environment = passed_on(NETWORK_VARIABLES + INSTALL_VARIABLES)
    if "PIP_INDEX_URL" in environment:
        environment.setdefault("UV_DEFAULT_INDEX", environment["PIP_INDEX_URL"])
    if sys.platform == "linux":
        command = [sys.executable, "-IS", "-c", WITH_US, str(os.getpid()), *command]
    process = subprocess.Popen(  # noqa: S603  # arguments are ours; requirements are the owner's business
        command, cwd=cwd, env={**environment, "UV_PYTHON_DOWNLOADS": "never", "NO_COLOR": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
        errors="replace", start_new_session=True,
    )  # fmt: skip
    late = threading.Event()

    def end() -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    def too_late() -> None:
        late.set()
        end()

    timer = threading.Timer(timeout_s, too_late)
    timer.start()
    last = ""
    try:
        for line in process.stdout or ():
            if line.strip():
                last = line.strip()
                log(line.rstrip())
        process.wait()
    finally:
        timer.cancel()
        end()
        process.wait()
    if late.is_set():
        raise BuildFailed(f"Installing the dependencies took longer than {timeout_s:.0f} s and was stopped.")
    if process.returncode:
        raise BuildFailed(
            f"The dependencies could not be installed: {last} "
            "The build log names it; correct requirements.txt or sdk_version."
        )


def _version_of(python: str) -> tuple[str, str]:
    if python == sys.executable:
        return str(sys.version_info.major), str(sys.version_info.minor)
    out = subprocess.run(  # noqa: S603  # a Python that uv found
        [python, "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, text=True, check=True
    )
    major, minor = out.stdout.split()
    return major, minor


def _uv(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  # arguments are ours
        [uv.find_uv_bin(), *arguments], capture_output=True, text=True, check=False
    )
