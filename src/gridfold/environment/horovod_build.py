"""Build Horovod for this environment once: ``python -m gridfold.environment.horovod_build``.

A build takes minutes, an installation of the kept wheel a second, and a second call finds that
there is nothing to do. Builds are kept outside the work tree, one folder for each
:class:`~gridfold.environment.horovod_recipe.Recipe`, so that `make clean`, `uv sync` and a second
clone of the project cost nothing. The standard library is enough for all of it, and nothing that is
needed only for building stays in the environment.
"""

from __future__ import annotations

import argparse
import ensurepip
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from gridfold.environment.horovod_recipe import (
    BUILD_TOOLS,
    MPI_ADVICE,
    PATCHES,
    RELEASE,
    RUNTIME_NEEDS,
    SDIST_SHA256,
    Recipe,
    cuda_home,
    missing_tools,
)
from gridfold.errors import BuildError

_DESCRIPTION = """\
Build Horovod for the TensorFlow and the MPI that are installed, and install it.

The wheel is kept and used again. Horovod's own variables are heeded: HOROVOD_GPU_OPERATIONS=NCCL
builds for GPUs (HOROVOD_CUDA_HOME, HOROVOD_NCCL_HOME), HOROVOD_WITH_MPI=1 fails without MPI,
HOROVOD_WITHOUT_MPI=1 builds with Gloo alone."""

# What the log says when something known went wrong, and what helps.
_KNOWN_FAILURES = (
    (r"No space left on device", "The disk is full; TMPDIR can name another place to build in."),
    (
        r"Killed|cannot allocate memory|out of memory",
        "Memory ran out: build with fewer compilers at once, as in --jobs 1.",
    ),
    (
        r"Could NOT find CUDAToolkit",
        "CUDA's libraries are not complete: HOROVOD_CUDA_HOME must be a whole toolkit.",
    ),
    (
        r"Could NOT find NCCL",
        "NCCL's headers are missing: install libnccl-dev of NVIDIA, or set HOROVOD_NCCL_HOME.",
    ),
    (r"Could NOT find MPI", f"The MPI compiler wrapper doesn't work. {MPI_ADVICE}."),
    (
        r"error sending request|Failed to fetch|Network connectivity|No solution found|"
        r"NewConnectionError|from versions: none",
        "The package index can't be reached: the first build needs a network.",
    ),
)
# Lines of a log that say why; what pip writes about its own subprocesses doesn't. CMake also says
# "Could NOT find" of what it can do without, so that alone tells nothing.
_TELLING = re.compile(r"error: (?!subprocess)|undefined|killed", re.I)
_LINES_SHOWN = 6
# Headers that Horovod and what it bundles use without saying so; those of compilers since GCC 13 no
# longer include them by the way.
_INCLUDED = [f"-include {name}" for name in ("cstdint", "stdexcept", "string")]
_VERIFICATION = """
import json
import horovod.tensorflow as hvd
print(json.dumps([bool(hvd.mpi_built()), bool(hvd.gloo_built()), bool(hvd.nccl_built())]))
"""


def default_cache() -> Path:
    """Return the folder in which builds are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "gridfold" / "horovod"


def installed_version() -> str | None:
    """Return the version of Horovod in this environment, without importing it."""
    try:
        return version("horovod")
    except PackageNotFoundError:
        return None


def ensure(cache: Path, jobs: int | None = None) -> None:
    """Make sure that the wanted Horovod is installed, building it when it isn't in the cache.

    Parameters
    ----------
    cache : Path
        Folder of the kept builds.
    jobs : int, optional
        Compilers at once; by default as many as there are cores and memory for.
    """
    recipe = Recipe.of_this_environment()
    if installed_version() == recipe.version:
        print(f"{recipe} is installed")
        return
    wheel = kept_wheel(cache, recipe)
    began = time.monotonic()
    if wheel is None:
        wheel = _build(cache, recipe, jobs or _jobs())
    log = cache / f"{recipe.key}.install.{os.getpid()}.log"
    _step("Installing Horovod", [*_installer(), str(wheel)], log)
    log.unlink()
    print(f"{recipe} installed in {time.monotonic() - began:.0f} s, from {wheel.parent}")


def kept_wheel(cache: Path, recipe: Recipe) -> Path | None:
    """Return the wheel of an earlier build of `recipe`, or None."""
    return next((cache / recipe.key).glob("horovod-*.whl"), None)


def publish(stage: Path, home: Path) -> None:
    """Move a finished build to its place, unless another process was faster."""
    try:
        stage.rename(home)
    except OSError:
        # A rename never replaces a folder with content: the other build is as good as this one.
        if not any(home.glob("horovod-*.whl")):
            raise
        shutil.rmtree(stage)


def _build(cache: Path, recipe: Recipe, jobs: int) -> Path:
    missing = missing_tools(recipe)
    if missing:
        raise BuildError("Horovod can't be built.\n" + "\n".join(missing))
    cache.mkdir(parents=True, exist_ok=True)
    log = cache / f"{recipe.key}.{os.getpid()}.log"
    log.unlink(missing_ok=True)
    if recipe.mpi is None:
        print(f"No MPI: mpicxx is not on the PATH. {MPI_ADVICE}.")
    print(f"Building {recipe}; this takes minutes, once. Log: {log}", flush=True)
    with tempfile.TemporaryDirectory(prefix="gridfold-horovod-") as folder:
        work = Path(folder)
        tools = work / "tools"
        _step(
            "Fetching the build tools",
            [*_installer(), "--target", str(tools), *BUILD_TOOLS, *RUNTIME_NEEDS],
            log,
        )
        environment = _build_environment(recipe, tools, jobs)
        source = _source(work, environment, log)
        pip = [sys.executable, "-m", "pip"]
        options = ["--no-deps", "--no-build-isolation", "--wheel-dir", str(work / "wheels")]
        # Not before: pip refuses a download whose metadata say another version than was asked for.
        environment["HOROVOD_LOCAL_VERSION"] = recipe.version.partition("+")[2]
        _step("Compiling", [*pip, "wheel", "-v", *options, str(source)], log, environment)
        (wheel,) = (work / "wheels").glob("horovod-*.whl")
        _verify(wheel, recipe, work / "unpacked", log)
        # The stage lies in the cache, since a rename can't leave a file system.
        stage = Path(tempfile.mkdtemp(prefix=f".{recipe.key}.", dir=cache))
        try:
            stage.chmod(0o755)
            shutil.copy(wheel, stage)
            shutil.move(log, stage / "build.log")
            (stage / "recipe.json").write_text(json.dumps(asdict(recipe), indent=2) + "\n")
            publish(stage, cache / recipe.key)
        except BaseException:
            shutil.rmtree(stage, ignore_errors=True)
            raise
    found = kept_wheel(cache, recipe)
    assert found is not None
    return found


def _source(work: Path, environment: dict[str, str], log: Path) -> Path:
    """Fetch the release, check that it is the one we know, and patch it."""
    requirement = work / "horovod.txt"
    requirement.write_text(f"horovod=={RELEASE} --hash=sha256:{SDIST_SHA256}\n")
    options = ["--no-deps", "--no-build-isolation", "--no-binary", ":all:", "--dest", str(work)]
    _step(
        "Fetching Horovod's source",
        [sys.executable, "-m", "pip", "download", *options, "-r", str(requirement)],
        log,
        environment,
    )
    shutil.unpack_archive(work / f"horovod-{RELEASE}.tar.gz", work)
    source = work / f"horovod-{RELEASE}"
    for name, old, new in PATCHES:
        file = source / name
        text = file.read_text()
        if text.count(old) != 1:
            raise BuildError(f"The patch of {name} doesn't fit Horovod {RELEASE}.")
        file.write_text(text.replace(old, new))
    return source


def _build_environment(recipe: Recipe, tools: Path, jobs: int) -> dict[str, str]:
    python_path = [str(tools), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(python_path),
        "HOROVOD_CMAKE": str(tools / "cmake" / "data" / "bin" / "cmake"),
        "HOROVOD_WITH_TENSORFLOW": "1",
        "HOROVOD_WITHOUT_PYTORCH": "1",
        "HOROVOD_WITHOUT_MXNET": "1",
        "HOROVOD_WITH_GLOO": "1",
        f"HOROVOD_{'WITH' if recipe.mpi else 'WITHOUT'}_MPI": "1",
        # The bundled Gloo declares a minimum that CMake 3.31 still takes, with a warning.
        "CMAKE_POLICY_VERSION_MINIMUM": "3.5",
        "CXXFLAGS": " ".join([os.environ.get("CXXFLAGS", ""), *_INCLUDED]).strip(),
        # Also hides the flags of a `make` that called us.
        "MAKEFLAGS": f"-j{jobs}",
    }
    if recipe.gpu_operations:
        environment["HOROVOD_CUDA_HOME"] = str(cuda_home())
    return environment


def _verify(wheel: Path, recipe: Recipe, folder: Path, log: Path) -> None:
    """Import the build before it is kept: a wheel in the cache is one that works."""
    shutil.unpack_archive(wheel, folder, "zip")
    python_path = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    out = _step(
        "Importing the new Horovod",
        [sys.executable, "-c", _VERIFICATION],
        log,
        os.environ | {"PYTHONPATH": os.pathsep.join(python_path), "CUDA_VISIBLE_DEVICES": ""},
    )
    wanted = [recipe.mpi is not None, True, recipe.gpu_operations == "NCCL"]
    if json.loads(out.splitlines()[-1]) != wanted:
        raise BuildError(
            f"Horovod was built, but MPI, Gloo, NCCL are {out.splitlines()[-1]} "
            f"where {json.dumps(wanted)} was wanted. Log: {log}"
        )


def _installer() -> list[str]:
    """Return the beginning of a command that installs packages for the running Python."""
    # `uv run` names itself in UV; the Makefile puts one beside the environment.
    beside = Path(sys.prefix).parent / ".tools" / "bin" / "uv"
    for name in (os.environ.get("UV"), "uv", str(beside)):
        uv = shutil.which(name) if name else None
        if uv:
            return [uv, "pip", "install", "--python", sys.executable]
    if find_spec("pip"):
        return [sys.executable, "-m", "pip", "install"]
    # An environment that uv made has no pip, but Python comes with the wheel of one, which can be
    # run as it is. Distributions that take it out of Python say where it is instead.
    bundled = sysconfig.get_config_var("WHEEL_PKG_DIR") or Path(ensurepip.__path__[0]) / "_bundled"
    for pip in Path(bundled).glob("pip-*.whl"):
        return [sys.executable, str(pip / "pip"), "install"]
    raise BuildError(
        f"Neither uv nor pip is there for {sys.executable}: put uv on the PATH (`pip install uv`), "
        "or run `make horovod` in the project's folder."
    )


def _jobs() -> int:
    # A compiler takes up to 2 GB here, and a login node is shared with others.
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(1, min(len(os.sched_getaffinity(0)), memory // 2**31, 8))


def _step(
    title: str, command: Sequence[str], log: Path, environment: dict[str, str] | None = None
) -> str:
    """Run one command, add its output to the log, and return its standard output."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as stream:
        print(f"### {title}: {' '.join(command)}", file=stream, flush=True)
        begin = stream.tell()
        failed = subprocess.run(
            command, stdout=stream, stderr=subprocess.STDOUT, env=environment, check=False
        ).returncode
    with log.open(errors="replace") as stream:
        stream.seek(begin)
        output = stream.read()
    if failed:
        raise BuildError(_explanation(title, output, log))
    return output


def _explanation(title: str, output: str, log: Path) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    # A message of CMake follows its head.
    telling = [
        line
        for line, before in zip(lines, ["", *lines], strict=False)
        if _TELLING.search(line) or before.startswith("CMake Error")
    ]
    shown = list(dict.fromkeys(telling))[:_LINES_SHOWN] or lines[-_LINES_SHOWN:]
    said = "\n".join(telling or lines)
    hints = [hint for pattern, hint in _KNOWN_FAILURES if re.search(pattern, said, re.I)]
    head = f"{title} failed. {' '.join(hints)}".rstrip()
    return "\n".join([head, f"Log: {log}", *(f"  {line[:200]}" for line in shown)])


def main(arguments: Sequence[str] | None = None) -> int:
    """Build and install as the command line asks; return 0, or 1 after an explanation."""
    parser = argparse.ArgumentParser(
        "python -m gridfold.environment.horovod_build",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--cache",
        type=Path,
        default=default_cache(),
        help="folder of the kept builds (default: %(default)s)",
    )
    parser.add_argument("--jobs", type=int, help="compilers at once")
    options = parser.parse_args(arguments)
    try:
        ensure(options.cache.absolute(), options.jobs)
    except (BuildError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
