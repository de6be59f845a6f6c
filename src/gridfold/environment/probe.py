"""Import what a trial imports, in a process of its own, and tell what came of it.

A TensorFlow that crashes or chatters then neither ends nor clutters the examination, and what was
told before a crash remains told.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path

# Reading TensorFlow from a busy network file system takes minutes at worst.
_PATIENCE_SECONDS = 600


@dataclass(frozen=True, kw_only=True)
class Library:
    """A package that was imported, or was to be.

    Attributes
    ----------
    version : str or None
        None when the import failed.
    error : str or None
        How the import failed.
    installed : bool
        Whether the package is there at all.
    """

    version: str | None = None
    error: str | None = None
    installed: bool = True


@dataclass(frozen=True, kw_only=True)
class TensorFlowLibrary(Library):
    """TensorFlow, the CUDA that it is built for, and the names of the GPUs that it sees."""

    cuda: str | None = None
    gpus: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class KerasLibrary(Library):
    """Keras and the backend that it computes with."""

    backend: str | None = None


@dataclass(frozen=True, kw_only=True)
class HorovodLibrary(Library):
    """Horovod and what it was built with.

    Attributes
    ----------
    built_for : str or None
        Version of TensorFlow that it was compiled against.
    mpi, gloo, nccl : bool
        Which ways of communication are built in.
    mpi_library : str or None
        What the MPI library says to be that was found at run time.
    """

    built_for: str | None = None
    mpi: bool = False
    gloo: bool = False
    nccl: bool = False
    mpi_library: str | None = None


@dataclass(frozen=True)
class Libraries:
    """Everything that a trial imports."""

    tensorflow: TensorFlowLibrary
    keras: KerasLibrary
    keras_tuner: Library
    horovod: HorovodLibrary


def libraries() -> Libraries:
    """Import the libraries in a process of its own, and return what it told."""
    told: dict[str, dict[str, object]] = {name: {} for name in _PROBES}
    try:
        process = subprocess.run(
            [sys.executable, "-m", "gridfold.environment.probe"],
            capture_output=True,
            text=True,
            timeout=_PATIENCE_SECONDS,
            check=False,
        )
        out, end = process.stdout, _how_it_ended(process.returncode, process.stderr)
    except subprocess.TimeoutExpired as late:
        out = late.stdout.decode() if isinstance(late.stdout, bytes) else late.stdout or ""
        end = f"no end after {_PATIENCE_SECONDS} s"
    for line in out.splitlines():
        told.update(json.loads(line))
    # The first one that told nothing is the one that ended the process.
    for name, facts in told.items():
        if not facts:
            facts["error"] = end
            end = f"not tried, since the import of {name} ended the process"
            break
    for facts in told.values():
        facts.setdefault("error", None if "version" in facts else end)
    tensorflow = TensorFlowLibrary(**told["tensorflow"])  # type: ignore[arg-type]
    return Libraries(
        replace(tensorflow, gpus=tuple(tensorflow.gpus)),
        KerasLibrary(**told["keras"]),  # type: ignore[arg-type]
        Library(**told["keras_tuner"]),  # type: ignore[arg-type]
        HorovodLibrary(**told["horovod"]),  # type: ignore[arg-type]
    )


def _how_it_ended(code: int, stderr: str) -> str:
    if code < 0:
        return f"the process was ended by {signal.Signals(-code).name}"
    last = [line for line in stderr.splitlines() if line.strip()][-1:]
    return f"the process ended with {code}: {' '.join(last)}"


def _tensorflow() -> Library:
    import tensorflow as tf

    return TensorFlowLibrary(
        version=tf.__version__,
        cuda=tf.sysconfig.get_build_info().get("cuda_version"),
        gpus=tuple(
            tf.config.experimental.get_device_details(device).get("device_name", device.name)
            for device in tf.config.list_physical_devices("GPU")
        ),
    )


def _keras() -> Library:
    import keras

    return KerasLibrary(version=keras.__version__, backend=keras.backend.backend())


def _keras_tuner() -> Library:
    import keras_tuner

    return Library(version=keras_tuner.__version__)


def _horovod() -> Library:
    import horovod.tensorflow as hvd

    folder = Path(hvd.__file__).parent
    record = json.loads((folder.parent / "metadata.json").read_text())
    mpi = bool(hvd.mpi_built())
    return HorovodLibrary(
        version=version("horovod"),
        built_for=record.get("tensorflow"),
        mpi=mpi,
        gloo=bool(hvd.gloo_built()),
        nccl=bool(hvd.nccl_built()),
        mpi_library=_mpi_library(folder) if mpi else None,
    )


def _mpi_library(folder: Path) -> str:
    # Symbols are also looked up in the libraries that the extension is linked with.
    (file,) = folder.glob("mpi_lib*.so")
    text = ctypes.create_string_buffer(8192)
    length = ctypes.c_int()
    # One of the few functions that may be called before MPI_Init.
    ctypes.CDLL(str(file)).MPI_Get_library_version(text, ctypes.byref(length))
    return text.value.decode(errors="replace")


_PROBES: dict[str, Callable[[], Library]] = {
    "tensorflow": _tensorflow,
    "keras": _keras,
    "keras_tuner": _keras_tuner,
    "horovod": _horovod,
}


def main() -> None:
    """Write one line of JSON for each library."""
    # What libraries write to standard output goes to standard error from here on.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for name, probe in _PROBES.items():
        facts: dict[str, object]
        try:
            facts = asdict(probe())
        except ModuleNotFoundError as error:
            facts = {"error": str(error), "installed": error.name != name}
        except Exception as error:
            facts = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps({name: facts}), file=answers, flush=True)


if __name__ == "__main__":
    main()
