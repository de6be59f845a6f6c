"""A recipe says how Horovod is built here: its release, the patches, what decides a build.

Horovod's last release is of June 2023 and exists as source only. It compiles against the
TensorFlow that is installed and against the machine's MPI, so a build serves exactly one
combination of them; :class:`Recipe` names the combination, and its key tells builds apart.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from gridfold.canonical import short_id
from gridfold.errors import BuildError

RELEASE = "0.28.1"
SDIST_SHA256 = "92a43f5a94c43907a56805bad15f19700c62ffc83b7ca483f9e104e229f67ef0"

# (file, text, what takes its place)
PATCHES = (
    # These operations need headers of XLA that TensorFlow no longer installs.
    # Without them Horovod can't be called from a function compiled with `jit_compile=True`.
    (
        "horovod/tensorflow/CMakeLists.txt",
        'list(APPEND TF_SOURCES "${PROJECT_SOURCE_DIR}/horovod/tensorflow/xla_mpi_ops.cc")\n',
        "",
    ),
    # TensorFlow no longer has the function that is declared here, and tells the same through the
    # stream itself. Without this, a build for GPUs compiles and then can't be loaded.
    (
        "horovod/tensorflow/mpi_ops.cc",
        """\
// Forward declaration of AsGpuStreamValue
namespace stream_executor {
namespace gpu {
GpuStreamHandle AsGpuStreamValue(Stream* stream);
} // namespace stream_executor
} // namespace gpu
""",
        "",
    ),
    (
        "horovod/tensorflow/mpi_ops.cc",
        """\
#endif // TENSORFLOW_VERSION >= 2011000000
#endif // HAVE_GPU
""",
        """\
#endif // TENSORFLOW_VERSION >= 2011000000
namespace stream_executor {
namespace gpu {
static inline GpuStreamHandle AsGpuStreamValue(Stream* stream) {
  return static_cast<GpuStreamHandle>(stream->platform_specific_handle().stream);
}
} // namespace gpu
} // namespace stream_executor
#endif // HAVE_GPU
""",
    ),
    # Constants that are assigned to, which GCC 14 refuses.
    (
        "third_party/flatbuffers/include/flatbuffers/stl_emulation.h",
        "  pointer const data_;\n  const size_type count_;\n",
        "  pointer data_;\n  size_type count_;\n",
    ),
    # Python 3.12 has no distutils; without this, horovodrun doesn't start there.
    (
        "horovod/runner/js_run.py",
        "from distutils.spawn import find_executable",
        "from shutil import which as find_executable",
    ),
)
# Later setuptools lack what Horovod's setup.py uses, later CMakes refuse its oldest parts.
BUILD_TOOLS = ("setuptools==68.*", "wheel<1", "cmake==3.31.*", "pip")
RUNTIME_NEEDS = ("cloudpickle", "packaging", "psutil", "pyyaml")

_PYTHONS = ((3, 11), (3, 13))
# TensorFlow comes under several names; all of them provide the module `tensorflow`.
_TENSORFLOWS = ("tensorflow", "tensorflow-cpu", "tensorflow-cpu-aws", "tensorflow-rocm")
_MPI_WRAPPERS = ("mpicxx", "mpic++")
_MPI_NAMES = re.compile(r"(Open MPI|OpenRTE|MPICH|HYDRA|MVAPICH2?|Intel\(R\) MPI)\D*(\d[\w.]*)")
# Names under which launchers go.
_MPI_LAUNCHERS = {"HYDRA": "MPICH", "OpenRTE": "Open MPI"}
MPI_ADVICE = (
    "Debian and Ubuntu: apt-get install libopenmpi-dev openmpi-bin; conda: conda install openmpi; "
    "clusters: module load openmpi"
)


@dataclass(frozen=True)
class Recipe:
    """What one build of Horovod is made for.

    Attributes
    ----------
    python : str
        Implementation, version and ABI, as in the names of extension modules.
    platform : str
        System, machine and C library.
    tensorflow : str
        Name of the distribution and its version.
    mpi : str or None
        Implementation and version of the MPI whose compiler wrapper was found, else None.
    gpu_operations : str or None
        ``HOROVOD_GPU_OPERATIONS``: ``NCCL``, or None for a build without GPUs.
    cuda : str or None
        Release of the CUDA compiler when there are GPU operations.
    """

    python: str
    platform: str
    tensorflow: str
    mpi: str | None
    gpu_operations: str | None = None
    cuda: str | None = None

    @property
    def key(self) -> str:
        """Id of the build: differs whenever a build for one wouldn't do for the other."""
        return short_id([RELEASE, PATCHES, BUILD_TOOLS, asdict(self)])

    @property
    def version(self) -> str:
        """Version under which the build is installed; its local part is the key.

        So the installed metadata alone tells whether an installation is the wanted one.
        """
        return f"{RELEASE}+gridfold.{self.key}"

    def __str__(self) -> str:
        parts = [self.mpi or "no MPI", "Gloo"]
        if self.gpu_operations:
            parts.append(f"{self.gpu_operations} (CUDA {self.cuda})")
        return f"Horovod {RELEASE} for {self.tensorflow} with {', '.join(parts)}"

    @classmethod
    def of_this_environment(cls, environ: Mapping[str, str] = os.environ) -> Recipe:
        """Look at the running Python, its TensorFlow and the compilers on the path.

        Raises
        ------
        BuildError
            When no build is possible, with every reason at once.
        """
        problems = []
        tensorflow = _tensorflow()
        if not sys.platform.startswith("linux"):
            problems.append(f"Horovod is built on Linux, this is {sys.platform}.")
        if not _PYTHONS[0] <= sys.version_info[:2] <= _PYTHONS[1]:
            oldest, newest = (".".join(map(str, v)) for v in _PYTHONS)
            problems.append(
                f"Python {sys.version.split()[0]} is not supported: use one of {oldest} to "
                f"{newest}, as in `uv sync --python {newest}`."
            )
        elif tensorflow is None:
            problems.append(
                f"TensorFlow is not installed for {sys.executable}: run `make setup` (or `uv "
                "sync`), and use the Python in .venv."
            )
        mpi = None if environ.get("HOROVOD_WITHOUT_MPI") == "1" else _mpi(environ)
        if mpi is None and environ.get("HOROVOD_WITH_MPI") == "1":
            problems.append(
                "HOROVOD_WITH_MPI=1 is set, but no mpicxx is on the PATH. " + MPI_ADVICE + "."
            )
        gpu_operations = environ.get("HOROVOD_GPU_OPERATIONS") or None
        cuda = _cuda_release(environ) if gpu_operations else None
        if gpu_operations and cuda is None:
            problems.append(
                f"HOROVOD_GPU_OPERATIONS={gpu_operations} needs CUDA's compiler nvcc: set "
                "HOROVOD_CUDA_HOME (clusters: module load cuda), or use a CUDA `devel` image."
            )
        if problems or tensorflow is None:
            raise BuildError("\n".join(problems))
        return cls(
            sysconfig.get_config_var("SOABI"),
            f"{sysconfig.get_platform()} {_c_library()}",
            tensorflow,
            mpi,
            gpu_operations,
            cuda,
        )


def cuda_home(environ: Mapping[str, str] = os.environ) -> Path | None:
    """Return the folder of the CUDA toolkit, or None."""
    for name in ("HOROVOD_CUDA_HOME", "CUDA_HOME", "CUDA_PATH"):
        if environ.get(name) and (Path(environ[name]) / "bin" / "nvcc").exists():
            return Path(environ[name])
    nvcc = shutil.which("nvcc", path=environ.get("PATH"))
    if nvcc:
        return Path(nvcc).parent.parent
    usual = Path("/usr/local/cuda")
    return usual if (usual / "bin" / "nvcc").exists() else None


def mpi_name(text: str) -> str | None:
    """Return the MPI that a program or library says to be, such as ``Open MPI 4.1.4``."""
    found = _MPI_NAMES.search(text)
    return f"{_MPI_LAUNCHERS.get(found[1], found[1])} {found[2]}" if found else None


def output_of(command: list[str]) -> str:
    """Return what a program says, on either stream; nothing when it can't be run."""
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout + answer.stderr


def missing_tools(recipe: Recipe, environ: Mapping[str, str] = os.environ) -> list[str]:
    """Return what the machine lacks for a build, each with the way to get it."""
    path = environ.get("PATH")
    advice = {
        "g++": "Debian and Ubuntu: apt-get install g++; conda: conda install gxx; "
        "clusters: module load gcc",
        "make": "Debian and Ubuntu: apt-get install make; conda: conda install make",
    }
    missing = [tool for tool in advice if not shutil.which(tool, path=path)]
    if environ.get("CXX") and "g++" in missing:
        missing.remove("g++")
    return [f"{tool} is not on the PATH. {advice[tool]}." for tool in missing]


def _tensorflow() -> str | None:
    for name in _TENSORFLOWS:
        try:
            return f"{name} {version(name)}"
        except PackageNotFoundError:
            continue
    return None


def _c_library() -> str:
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (OSError, ValueError):  # musl has no such name
        return ""


def _mpi(environ: Mapping[str, str]) -> str | None:
    """Return the MPI that the compiler wrapper on the path belongs to."""
    for wrapper in _MPI_WRAPPERS:
        program = shutil.which(wrapper, path=environ.get("PATH"))
        if program is None:
            continue
        # Open MPI answers the first, MPICH and its descendants the second.
        for option in ("--showme:version", "-v"):
            name = mpi_name(output_of([program, option]))
            if name:
                return name
        return f"MPI of {program}"
    return None


def _cuda_release(environ: Mapping[str, str]) -> str | None:
    home = cuda_home(environ)
    if home is None:
        return None
    found = re.search(r"release (\d[\d.]*)", output_of([str(home / "bin" / "nvcc"), "--version"]))
    return found[1] if found else None
