"""Ask the system what this process may use: cores, memory, GPUs, launchers.

Everything here is asked of the system and of small programs, and nothing fails where an answer is
missing: the same questions are put on a laptop, a login node and in the step of a Slurm job.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from gridfold.cluster.commands import SBATCH, SRUN, version_in
from gridfold.cluster.job import CPUS_PER_TASK, cpus_per_task
from gridfold.environment.horovod_recipe import mpi_name, output_of
from gridfold.environment.versions import processor

_GIB = 2**30
# Flags of /proc/cpuinfo that stand for matrix or vector units of a number format.
_PRECISION_FLAGS = {
    "bfloat16": {"amx_bf16": "AMX", "avx512_bf16": "AVX-512", "bf16": "NEON"},
    "float16": {"amx_fp16": "AMX", "avx512_fp16": "AVX-512", "asimdhp": "NEON"},
}
_LAUNCHERS = ("mpirun", "mpiexec", SRUN, "horovodrun")
_CONTAINER_ENGINES = ("apptainer", "singularity")
# Where NVIDIA's service is, unless it is told another place.
_MPS_FOLDER = "/tmp/nvidia-mps"  # nosec B108
_SMI_QUERY = "index,name,memory.total,driver_version,compute_cap"


@dataclass(frozen=True)
class Cpu:
    """The processor and what of it this process may use.

    Attributes
    ----------
    model : str
        Name of the processor.
    cores : int
        Logical cores of the machine.
    usable_cores : int
        Cores that this process may use.
    limited_by : str or None
        What makes `usable_cores` fewer than `cores`.
    memory_gib, usable_memory_gib : float
        Memory of the machine, and of it what this process may use.
    precision : dict of str to str or None
        For each 16-bit format the unit that computes in it, None where it is only emulated.
    """

    model: str
    cores: int
    usable_cores: int
    limited_by: str | None
    memory_gib: float
    usable_memory_gib: float
    precision: dict[str, str | None]


@dataclass(frozen=True)
class Gpu:
    """One GPU, as the driver describes it."""

    name: str
    memory_gib: float | None
    driver: str
    compute_capability: str | None


@dataclass(frozen=True)
class Program:
    """A program that was found, and what it says to be."""

    name: str
    path: str
    version: str | None


def cpu(environ: Mapping[str, str] = os.environ) -> Cpu:
    """Look at the processor, and at every limit that is put on this process."""
    cores = os.cpu_count() or 1
    limits = {"affinity": float(_affinity(cores))}
    quota = _cgroup_cores()
    if quota is not None:
        limits["cgroup"] = quota
    told = cpus_per_task(environ)
    if told is not None:
        limits[CPUS_PER_TASK] = float(told)
    tightest = min(limits, key=lambda name: limits[name])
    usable = max(1, int(min(limits[tightest], cores)))
    memory = psutil.virtual_memory().total
    return Cpu(
        processor(),
        cores,
        usable,
        tightest if usable < cores else None,
        round(memory / _GIB, 1),
        round(min([memory, *cgroup_memory()]) / _GIB, 1),
        _precision(),
    )


def gpus() -> list[Gpu]:
    """Return the GPUs that the driver shows to this process; none without a driver."""
    found = []
    for line in output_of(
        ["nvidia-smi", f"--query-gpu={_SMI_QUERY}", "--format=csv,noheader,nounits"]
    ).splitlines():
        fields = [field.strip() for field in line.split(",")]
        # Messages such as "No devices were found" have another shape.
        if len(fields) == 5 and fields[0].isdigit():
            _, name, memory, driver, capability = fields
            found.append(
                Gpu(
                    name,
                    # Unknown where MIG hides it.
                    round(int(memory) / 1024, 1) if memory.isdigit() else None,
                    driver,
                    capability if re.fullmatch(r"\d+\.\d+", capability) else None,
                )
            )
    return found


def mps_runs(environ: Mapping[str, str] = os.environ) -> bool:
    """Tell whether NVIDIA's Multi-Process Service runs where this user's processes look for it."""
    folder = Path(environ.get("CUDA_MPS_PIPE_DIRECTORY", _MPS_FOLDER))
    try:
        pid = int((folder / "nvidia-cuda-mps-control.pid").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return psutil.pid_exists(pid)


def launchers() -> list[Program]:
    """Return the programs found that start several processes as one job."""
    # horovodrun lies beside the Python that it belongs to, which need not be on the path.
    beside = os.pathsep.join([os.environ.get("PATH", ""), str(Path(sys.executable).parent)])
    found = []
    for name in _LAUNCHERS:
        path = shutil.which(name, path=beside if name == "horovodrun" else None)
        if path:
            # That one would import TensorFlow to tell its version.
            says = "" if name == "horovodrun" else output_of([path, "--version"])
            found.append(Program(name, path, mpi_name(says) or version_in(says)))
    return found


def container_engines() -> list[Program]:
    """Return the container engines found that Snakemake's `--sdm apptainer` can use."""
    found = []
    for name in _CONTAINER_ENGINES:
        path = shutil.which(name)
        if path:
            version = re.search(r"\d[\w.-]*", output_of([path, "--version"]))
            found.append(Program(name, path, version[0] if version else None))
    return found


def slurm() -> Program | None:
    """Return the Slurm client of this machine, or None."""
    path = shutil.which(SBATCH)
    return Program(SBATCH, path, version_in(output_of([path, "--version"]))) if path else None


def _affinity(otherwise: int) -> int:
    # Not on macOS.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else otherwise


def _precision() -> dict[str, str | None]:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        text = ""
    line = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.M)
    flags = set(line[1].split()) if line else set()
    return {
        precision: next((unit for flag, unit in units.items() if flag in flags), None)
        for precision, units in _PRECISION_FLAGS.items()
    }


def _cgroup_cores() -> float | None:
    """Return the smallest CPU quota of this process's control groups, in cores."""
    quotas = []
    for folder in cgroup_folders("cpu"):
        try:
            if (folder / "cpu.max").exists():
                quota, period = (folder / "cpu.max").read_text().split()
            else:
                quota = (folder / "cpu.cfs_quota_us").read_text().strip()
                period = (folder / "cpu.cfs_period_us").read_text()
        except (OSError, ValueError):
            continue
        # "max" in version 2, -1 in version 1: no limit.
        if quota.isdigit():
            quotas.append(int(quota) / int(period))
    return min(quotas, default=None)


def available_memory() -> int:
    """Return the bytes that processes could still take, what only caches files included."""
    return min([psutil.virtual_memory().available, *cgroup_memory()])


def cgroup_memory() -> list[int]:
    """Return the memory limits of this process's control groups, in bytes."""
    limits = []
    for folder in cgroup_folders("memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            try:
                limit = (folder / name).read_text().strip()
            except OSError:
                continue
            if limit.isdigit():
                limits.append(int(limit))
    return limits


def cgroup_folders(controller: str) -> Iterator[Path]:
    """Yield the folders of the control groups that this process is in, innermost first."""
    try:
        groups = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for group in groups:
        _, controllers, path = group.split(":", 2)
        # The one hierarchy of version 2 has no controllers in its line.
        if controllers and controller not in controllers.split(","):
            continue
        root = Path("/sys/fs/cgroup") / controllers
        folder = root / path.lstrip("/")
        while folder != root and root in folder.parents:
            yield folder
            folder = folder.parent
        yield root
