"""``gridfold doctor`` says what a trial finds here, and what to do about what is missing."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Literal

from gridfold import __version__
from gridfold.cluster.commands import SRUN
from gridfold.cluster.job import SlurmJob
from gridfold.environment.horovod_recipe import MPI_ADVICE, mpi_name
from gridfold.environment.machine import (
    Cpu,
    Gpu,
    Program,
    container_engines,
    cpu,
    gpus,
    launchers,
    mps_runs,
    slurm,
)
from gridfold.environment.probe import Libraries, Library, libraries
from gridfold.errors import GridfoldError

_LABEL_WIDTH = 14
_MPI_LAUNCHERS = ("mpirun", "mpiexec", SRUN)
# Tensor cores multiply float16 from Volta on, bfloat16 from Ampere on.
_TENSOR_CORES = {"float16": 7.0, "bfloat16": 8.0}


class Unfit(GridfoldError):
    """An environment in which no trial can run."""


@dataclass(frozen=True)
class Finding:
    """Something that is not as it could be.

    Attributes
    ----------
    severity : str
        ``broken``: no trial can run; ``missing``: something can't be used; ``doubtful``: something
        may not work as expected.
    subject : str
        What it is about.
    found : str
        What is the case.
    remedy : str
        What to do about it.
    """

    severity: Literal["broken", "missing", "doubtful"]
    subject: str
    found: str
    remedy: str


@dataclass(frozen=True)
class Examination:
    """Everything that was found."""

    gridfold: str
    host: str
    python: str
    executable: str
    libraries: Libraries
    cpu: Cpu
    gpus: tuple[Gpu, ...]
    mps: bool
    launchers: tuple[Program, ...]
    slurm: Program | None
    slurm_job: SlurmJob | None
    container_engines: tuple[Program, ...]
    findings: tuple[Finding, ...]

    def demand_fitness(self) -> None:
        """Raise :class:`Unfit` when no trial can run here."""
        broken = [finding.subject for finding in self.findings if finding.severity == "broken"]
        if broken:
            raise Unfit(f"No trial can run here: {', '.join(broken)}.")

    def as_json(self) -> str:
        """Return everything as JSON, for programs."""
        return json.dumps(asdict(self), indent=2)

    def __str__(self) -> str:
        sections = [
            ("Software", _software(self)),
            ("Machine", _machine(self)),
            ("Cluster", _cluster(self)),
        ]
        lines = [f"gridfold {self.gridfold} on {self.host}"]
        for title, rows in sections:
            lines += ["", title]
            lines += [f"  {label:<{_LABEL_WIDTH}}{text}" for label, text in rows]
        lines += ["", "What to do" if self.findings else "Nothing is missing."]
        for finding in self.findings:
            lines += [
                f"  {finding.severity}: {finding.subject}: {finding.found}",
                f"    {finding.remedy}",
            ]
        return "\n".join(lines)


def examine() -> Examination:
    """Look at everything; takes some seconds, since TensorFlow is imported."""
    found_libraries = libraries()
    found_gpus = tuple(gpus())
    found_launchers = tuple(launchers())
    return Examination(
        __version__,
        platform.node(),
        platform.python_version(),
        sys.executable,
        found_libraries,
        cpu(),
        found_gpus,
        mps_runs(),
        found_launchers,
        slurm(),
        SlurmJob.of_process(),
        tuple(container_engines()),
        (
            *_about_libraries(found_libraries),
            *_about_gpus(found_libraries, found_gpus),
            *_about_horovod(found_libraries, found_launchers),
        ),
    )


def _about_libraries(found: Libraries) -> Iterator[Finding]:
    install = "Run `make setup` (or `uv sync`) and use the environment in .venv."
    needed: dict[str, Library] = {
        "TensorFlow": found.tensorflow,
        "Keras": found.keras,
        "Keras Tuner": found.keras_tuner,
    }
    for name, library in needed.items():
        if library.error is None:
            continue
        remedy = install
        if "SIGILL" in library.error:
            remedy = "TensorFlow's wheels need a processor with AVX: take another machine."
        elif "not tried" in library.error:
            remedy = "See above."
        yield Finding("broken", name, f"can't be imported: {library.error}", remedy)
    if found.keras.backend not in (None, "tensorflow"):
        yield Finding(
            "broken",
            "Keras",
            f"computes with {found.keras.backend}; gridfold trains with TensorFlow",
            "Unset KERAS_BACKEND, and look for `backend` in ~/.keras/keras.json.",
        )


def _about_gpus(found: Libraries, by_driver: tuple[Gpu, ...]) -> Iterator[Finding]:
    if by_driver and found.tensorflow.error is None and not found.tensorflow.gpus:
        if not found.tensorflow.cuda:
            remedy = (
                "TensorFlow is built without CUDA: `uv sync --no-group cpu --group gpu`, then "
                "work in the activated environment."
            )
        elif os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
            remedy = "CUDA_VISIBLE_DEVICES hides them."
        else:
            remedy = (
                'Run `python -c "import tensorflow as tf; tf.config.list_physical_devices()"`: '
                "its warnings name the library that is missing."
            )
        yield Finding(
            "doubtful", "GPU", f"the driver shows {len(by_driver)}, TensorFlow none", remedy
        )


def _about_horovod(found: Libraries, programs: tuple[Program, ...]) -> Iterator[Finding]:
    horovod = found.horovod
    if not horovod.installed:
        yield Finding(
            "missing",
            "Horovod",
            "not installed; a trial on several GPUs or nodes needs it, nothing else does",
            "Run `make horovod`: about 3 minutes, once.",
        )
    elif horovod.error is not None and found.tensorflow.error is None:
        yield Finding(
            "doubtful",
            "Horovod",
            f"installed, but can't be imported: {horovod.error}",
            "Load the modules that it was built with (`module load openmpi`), or run "
            "`make horovod` for a build that fits.",
        )
    if horovod.error is not None:
        return
    if horovod.built_for != found.tensorflow.version:
        yield Finding(
            "doubtful",
            "Horovod",
            f"built for TensorFlow {horovod.built_for}, {found.tensorflow.version} is installed",
            "Run `make horovod`.",
        )
    if found.tensorflow.gpus and not horovod.nccl:
        yield Finding(
            "doubtful",
            "Horovod",
            "built without NCCL: gradients pass through the memory of the host",
            "Run `HOROVOD_GPU_OPERATIONS=NCCL make horovod` where CUDA's compiler is.",
        )
    if not horovod.mpi:
        yield Finding(
            "missing",
            "Horovod",
            "built without MPI: only `horovodrun --gloo` starts it",
            f"{MPI_ADVICE}; then `make horovod`.",
        )
        return
    yield from _about_launchers(mpi_name(horovod.mpi_library or ""), programs)


def _about_launchers(mpi: str | None, programs: tuple[Program, ...]) -> Iterator[Finding]:
    if not any(program.name in _MPI_LAUNCHERS for program in programs):
        yield Finding(
            "missing",
            "MPI launcher",
            f"no mpirun, mpiexec or srun on the PATH, and Horovod is built with {mpi or 'MPI'}",
            f"{MPI_ADVICE}. Without one, `horovodrun --gloo` starts processes on one node.",
        )
    for program in programs:
        if program.name != "mpirun":
            continue
        if mpi and program.version and mpi != program.version:
            yield Finding(
                "doubtful",
                "MPI launcher",
                f"{program.path} is {program.version}, Horovod uses {mpi}",
                "Load the MPI that Horovod was built with, or run `make horovod` for this one.",
            )
        elif (
            "Open MPI" in (program.version or "")
            and os.geteuid() == 0
            and "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM" not in os.environ
        ):
            yield Finding(
                "doubtful",
                "MPI launcher",
                "mpirun refuses to run as root",
                "Export OMPI_ALLOW_RUN_AS_ROOT=1 and OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1, or use "
                "another account.",
            )


def _software(found: Examination) -> Iterator[tuple[str, str]]:
    tensorflow, keras = found.libraries.tensorflow, found.libraries.keras
    horovod = found.libraries.horovod
    yield "Python", f"{found.python}  {found.executable}"
    built = f"for CUDA {tensorflow.cuda}" if tensorflow.cuda else "for CPUs"
    yield "TensorFlow", f"{tensorflow.version} {built}" if tensorflow.version else "not usable"
    yield "Keras", f"{keras.version} on {keras.backend}" if keras.version else "not usable"
    yield "Keras Tuner", found.libraries.keras_tuner.version or "not usable"
    if horovod.version is None:
        yield "Horovod", "not usable" if horovod.installed else "not installed"
        return
    mpi = mpi_name(horovod.mpi_library or "") or "version unknown"
    yield "Horovod", f"{horovod.version}, built for TensorFlow {horovod.built_for}"
    gpu_operations = "NCCL" if horovod.nccl else "none"
    controllers = [f"MPI ({mpi})"] * horovod.mpi + ["Gloo"] * horovod.gloo
    yield "", f"controllers: {', '.join(controllers)}; GPU operations: {gpu_operations}"


def _machine(found: Examination) -> Iterator[tuple[str, str]]:
    cpu = found.cpu
    limit = f" ({cpu.limited_by})" if cpu.limited_by else ""
    yield "Processor", cpu.model
    yield "Cores", f"{cpu.usable_cores} of {cpu.cores} usable{limit}"
    yield "Memory", f"{cpu.usable_memory_gib} of {cpu.memory_gib} GiB usable"
    for precision, unit in cpu.precision.items():
        yield f"  {precision}", f"on {unit}" if unit else "emulated: no faster than float32"
    if not found.gpus:
        seen = found.libraries.tensorflow.gpus
        yield "GPU", f"{', '.join(seen)} (no nvidia-smi)" if seen else "none"
    for gpu in found.gpus:
        memory = f", {gpu.memory_gib} GiB" if gpu.memory_gib else ""
        yield "GPU", f"{gpu.name}{memory}, driver {gpu.driver}{_tensor_cores(gpu)}"
    if found.gpus:
        yield (
            "",
            "MPS runs: trials that share a GPU compute side by side"
            if found.mps
            else "MPS does not run: trials that share a GPU take turns on it",
        )


def _tensor_cores(gpu: Gpu) -> str:
    if gpu.compute_capability is None:
        return ""
    fast = [
        precision
        for precision, since in _TENSOR_CORES.items()
        if float(gpu.compute_capability) >= since
    ]
    return (
        f", compute capability {gpu.compute_capability} (tensor cores: {', '.join(fast) or 'none'})"
    )


def _cluster(found: Examination) -> Iterator[tuple[str, str]]:
    for title, programs in (
        ("Launchers", found.launchers),
        ("Containers", found.container_engines),
    ):
        if not programs:
            yield title, "none"
        for position, program in enumerate(programs):
            version = f" ({program.version})" if program.version else ""
            yield title if not position else "", f"{program.path}{version}"
    job, here = found.slurm_job, found.slurm
    if job is None:
        yield "Slurm", f"{here.version or here.path}, not inside a job" if here else "none"
    else:
        task = f", this is task {job.task} of {job.tasks}" if job.task is not None else ""
        yield "Slurm", f"job {job.job_id} on {job.nodes} ({job.partition}){task}"
    # Who looks for the reason why nothing ends looks here.
    of_job = "of a job, by Slurm" if job or here else "of a job none"
    yield "Time limit", f"{of_job}; of a trial only with execution.trial_timeout"
