"""Horovod is built when it has to be, kept, and said to be missing in words that help."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from environments import bare_environment, programs, run_module, twin_environment
from needs import lacking, need_horovod

from gridfold.environment import horovod_recipe
from gridfold.environment.horovod_build import default_cache, kept_wheel, publish
from gridfold.environment.horovod_recipe import Recipe, mpi_name
from gridfold.errors import BuildError

RECIPE = Recipe(
    "cpython-311-x86_64-linux-gnu", "linux-x86_64 glibc 2.36", "tensorflow 2.21.0", "Open MPI 4.1.4"
)
BUILD = "gridfold.environment.horovod_build"


@pytest.mark.parametrize(
    "changed",
    [
        {"python": "cpython-312-x86_64-linux-gnu"},
        {"platform": "linux-aarch64 glibc 2.36"},
        {"tensorflow": "tensorflow 2.21.1"},
        {"tensorflow": "tensorflow-cpu 2.21.0"},
        {"mpi": None},
        {"mpi": "Open MPI 5.0.7"},
        {"gpu_operations": "NCCL", "cuda": "12.9"},
    ],
    ids=lambda changed: "-".join(map(str, changed.values())),
)
def test_another_environment_gets_another_build(changed: dict[str, str]) -> None:
    assert replace(RECIPE, **changed).key != RECIPE.key


def test_another_patch_gets_another_build(monkeypatch: pytest.MonkeyPatch) -> None:
    before = RECIPE.key
    monkeypatch.setattr(horovod_recipe, "PATCHES", horovod_recipe.PATCHES[:-1])
    assert RECIPE.key != before


def test_the_installed_version_tells_the_build() -> None:
    assert replace(RECIPE).version == RECIPE.version == f"0.28.1+gridfold.{RECIPE.key}"


@pytest.mark.parametrize(
    ("says", "name"),
    [
        ("mpicxx: Open MPI 4.1.4 (Language: C++)", "Open MPI 4.1.4"),
        ("mpirun (Open MPI) 5.0.7rc1", "Open MPI 5.0.7rc1"),
        ("mpiexec (OpenRTE) 4.1.4", "Open MPI 4.1.4"),
        ("Open MPI v4.1.4, package: Debian OpenMPI, ident: 4.1.4", "Open MPI 4.1.4"),
        ("mpicxx for MPICH version 4.0.2", "MPICH 4.0.2"),
        ("HYDRA build details:\n    Version:       4.0.2", "MPICH 4.0.2"),
        ("mpigxx for the Intel(R) MPI Library 2021.9 for Linux*", "Intel(R) MPI 2021.9"),
        ("slurm 22.05.8", None),
    ],
)
def test_an_mpi_is_recognised_by_what_it_says(says: str, name: str | None) -> None:
    assert mpi_name(says) == name


def test_the_compiler_wrapper_decides_about_mpi(tmp_path: Path) -> None:
    path = programs(tmp_path, mpicxx='[ "$1" = -v ] && echo "mpicxx for MPICH version 4.0.2"')
    with_mpi = {"PATH": f"{path}:/usr/bin:/bin"}
    assert Recipe.of_this_environment(with_mpi).mpi == "MPICH 4.0.2"
    assert Recipe.of_this_environment({"PATH": "/nowhere"}).mpi is None
    assert Recipe.of_this_environment(with_mpi | {"HOROVOD_WITHOUT_MPI": "1"}).mpi is None


def test_a_missing_compiler_is_named_with_its_package(tmp_path: Path) -> None:
    answer = run_module(BUILD, "--cache", tmp_path / "cache", PATH=str(tmp_path), CXX="")
    if "is installed" in answer.stdout:
        pytest.fail("a build without MPI is installed; this test expects none")
    assert answer.returncode == 1
    assert "g++ is not on the PATH. Debian and Ubuntu: apt-get install g++;" in answer.stderr
    assert "make is not on the PATH" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert not (tmp_path / "cache").exists()


def test_a_missing_tensorflow_is_named(tmp_path: Path) -> None:
    python, environment = bare_environment(tmp_path / "bare")
    answer = run_module(BUILD, python=python, **environment)
    assert answer.returncode == 1
    assert "TensorFlow is not installed" in answer.stderr
    assert "make setup" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_python_without_tensorflow_wheels_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 14, 0))
    with pytest.raises(BuildError, match=r"not supported: use one of 3\.11 to 3\.13"):
        Recipe.of_this_environment()


def test_what_was_asked_for_and_is_missing_is_named_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(horovod_recipe, "cuda_home", lambda environ: None)
    asked = {"PATH": "/nowhere", "HOROVOD_WITH_MPI": "1", "HOROVOD_GPU_OPERATIONS": "NCCL"}
    with pytest.raises(BuildError) as refused:
        Recipe.of_this_environment(asked)
    assert "libopenmpi-dev" in str(refused.value)
    assert "HOROVOD_CUDA_HOME" in str(refused.value)


def test_a_failed_build_leaves_its_log_and_nothing_else(tmp_path: Path) -> None:
    path = programs(tmp_path / "bin", **{"g++": "exit 1", "make": "exit 1", "mpicxx": "exit 1"})
    answer = run_module(
        BUILD,
        "--cache",
        tmp_path / "cache",
        PATH=f"{path}{os.pathsep}{os.environ['PATH']}",
        # Both installers are cut off from the network and from what they have kept.
        UV_OFFLINE="1",
        UV_CACHE_DIR=str(tmp_path / "uv"),
        PIP_NO_INDEX="1",
        PIP_NO_CACHE_DIR="1",
        PIP_FIND_LINKS="",
    )
    assert answer.returncode == 1
    assert "Fetching the build tools failed. The package index can't be reached" in answer.stderr
    assert "Traceback" not in answer.stderr
    (log,) = (tmp_path / "cache").iterdir()
    assert f"Log: {log}" in answer.stderr
    assert "setuptools" in log.read_text()


def test_of_two_builds_at_once_one_stays(tmp_path: Path) -> None:
    stages = [tmp_path / "first", tmp_path / "second"]
    for stage in stages:
        stage.mkdir()
        (stage / "horovod-0.whl").write_text(stage.name)
        publish(stage, tmp_path / RECIPE.key)
    wheel = kept_wheel(tmp_path, RECIPE)
    assert wheel is not None
    assert wheel.read_text() == "first"
    assert [entry.name for entry in tmp_path.iterdir()] == [RECIPE.key]


def test_a_second_call_finds_nothing_to_do_and_imports_nothing(tmp_path: Path) -> None:
    recipe = need_horovod()
    code = (
        "import sys; from gridfold.environment.horovod_build import main\n"
        "failed = main(sys.argv[1:])\n"
        "sys.exit(failed or bool({'tensorflow', 'horovod', 'numpy'} & set(sys.modules)))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code, "--cache", str(tmp_path / "cache")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout == f"{recipe} is installed\n"
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("installer", ["as here", "the pip that Python brings"])
def test_after_a_sync_the_kept_wheel_is_installed(tmp_path: Path, installer: str) -> None:
    recipe = need_horovod()
    if kept_wheel(default_cache(), recipe) is None:
        lacking("the build cache is empty, so it was NOT tested: run `make horovod`")
    python = twin_environment(tmp_path / "twin", without=["horovod", "pip"])
    environment = {}
    if installer != "as here":
        # Nothing on the path but the wrapper that is part of the key.
        environment = {"PATH": str(tmp_path / "bin"), "UV": ""}
        (tmp_path / "bin").mkdir()
        wrapper = shutil.which("mpicxx")
        if wrapper:
            (tmp_path / "bin" / "mpicxx").symlink_to(wrapper)
    first = run_module(BUILD, python=python, **environment)
    assert first.returncode == 0, first.stderr
    assert f"{recipe} installed in" in first.stdout
    assert "Building" not in first.stdout
    assert next(tmp_path.glob("twin/lib/python*/site-packages/horovod/tensorflow/mpi_lib*.so"))
    assert "is installed" in run_module(BUILD, python=python, **environment).stdout


# Each process answers in a file of its own: launchers mix their output, also within a line.
REDUCE = """
import sys
from pathlib import Path
import horovod.tensorflow as hvd, tensorflow as tf
hvd.init()
total = hvd.allreduce(tf.constant([hvd.rank() + 1.0]), op=hvd.Sum)
Path(sys.argv[1], f"rank{hvd.rank()}").write_text(f"{total.numpy()[0]} of {hvd.size()}")
"""


@pytest.mark.parametrize("launcher", ["mpirun", "horovodrun"])
def test_two_processes_add_up(launcher: str, tmp_path: Path) -> None:
    recipe = need_horovod()
    if launcher == "mpirun":
        if recipe.mpi is None or "Open MPI" not in recipe.mpi:
            lacking("Horovod is built without Open MPI, so MPI was NOT tested")
        start = ["mpirun", "-n", "2", "--oversubscribe"]
    else:
        start = [str(Path(sys.executable).parent / "horovodrun"), "--gloo", "-np", "2"]
    environment = os.environ | {
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }
    script = tmp_path / "reduce.py"
    script.write_text(REDUCE)
    answer = subprocess.run(
        [*start, sys.executable, str(script), str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    told = {file.name: file.read_text() for file in tmp_path.glob("rank*")}
    assert told == {"rank0": "3.0 of 2", "rank1": "3.0 of 2"}
