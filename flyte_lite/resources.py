"""What a task needs to run: processors, memory, disk, and accelerators by their names."""

from __future__ import annotations

import dataclasses
import math
import re
from typing import Any, Literal, Optional, Union

__all__ = ["AMD_GPU", "APPLE_SILICON", "GPU", "HABANA_GAUDI", "TPU", "Device", "Neuron", "Resources"]

DeviceClass = Literal["GPU", "TPU", "NEURON", "AMD_GPU", "HABANA_GAUDI", "APPLE_SILICON"]

_ONE = range(1, 2)
_UP_TO_8 = range(1, 9)
# How many of a kind one machine has: "A100:8" is one, "A100:9" is not.
_GPUS: dict[str, Any] = {
    **dict.fromkeys(
        ("A10", "A10G", "A100", "A100_80G", "B200", "H100", "H200", "L4", "L40s", "T4", "V100"),
        _UP_TO_8,
    ),
    **dict.fromkeys(("A2", "RTX_PRO_4500", "GB10"), _ONE),
    "RTX_PRO_6000": (1, 2),
}
# A share of one GPU that several tasks use at a time.
_SHARED = ("T4 shared", "L4 shared", "A10G shared", "A10 shared", "L40S shared")
_NEURONS: dict[str, Any] = {
    **dict.fromkeys(("Trn1", "Trn1n", "Trn2", "Trn2u"), (1, 4, 8, 16)),
    "Inf1": range(1, 17),
    "Inf2": range(1, 13),
}
_AMD = ("MI100", "MI210", "MI250", "MI250X", "MI300A", "MI300X", "MI325X", "MI350X", "MI355X")
_COUNTS: dict[DeviceClass, dict[str, Any]] = {
    "GPU": {**_GPUS, **dict.fromkeys(_SHARED, _ONE)},
    "NEURON": _NEURONS,
    "AMD_GPU": dict.fromkeys(_AMD, _ONE),
    "HABANA_GAUDI": {"Gaudi1": _ONE},
    "APPLE_SILICON": {"AppleSilicon": _ONE},
}
_FORMER_NAMES = {"A100 80G": "A100_80G", "RTX PRO 6000": "RTX_PRO_6000"}
_PARTITIONS = {
    "A100": ("1g.5gb", "2g.10gb", "3g.20gb", "4g.20gb", "7g.40gb"),
    "A100_80G": ("1g.10gb", "2g.20gb", "3g.40gb", "4g.40gb", "7g.80gb"),
    "H100": ("1g.10gb", "1g.20gb", "2g.20gb", "3g.40gb", "4g.40gb", "7g.80gb"),
    "H200": ("1g.18gb", "1g.35gb", "2g.35gb", "3g.71gb", "4g.71gb", "7g.141gb"),
    "RTX_PRO_6000": ("1g.24gb", "2g.48gb", "4g.96gb"),
}
_FLAT = ("1x1", "2x2", "2x4", "4x4", "4x8", "8x8", "8x16", "16x16")
_SLICES = {
    "V5E": _FLAT,
    "V5P": (
        *("2x2x1", "2x2x2", "2x4x4", "4x4x4", "4x4x8", "4x8x8", "8x8x8"),
        *("8x8x16", "8x16x16", "16x16x16", "16x16x24"),
    ),
    "V6E": _FLAT,
}
# As Kubernetes writes amounts.
_QUANTITY = re.compile(r"(\d+\.?\d*|\.\d+)([num]|k|Ki|[MGTPE]i?|[eE][+-]?\d+)?")


@dataclasses.dataclass(frozen=True)
class Device:
    """Accelerators of one kind. Names are only checked by `GPU`, `TPU` and so on, so new ones can be had by this.

    Args:
        quantity: How many.
        device_class: What kind of thing it is.
        device: Its name, such as "A100"; None takes any.
        partition: Which part of it, such as "1g.5gb" of a GPU or "2x2" of a TPU; None takes it whole.

    Raises:
        ValueError: Fewer than one, an unknown class, or a Mac's GPU that is not just one "AppleSilicon".
    """

    quantity: int
    device_class: DeviceClass
    device: Optional[str] = None
    partition: Optional[str] = None

    def __post_init__(self) -> None:
        if not isinstance(self.quantity, int) or isinstance(self.quantity, bool) or self.quantity < 1:
            raise ValueError(f"quantity of a Device is {self.quantity!r}; give an int of 1 or more")
        classes = (*_COUNTS, "TPU")
        if self.device_class not in classes:
            raise ValueError(f"device_class is {self.device_class!r}; it is one of {', '.join(sorted(classes))}")
        a_mac = self.device_class == "APPLE_SILICON"
        if a_mac != (self.device == "AppleSilicon") or (a_mac and self.quantity != 1):
            raise ValueError(
                'a Mac\'s GPU is one device="AppleSilicon" with device_class="APPLE_SILICON"; '
                f"this is {self.quantity} of {self.device!r} with {self.device_class!r}"
            )


def GPU(device: str, quantity: int, partition: Optional[str] = None) -> Device:
    """GPUs of NVIDIA.

    Args:
        device: Such as "T4" or "A100"; "T4 shared" is a share of one that several tasks use at a time.
        quantity: 1 to 8.
        partition: A part of a GPU, such as "1g.5gb" of an "A100"; None takes it whole.

    Raises:
        ValueError: There is no such GPU, number of them, or part of it.
    """
    device = _FORMER_NAMES.get(device, device)
    _check_name("GPU", device, _COUNTS["GPU"])
    if quantity not in _UP_TO_8:
        raise ValueError(f"quantity is {quantity!r}; give 1 to 8 GPUs")
    if partition is not None:
        if device in _SHARED:
            raise ValueError(f"{device} is a share already, so it has no partition {partition!r}")
        _check_part("partition", device, partition, _PARTITIONS)
    return Device(quantity, "GPU", device, partition)


def TPU(device: str, partition: Optional[str] = None) -> Device:
    """A TPU of Google.

    Args:
        device: "V5E", "V5P" or "V6E".
        partition: A slice of it, such as "2x2"; None takes it whole.

    Raises:
        ValueError: There is no such TPU, or no such slice of it.
    """
    _check_name("TPU", device, _SLICES)
    if partition is not None:
        _check_part("partition", device, partition, _SLICES)
    return Device(1, "TPU", device, partition)


def Neuron(device: str) -> Device:
    """An accelerator of Amazon, such as "Trn1" or "Inf2".

    Raises:
        ValueError: There is no such one.
    """
    return _single("NEURON", device)


def AMD_GPU(device: str) -> Device:
    """A GPU of AMD, such as "MI300X".

    Raises:
        ValueError: There is no such one.
    """
    return _single("AMD_GPU", device)


def HABANA_GAUDI(device: str) -> Device:
    """A "Gaudi1".

    Raises:
        ValueError: It is another.
    """
    return _single("HABANA_GAUDI", device)


def APPLE_SILICON() -> Device:
    """The GPU of a Mac that an official devbox runs on."""
    return _single("APPLE_SILICON", "AppleSilicon")


Cpu = Union[int, float, str]


@dataclasses.dataclass
class Resources:
    """What a task needs: `Resources(cpu=(1, 2), memory="2Gi", gpu="A100:1")`.

    Args:
        cpu: Cores, as a number or as Kubernetes writes them ("500m" is half a core); a pair is what it asks for and the
            most that it gets.
        memory: As Kubernetes writes it, such as "512Mi" or "2G"; or a pair.
        gpu: How many of any kind, a kind and how many ("T4:1"), or a `Device`; 0 has none.
        disk: As Kubernetes writes it.
        shm: Memory that processes share, mounted on /dev/shm; "auto" takes as much as there is.

    Raises:
        ValueError: An amount is none, or there is no such accelerator.
    """

    cpu: Union[Cpu, tuple[Cpu, Cpu], None] = None
    memory: Union[str, tuple[str, str], None] = None
    gpu: Union[str, int, Device, None] = None
    disk: Optional[str] = None
    shm: Optional[str] = None

    def __post_init__(self) -> None:
        for part in _pair("cpu", self.cpu):
            number = isinstance(part, (int, float)) and not isinstance(part, bool)
            if not (math.isfinite(part) and part >= 0 if number else _is_amount(part)):
                raise ValueError(f'cpu is {part!r}; give cores, such as 2, 0.5 or "500m"')
        for name, value in (("memory", self.memory), ("disk", self.disk), ("shm", self.shm)):
            if name == "shm" and value == "auto":
                continue
            for part in _pair(name, value) if name == "memory" else () if value is None else (value,):
                if not _is_amount(part):
                    raise ValueError(
                        f'{name} is {part!r}; give an amount as Kubernetes writes it: "512Mi", "2Gi", "2G"'
                    )
        self.get_device()

    def get_device(self) -> Optional[Device]:
        """The accelerators; None if there are none.

        Raises:
            ValueError: There are none of that name, or not so many on one machine.
        """
        gpu = self.gpu
        if gpu is None or isinstance(gpu, Device):
            return gpu
        if isinstance(gpu, int) and not isinstance(gpu, bool) and gpu >= 0:
            return Device(gpu, "GPU") if gpu else None
        if isinstance(gpu, str):
            name, colon, text = gpu.partition(":")
            name = _FORMER_NAMES.get(name, name)
            count = int(text) if text.isascii() and text.isdigit() else 0
            for device_class, counts in _COUNTS.items():
                if name in counts and (count in counts[name] or (name == "AppleSilicon" and not colon)):
                    return Device(count or 1, device_class, name)
        raise ValueError(
            f'gpu is {gpu!r}; give a number, a kind and a number that one machine has, such as "T4:1" or "A100:8", or '
            "a Device, which may be of any name"
        )

    def get_shared_memory(self) -> Optional[str]:
        """Size of the memory that processes share; "" is as much as there is, None is none."""
        return "" if self.shm == "auto" else self.shm


def _pair(name: str, value: Any) -> tuple[Any, ...]:
    if not isinstance(value, tuple):
        return () if value is None else (value,)
    if len(value) != 2:
        raise ValueError(f"{name} is {value!r}; a pair is what is asked for and the most, so it has two parts")
    return value


def _is_amount(value: object) -> bool:
    return isinstance(value, str) and _QUANTITY.fullmatch(value) is not None


def _single(device_class: DeviceClass, device: str) -> Device:
    _check_name(device_class, device, _COUNTS[device_class])
    return Device(1, device_class, device)


def _check_name(what: str, device: str, known: dict[str, Any]) -> None:
    if device not in known:
        raise ValueError(f"there is no {what} {device!r} here; known are {', '.join(known)}")


def _check_part(what: str, device: str, part: str, known: dict[str, tuple[str, ...]]) -> None:
    if part not in known.get(device, (part,)):
        raise ValueError(f"{what} is {part!r}; of a {device} there is {', '.join(known[device])}")
