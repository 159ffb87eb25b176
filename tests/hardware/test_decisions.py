"""Pure decisions of the hardware side: devices, dependencies, the telling of an exit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from hardware import devices
from hardware.devices import Device
from hardware.runtimes import dependencies
from hardware.runtimes.base import BuildFailed, BuildSpec
from hardware.runtimes.docker_build import gradio_dockerfile
from hardware.runtimes.docker_network import addresses
from hardware.runtimes.environment import describe_exit, size
from hardware.tiers import BUILT_IN

if TYPE_CHECKING:
    from pathlib import Path


def test_a_tier_takes_only_devices_of_its_model_with_its_memory() -> None:
    t4 = Device(uuid="GPU-1", name="Tesla T4", memory_bytes=15_360 * 1024**2)
    small = Device(uuid="GPU-2", name="NVIDIA A100-PCIE-40GB", memory_bytes=40 * 1024**3)
    large = Device(uuid="GPU-3", name="NVIDIA A100-SXM4-80GB", memory_bytes=80 * 1024**3)
    other = Device(uuid="GPU-4", name="NVIDIA T400", memory_bytes=80 * 1024**3)
    there = [t4, small, large, other]
    assert devices.fitting(BUILT_IN["t4"], there) == [t4]
    assert devices.fitting(BUILT_IN["a100"], there) == [large]
    assert devices.fitting(BUILT_IN["cpu"], there) == []


def test_devices_of_this_machine_are_listed_with_or_without_a_driver() -> None:
    assert all(device.uuid.startswith("GPU-") for device in devices.found())


def spec(source: Path, **more: str) -> BuildSpec:
    return BuildSpec(space="a/b", space_id=1, sha="0" * 40, sdk="gradio", source=source, **more)  # type: ignore[arg-type]


def test_gradio_is_what_the_card_says_else_requirements_else_the_platforms(tmp_path: Path) -> None:
    assert dependencies.read(spec(tmp_path)).gradio == f"gradio=={dependencies.DEFAULT_GRADIO}"
    (tmp_path / "requirements.txt").write_text("gradio_client\nnumpy\n")
    assert dependencies.read(spec(tmp_path)).gradio == f"gradio=={dependencies.DEFAULT_GRADIO}"
    (tmp_path / "requirements.txt").write_text("numpy\ngradio[oauth]>=5\n")
    assert dependencies.read(spec(tmp_path)).gradio == ""
    assert dependencies.read(spec(tmp_path)).constraints == ()
    (tmp_path / "requirements.txt").write_text("gradio[oauth]==4.44.1\n")
    assert "pydantic<2.11" in dependencies.read(spec(tmp_path)).constraints
    told = dependencies.read(spec(tmp_path, sdk_version="5.50.0"))
    assert (told.gradio, told.overrides) == ("gradio==5.50.0", True)
    assert "huggingface_hub<1" in told.constraints
    with pytest.raises(BuildFailed, match=r"sdk_version '2\.0'"):
        dependencies.read(spec(tmp_path, sdk_version="2.0"))


@pytest.mark.parametrize(("asked", "found"), [("", ""), ("3.10", "3.10"), ("3.12.4", "3.12")])
def test_any_python_with_the_first_two_numbers_serves(tmp_path: Path, asked: str, found: str) -> None:
    assert dependencies.read(spec(tmp_path, python_version=asked)).python_version == found


@pytest.mark.parametrize("asked", ["3.9", "3", "3.10-dev", "4.0", "/data/python", "--help", "3.12\n", "٣.١٢"])
def test_no_other_python_is_looked_for(tmp_path: Path, asked: str) -> None:
    """uv would run a path, to see what Python it is."""
    with pytest.raises(BuildFailed, match=r"Name one from 3\.10 on"):
        dependencies.read(spec(tmp_path, python_version=asked))


def test_the_key_changes_with_what_is_installed_and_with_nothing_else(tmp_path: Path) -> None:
    before = dependencies.read(spec(tmp_path)).key
    (tmp_path / "app.py").write_text("changed")
    assert dependencies.read(spec(tmp_path)).key == before
    (tmp_path / "requirements.txt").write_text("numpy\n")
    assert dependencies.read(spec(tmp_path)).key != before


@pytest.mark.parametrize(
    ("line", "is_local"),
    [
        ("./package", True), ("-r more.txt", True), ("-e .", True), ("wheels/a.whl", True),
        ("numpy>=2", False), ("a @ https://example.org/a.whl", False), ("# ./comment", False),
    ],
)  # fmt: skip
def test_the_code_comes_first_only_when_requirements_point_at_it(
    tmp_path: Path, line: str, *, is_local: bool
) -> None:
    (tmp_path / "requirements.txt").write_text(line + "\n")
    wanted = dependencies.read(spec(tmp_path))
    dockerfile, _ = gradio_dockerfile(wanted, "base")
    steps = dockerfile.splitlines()
    code = next(i for i, step in enumerate(steps) if "code/" in step)
    install = next(i for i, step in enumerate(steps) if "requirements.txt" in step)
    assert (code < install) == is_local


def test_a_freed_address_comes_back_only_after_thousands_of_others() -> None:
    import ipaddress

    subnet = ipaddress.IPv4Network("10.213.0.0/20")
    first = [next(addresses(subnet, replica)) for replica in range(1, 4000)]
    assert len(set(first)) == len(first)
    assert str(subnet[1]) not in first
    assert str(subnet.broadcast_address) not in first


def test_an_exit_is_told_in_a_sentence() -> None:
    def told(code: int | None, *, oom: bool = False) -> str:
        return describe_exit(
            code, out_of_memory=oom, memory_limit_bytes=4 * 1024**3, last_lines=["Traceback", ""]
        ).reason

    assert told(1) == "The app exited with code 1.\nLast lines:\nTraceback"
    assert told(137, oom=True).startswith("The app ran out of memory (limit 4 GB).")
    assert told(0).startswith("The app ended by itself")
    assert "signal 9" in told(137)
    assert "signal 15" in told(-15)
    assert told(None).startswith("The app is gone")
    assert (size(4 * 1024**3), size(512 * 1024**2), size(1)) == ("4 GB", "512 MB", "1 B")


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ("numpy\n".encode("utf-16"), r"requirements\.txt, line 1: the file is UTF-16"),
        (b"numpy\n# caf\xe9\n", r"requirements\.txt, line 2: this is not UTF-8"),
    ],
)
def test_requirements_that_are_not_utf_8_are_refused_with_their_line(
    tmp_path: Path, raw: bytes, says: str
) -> None:
    (tmp_path / "requirements.txt").write_bytes(raw)
    with pytest.raises(BuildFailed, match=says):
        dependencies.read(spec(tmp_path))


def test_requirements_with_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_bytes("gradio==4.44.1\n".encode("utf-8-sig"))
    assert dependencies.read(spec(tmp_path)).gradio == ""


@pytest.mark.parametrize(
    "text",
    [
        "gradio" + " " * 1_000_000 + "x",
        "gradio[\n" * 200_000,
        " " * 1_000_000 + "x",
        "gradio==" + "9" * 100_000,
    ],
)
def test_no_requirements_keep_a_build_busy(tmp_path: Path, text: str) -> None:
    """Patterns that try a place in two ways would be at it for hours."""
    (tmp_path / "requirements.txt").write_text(text)
    assert dependencies.read(spec(tmp_path)).constraints == ()


HOSTS = "requirements.txt, line {}: this platform installs nothing from {!r}."


@pytest.mark.parametrize(
    "line",
    [
        "numpy==2.0",
        "--extra-index-url https://download.pytorch.org/whl/cpu",
        "tool @ git+https://user:word@GitHub.com:443/a/b@main#egg=tool",
        "# from https://evil.example/",
        "numpy  # see https://evil.example/",
        "-f ./wheels",
        "--find-links file:///wheels",
        "x @ https://codeload.github.com/a.zip",
    ],
)
def test_requirements_of_allowed_hosts(tmp_path: Path, settings: Any, line: str) -> None:
    settings.SPACEPORT_PACKAGE_HOSTS = ["github.com", "download.pytorch.org"]
    (tmp_path / "requirements.txt").write_text(f"gradio\n{line}\n")
    assert dependencies.read(spec(tmp_path)).requirements


@pytest.mark.parametrize(
    ("text", "number", "host"),
    [
        ("--extra-index-url https://evil.example/simple", 2, "evil.example"),
        ("-ihttp://evil.example:8080/simple", 2, "evil.example"),
        ("tool @ git+https://github.com@evil.example/a", 2, "evil.example"),
        ("tool @ https://notgithub.com/a.zip", 2, "notgithub.com"),
        ("numpy\n\ntool @ HTTPS:\\\n//evil.example/a.zip", 5, "evil.example"),
        ("tool @ git+ssh://git@evil.example/a.git", 2, "evil.example"),
        ("tool @ https:////evil.example/a.zip", 2, "evil.example"),
        ("https://github.com/a.zip https://evil.example/b.zip", 2, "evil.example"),
    ],
)
def test_requirements_of_other_hosts_name_their_line(
    tmp_path: Path, settings: Any, text: str, number: int, host: str
) -> None:
    (tmp_path / "requirements.txt").write_text(f"gradio\n{text}\n")
    assert dependencies.read(spec(tmp_path)).requirements
    settings.SPACEPORT_PACKAGE_HOSTS = ["github.com"]
    with pytest.raises(BuildFailed, match=re.escape(HOSTS.format(number, host))):
        dependencies.read(spec(tmp_path))


def test_an_address_in_a_variable_is_not_known(tmp_path: Path, settings: Any) -> None:
    settings.SPACEPORT_PACKAGE_HOSTS = ["github.com"]
    (tmp_path / "pre-requirements.txt").write_text("tool @ ${WHERE}/a.zip")
    with pytest.raises(BuildFailed, match=r"pre-requirements.txt, line 1: variables"):
        dependencies.read(spec(tmp_path))
