"""The accelerators of this machine, from NVIDIA's library. None is an ordinary answer."""

from __future__ import annotations

import contextlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hardware.tiers import Tier

#: A card reports a little less memory than its name says.
MEMORY_TOLERANCE = 0.85


@dataclass(frozen=True, kw_only=True)
class Device:
    """One accelerator."""

    uuid: str
    name: str
    memory_bytes: int


def found() -> list[Device]:
    """The NVIDIA devices of this machine; an empty list without a driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    try:
        devices = []
        for index in range(pynvml.nvmlDeviceGetCount()):
            with contextlib.suppress(pynvml.NVMLError):
                handle = pynvml.nvmlDeviceGetHandleByIndex(index)
                devices.append(
                    Device(
                        uuid=str(pynvml.nvmlDeviceGetUUID(handle)),
                        name=str(pynvml.nvmlDeviceGetName(handle)),
                        memory_bytes=int(pynvml.nvmlDeviceGetMemoryInfo(handle).total),
                    )
                )
        return devices
    except pynvml.NVMLError:
        return []
    finally:
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def fitting(tier: Tier, devices: list[Device]) -> list[Device]:
    """Those of these devices that this tier promises: of its model, with its memory."""
    if not tier.gpu:
        return []
    enough = tier.gpu_memory_bytes * MEMORY_TOLERANCE
    return [
        device
        for device in devices
        if tier.gpu in device.name.replace("-", " ").split() and device.memory_bytes >= enough
    ]


def as_json(devices: list[Device]) -> dict[str, Any]:
    """For `Node.devices`."""
    return {"gpus": [asdict(device) for device in devices]}


def of_json(value: dict[str, Any]) -> list[Device]:
    """From `Node.devices`."""
    return [Device(**one) for one in value.get("gpus", ())]
