"""GPUs as NVIDIA's library describes them, played at its boundary: this suite's machines have none."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import ModuleType, SimpleNamespace
from typing import Any

import pynvml
import pytest

from hardware import devices
from hardware.devices import Device, Load
from hardware.tiers import BUILT_IN, GIB

T4 = {"uuid": "GPU-t4", "name": "Tesla T4", "total": 15 * GIB, "used": GIB, "gpu": 40}
SLICES = [
    {"uuid": f"MIG-{number}", "name": "NVIDIA A100-SXM4-80GB MIG 1g.10gb", "total": 9.5 * GIB, "used": 0}
    for number in range(2)
]
CUT = {"uuid": "GPU-a100", "name": "NVIDIA A100-SXM4-80GB", "total": 80 * GIB, "used": 0, "slices": SLICES}


def not_supported(*_: Any) -> Any:
    raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)


class Driver(ModuleType):
    """`pynvml` over these cards. As a real one it answers only while it is open, and with an error where it
    has nothing to say."""

    NVMLError = pynvml.NVMLError

    def __init__(self, *cards: dict[str, Any]) -> None:
        super().__init__("pynvml")
        self.cards, self.opened = cards, 0

    def nvmlInit(self) -> None:
        self.opened += 1

    def nvmlShutdown(self) -> None:
        self.opened -= 1

    def nvmlSystemGetDriverVersion(self) -> str:
        return "550.54.15"

    def nvmlDeviceGetCount(self) -> int:
        assert self.opened
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> dict[str, Any]:
        return self.cards[index] if "lost" not in self.cards[index] else not_supported()

    def nvmlDeviceGetUUID(self, card: dict[str, Any]) -> str:
        return str(card["uuid"])

    def nvmlDeviceGetName(self, card: dict[str, Any]) -> str:
        return str(card["name"])

    def nvmlDeviceGetMemoryInfo(self, card: dict[str, Any]) -> Any:
        return SimpleNamespace(total=card["total"], used=card["used"]) if "total" in card else not_supported()

    def nvmlDeviceGetUtilizationRates(self, card: dict[str, Any]) -> Any:
        return SimpleNamespace(gpu=card["gpu"], memory=1) if "gpu" in card else not_supported()

    def nvmlDeviceGetMigMode(self, card: dict[str, Any]) -> list[int]:
        return [1, 1] if "slices" in card else not_supported()

    def nvmlDeviceGetMaxMigDeviceCount(self, card: dict[str, Any]) -> int:
        return 7

    def nvmlDeviceGetMigDeviceHandleByIndex(self, card: dict[str, Any], slot: int) -> dict[str, Any]:
        there: list[dict[str, Any]] = card["slices"]
        return there[slot] if slot < len(there) else not_supported()


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Any:
    def install(*cards: dict[str, Any]) -> Driver:
        made = Driver(*cards)
        monkeypatch.setitem(sys.modules, "pynvml", made)
        return made

    return install


def test_a_gpu_that_is_cut_is_its_slices(driver: Any) -> None:
    library = driver(T4, CUT)
    assert [device.uuid for device in devices.found()] == ["GPU-t4", "MIG-0", "MIG-1"]
    assert devices.driver() == "550.54.15"
    assert library.opened == 0
    slices = replace(BUILT_IN["a100"], gpu="A100 1g.10gb", gpu_memory_bytes=10 * GIB)
    assert [one.uuid for one in devices.fitting(slices, devices.found())] == ["MIG-0", "MIG-1"]
    assert devices.fitting(BUILT_IN["a100"], devices.found()) == []


def test_a_gpu_that_is_cut_and_has_no_slices_yet_is_not_offered(driver: Any) -> None:
    driver({**CUT, "slices": []})
    assert devices.found() == []


def test_loads_are_those_that_the_driver_knows(driver: Any) -> None:
    driver(T4, CUT)
    assert devices.loads() == {
        "GPU-t4": Load(0.4, GIB), "MIG-0": Load(None, 0), "MIG-1": Load(None, 0)
    }  # fmt: skip


def test_a_card_that_is_lost_or_tells_nothing_hides_no_other(driver: Any) -> None:
    driver({**T4, "lost": True}, {"uuid": "GPU-mute", "name": "?"}, T4)
    assert devices.found() == [Device(uuid="GPU-t4", name="Tesla T4", memory_bytes=15 * GIB)]
    assert devices.loads()["GPU-mute"] == Load(None, None)


def test_without_a_driver_there_are_no_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    class Absent(Driver):
        def nvmlInit(self) -> None:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setitem(sys.modules, "pynvml", Absent(T4))
    assert (devices.found(), devices.driver(), devices.loads()) == ([], "", {})
