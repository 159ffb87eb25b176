"""The accelerators of this machine, from NVIDIA's library (https://docs.nvidia.com/deploy/nvml-api). None is
an ordinary answer. A GPU that is cut into slices (MIG) is its slices: it is not offered whole."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from hardware.tiers import Tier

#: A card reports a little less memory than its name says.
MEMORY_TOLERANCE = 0.85


@dataclass(frozen=True, kw_only=True)
class Device:
    """One accelerator, or one slice of one: then its name ends like "MIG 1g.10gb"."""

    uuid: str
    name: str
    memory_bytes: int


class Load(NamedTuple):
    """How busy a device is: the part of the last second in which it worked, and bytes of its memory. None:
    the driver does not say, as of slices."""

    busy: float | None
    memory_bytes: int | None


def found() -> list[Device]:
    """The NVIDIA devices of this machine; an empty list without a driver."""
    with _library() as library:
        return [device for handle in _handles(library) if (device := _device(library, handle))]


def driver() -> str:
    """The version of NVIDIA's driver; "" for none."""
    with _library() as library:
        return str(library.ask("nvmlSystemGetDriverVersion") or "")


def loads() -> dict[str, Load]:
    """Device by UUID -> its load now."""
    with _library() as library:
        handles = {library.ask("nvmlDeviceGetUUID", handle): handle for handle in _handles(library)}
        return {str(uuid): _load(library, handle) for uuid, handle in handles.items() if uuid}


def fitting(tier: Tier, devices: list[Device]) -> list[Device]:
    """Those of these devices that this tier promises: of its model, with its memory."""
    if not tier.gpu:
        return []
    enough, model = tier.gpu_memory_bytes * MEMORY_TOLERANCE, set(tier.gpu.split())
    return [
        device
        for device in devices
        if model <= set(device.name.replace("-", " ").split()) and device.memory_bytes >= enough
    ]


def as_json(devices: list[Device], driver: str = "") -> dict[str, Any]:
    """For `Node.devices`."""
    return {"gpus": [asdict(device) for device in devices], "driver": driver}


def of_json(value: dict[str, Any]) -> list[Device]:
    """From `Node.devices`."""
    return [Device(**one) for one in value.get("gpus", ())]


# --- the library ------------------------------------------------------------------------------------


class _Library:
    """NVML, or nothing. What the driver, or the card, does not know is None."""

    def __init__(self, nvml: Any) -> None:
        self._nvml = nvml

    def ask(self, function: str, *arguments: Any) -> Any:
        """What this function of NVML answers."""
        if self._nvml is None:
            return None
        try:
            return getattr(self._nvml, function)(*arguments)
        except self._nvml.NVMLError:
            return None


@contextlib.contextmanager
def _library() -> Iterator[_Library]:
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        yield _Library(None)
        return
    try:
        yield _Library(pynvml)
    finally:
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def _handles(library: _Library) -> Iterator[Any]:
    """Those of all devices that can be given to a Space."""
    for index in range(library.ask("nvmlDeviceGetCount") or 0):
        if (card := library.ask("nvmlDeviceGetHandleByIndex", index)) is None:
            continue
        is_cut, _after_reset = library.ask("nvmlDeviceGetMigMode", card) or (0, 0)
        if not is_cut:
            yield card
            continue
        for slot in range(library.ask("nvmlDeviceGetMaxMigDeviceCount", card) or 0):
            if (piece := library.ask("nvmlDeviceGetMigDeviceHandleByIndex", card, slot)) is not None:
                yield piece


def _device(library: _Library, handle: Any) -> Device | None:
    uuid, name = library.ask("nvmlDeviceGetUUID", handle), library.ask("nvmlDeviceGetName", handle)
    memory = library.ask("nvmlDeviceGetMemoryInfo", handle)
    if not uuid or not name or memory is None:
        return None
    return Device(uuid=str(uuid), name=str(name), memory_bytes=int(memory.total))


def _load(library: _Library, handle: Any) -> Load:
    rates = library.ask("nvmlDeviceGetUtilizationRates", handle)
    memory = library.ask("nvmlDeviceGetMemoryInfo", handle)
    return Load(rates.gpu / 100 if rates else None, int(memory.used) if memory else None)
