"""Measure what a trial uses while it trains: processor, memory, GPU.

A thread looks once a second at figures that the kernel and the driver keep anyway. Nothing here may
cost a trial time or its life: what can't be had is absent.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import psutil

from gridfold.cluster.allocation import Share

_INTERVAL_SECONDS = 1.0
_MB = 1e6


@dataclass(frozen=True)
class Usage:
    """What a trial was given and what it used, in the attempt that ended it.

    Attributes
    ----------
    cores, gpus : float
        Its share of the job.
    seconds : float
        Wall time.
    cpu_seconds : float
        Processor time of all threads.
    memory_mb : float
        Most memory that it occupied, what it shares with other trials included (peak RSS).
    added_memory_mb : float
        How much of that came after its start: what one more trial at once costs.
    gpu_busy : float or None
        Mean fraction of the time in which the GPU computed (NVML); of the whole GPU, others' work
        included.
    gpu_memory_mb : float or None
        Most memory in use on the GPU (NVML). TensorFlow reserves nearly all of it, unless trials
        share the GPU.
    gpu_tensors_mb : float or None
        Most memory that its tensors took on the GPU, by TensorFlow's own count.
    """

    cores: float
    gpus: float
    seconds: float
    cpu_seconds: float
    memory_mb: float
    added_memory_mb: float
    gpu_busy: float | None = None
    gpu_memory_mb: float | None = None
    gpu_tensors_mb: float | None = None

    def record(self) -> dict[str, float | None]:
        """Return this for a JSON file."""
        return {k: v if v is None else round(v, 3) for k, v in asdict(self).items()}


def joined(usages: Iterable[Usage]) -> Usage:
    """Return what processes used that have trained one trial together."""
    parts = list(usages)

    def known(name: str) -> list[float]:
        return [v for v in (getattr(part, name) for part in parts) if v is not None]

    gpus = {name: known(name) for name in ("gpu_busy", "gpu_memory_mb", "gpu_tensors_mb")}
    return Usage(
        **{name: sum(known(name)) for name in ("cores", "gpus", "cpu_seconds")},
        seconds=max(known("seconds")),
        memory_mb=sum(known("memory_mb")),
        added_memory_mb=sum(known("added_memory_mb")),
        gpu_busy=sum(gpus["gpu_busy"]) / len(parts) if gpus["gpu_busy"] else None,
        gpu_memory_mb=max(gpus["gpu_memory_mb"], default=None),
        gpu_tensors_mb=max(gpus["gpu_tensors_mb"], default=None),
    )


def as_row(usage: Usage) -> list[float]:
    """Return a usage as numbers alone, for what can send arrays only; see :func:`from_row`."""
    values = (getattr(usage, field.name) for field in fields(Usage))
    return [float("nan") if value is None else value for value in values]


def from_row(row: Iterable[float]) -> Usage:
    """Return what :func:`as_row` made a row of."""
    return Usage(*(None if value != value else float(value) for value in row))  # type: ignore[arg-type]


class Sampler:
    """Watches this process for the time of a ``with`` block.

    Parameters
    ----------
    share : Share
    environment : mapping of str to str, optional
        Where ``CUDA_VISIBLE_DEVICES`` is; by default this process's.
    """

    def __init__(self, share: Share, environment: Mapping[str, str] = os.environ) -> None:
        self._share = share
        self._environment = environment
        self._stop = threading.Event()
        self._process = psutil.Process()
        self._gpu: _Gpu | None = None
        self._peak = 0.0
        self._busy: list[float] = []
        self._gpu_memory: list[float] = []

    def __enter__(self) -> Sampler:
        self._began = time.perf_counter()
        self._cpu_before = _cpu_seconds()
        _forget_high_water()
        self._high_before = _high_water()
        self._memory_before = self._peak = self._memory()
        threading.Thread(target=self._run, name="gridfold-usage", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()

    def usage(self, device: str = "CPU", gpus: int = 1) -> Usage:
        """Return what was used since the block began.

        Parameters
        ----------
        device : str
            What the trial computed on. Where it is ``CPU``, what a GPU did was not its doing.
        gpus : int
            Devices that it computed on.
        """
        # The kernel has seen every peak, also between two samples. Where it could not forget those
        # of trials that this process trained before, only a new record is surely of this one.
        high = _high_water()
        peak = max(self._peak, self._memory(), high if high > self._high_before else 0.0)
        on_gpu = device != "CPU"
        return Usage(
            cores=self._share.cores,
            gpus=self._share.gpus or float(gpus if on_gpu else 0),
            seconds=time.perf_counter() - self._began,
            cpu_seconds=_cpu_seconds() - self._cpu_before,
            memory_mb=peak / _MB,
            added_memory_mb=(peak - self._memory_before) / _MB,
            gpu_busy=sum(self._busy) / len(self._busy) if on_gpu and self._busy else None,
            gpu_memory_mb=max(self._gpu_memory, default=None) if on_gpu else None,
            gpu_tensors_mb=_tensors_mb() if on_gpu else None,
        )

    def _run(self) -> None:
        with contextlib.suppress(Exception):
            self._gpu = _Gpu.visible(self._environment)
            while not self._stop.wait(_INTERVAL_SECONDS):
                self._peak = max(self._peak, self._memory())
                if self._gpu is not None:
                    busy, memory = self._gpu.look()
                    self._busy.append(busy)
                    self._gpu_memory.append(memory)

    def _memory(self) -> float:
        try:
            return float(self._process.memory_info().rss)
        except psutil.Error:
            return 0.0


class _Gpu:
    """The first GPU that this process sees, through NVML."""

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml, self._handle = nvml, handle

    @classmethod
    def visible(cls, environment: Mapping[str, str]) -> _Gpu | None:
        """Return the GPU; None without one, without a driver or without NVML's module.

        `nvidia-ml-py` comes with the dependency group `gpu`. CUDA numbers GPUs as NVML does where
        they are all of one kind, as on nodes of clusters; elsewhere ``CUDA_DEVICE_ORDER`` says so.
        """
        name = environment.get("CUDA_VISIBLE_DEVICES", "0").partition(",")[0].strip()
        if name in ("", "-1", "NoDevFiles"):
            return None
        try:
            import pynvml
        except ImportError:
            return None
        try:
            pynvml.nvmlInit()
            if name.isdigit():
                handle = pynvml.nvmlDeviceGetHandleByIndex(int(name))
            else:
                handle = pynvml.nvmlDeviceGetHandleByUUID(name)
            return cls(pynvml, handle)
        except pynvml.NVMLError:
            return None

    def look(self) -> tuple[float, float]:
        """Return the fraction of time that it computed lately, and its memory in use, MB."""
        busy = self._nvml.nvmlDeviceGetUtilizationRates(self._handle).gpu / 100
        return busy, self._nvml.nvmlDeviceGetMemoryInfo(self._handle).used / _MB


def _tensors_mb() -> float | None:
    # Asked of the TensorFlow that has trained; this module must not be what imports it.
    tensorflow = sys.modules.get("tensorflow")
    try:
        memory = tensorflow.config.experimental.get_memory_info("GPU:0")  # type: ignore[union-attr]
        return float(memory["peak"]) / _MB
    except Exception:
        return None


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _forget_high_water() -> None:
    """Let the kernel begin anew with the most memory of this process, where it may."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _high_water() -> float:
    """Return the most memory that this process ever occupied; 0 where the kernel doesn't tell.

    Not `ru_maxrss`, which begins with that of the process that started this one.
    """
    try:
        found = re.search(r"^VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text(), re.M)
    except OSError:
        return 0.0
    return float(found[1]) * 1024 if found else 0.0
