"""`gridfold doctor` tells what a trial finds, and what to do about what is missing."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from environments import programs
from needs import need_horovod

from gridfold.cluster.job import SlurmJob
from gridfold.environment import machine
from gridfold.environment.doctor import Examination
from gridfold.environment.versions import package_version

TENSORFLOW = """
__version__ = "2.21.0"
class config:
    @staticmethod
    def list_physical_devices(kind):
        return []
class sysconfig:
    @staticmethod
    def get_build_info():
        return {}
"""
KERAS = """
__version__ = "3.15.1"
class backend:
    @staticmethod
    def backend():
        return "tensorflow"
"""


@pytest.fixture
def fakes(tmp_path: Path) -> Path:
    """Quick stand-ins for the libraries, which tests replace one by one."""
    for name, code in {
        "tensorflow": TENSORFLOW,
        "keras": KERAS,
        "keras_tuner": '__version__ = "1.4.8"',
    }.items():
        write_module(tmp_path / "fakes", name, code)
    return tmp_path / "fakes"


def write_module(folder: Path, name: str, code: str) -> None:
    file = folder / name.replace(".", "/") / "__init__.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(code)


def write_horovod(folder: Path, built_for: str, code: str) -> None:
    write_module(folder, "horovod", "")
    write_module(folder, "horovod.tensorflow", code)
    (folder / "horovod" / "metadata.json").write_text(json.dumps({"tensorflow": built_for}))
    metadata = folder / "horovod-0.28.1.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: horovod\nVersion: 0.28.1\n")


def doctor(
    *arguments: str, fakes: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    if fakes:
        environment["PYTHONPATH"] = str(fakes)
    code = (
        "import sys; from gridfold.cli.main import main; sys.exit(main(['doctor', *sys.argv[1:]]))"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def examined(*, code: int = 0, **options: Any) -> dict[str, Any]:
    answer = doctor("--json", **options)
    assert answer.returncode == code, answer.stderr
    assert "Traceback" not in answer.stderr
    told: dict[str, Any] = json.loads(answer.stdout)
    return told


def finding(told: dict[str, Any], subject: str) -> dict[str, str]:
    (found,) = (finding for finding in told["findings"] if finding["subject"] == subject)
    return dict(found)


def test_this_environment_is_fit_and_its_versions_are_told() -> None:
    answer = doctor()
    assert answer.returncode == 0
    # What TensorFlow says about itself is nobody's business here.
    assert answer.stderr == ""
    assert f"Python        {platform.python_version()}" in answer.stdout
    assert f"TensorFlow    {package_version('tensorflow')}" in answer.stdout
    assert f"Keras         {package_version('keras')} on tensorflow" in answer.stdout
    assert f"Keras Tuner   {package_version('keras-tuner')}" in answer.stdout
    assert "of a trial only with execution.trial_timeout" in answer.stdout


def test_the_build_of_horovod_is_told() -> None:
    recipe = need_horovod()
    horovod = examined()["libraries"]["horovod"]
    assert horovod["version"] == recipe.version
    assert horovod["built_for"] == package_version("tensorflow")
    assert horovod["gloo"]
    assert horovod["mpi"] == (recipe.mpi is not None)
    assert machine.mpi_name(horovod["mpi_library"] or "") == recipe.mpi


def test_json_has_all_that_the_text_has(fakes: Path) -> None:
    told = examined(fakes=fakes)
    assert set(told) == {field.name for field in fields(Examination)}
    assert set(told["libraries"]) == {"tensorflow", "keras", "keras_tuner", "horovod"}
    assert told["cpu"]["usable_cores"] >= 1
    assert told["cpu"]["usable_memory_gib"] > 0
    assert set(told["cpu"]["precision"]) == {"bfloat16", "float16"}
    assert told["executable"] == sys.executable


def test_a_missing_tensorflow_is_broken_and_the_rest_is_still_told(fakes: Path) -> None:
    write_module(fakes, "tensorflow", "raise ModuleNotFoundError('No module', name='tensorflow')")
    answer = doctor(fakes=fakes)
    assert answer.returncode == 1
    assert "broken: TensorFlow: can't be imported: No module" in answer.stdout
    assert "make setup" in answer.stdout
    assert "Keras         3.15.1" in answer.stdout
    assert answer.stderr == "No trial can run here: TensorFlow.\n"


def test_a_tensorflow_that_crashes_does_not_take_the_doctor_along(fakes: Path) -> None:
    write_module(fakes, "tensorflow", "import os; os.kill(os.getpid(), 4)")
    told = examined(fakes=fakes, code=1)
    assert "SIGILL" in finding(told, "TensorFlow")["found"]
    assert "AVX" in finding(told, "TensorFlow")["remedy"]
    assert "not tried" in finding(told, "Keras")["found"]


def test_a_chattering_tensorflow_is_not_heard(fakes: Path) -> None:
    noise = "import os; os.write(1, b'{noise'); os.write(2, b'noise')\n"
    write_module(fakes, "tensorflow", noise + TENSORFLOW)
    answer = doctor(fakes=fakes)
    assert "noise" not in answer.stdout + answer.stderr
    assert "TensorFlow    2.21.0" in answer.stdout


def test_keras_on_another_backend_is_broken(fakes: Path) -> None:
    write_module(fakes, "keras", KERAS.replace('"tensorflow"', '"jax"'))
    assert "KERAS_BACKEND" in finding(examined(fakes=fakes, code=1), "Keras")["remedy"]


def test_a_horovod_of_another_tensorflow_and_without_mpi_is_told(fakes: Path) -> None:
    code = "mpi_built = nccl_built = lambda: 0\ngloo_built = lambda: True"
    write_horovod(fakes, "2.17.0", code)
    told = examined(fakes=fakes)
    mismatch, no_mpi = (f for f in told["findings"] if f["subject"] == "Horovod")
    assert mismatch["found"] == "built for TensorFlow 2.17.0, 2.21.0 is installed"
    assert mismatch["remedy"] == "Run `make horovod`."
    assert "horovodrun --gloo" in no_mpi["found"]


def test_a_horovod_without_its_mpi_library_is_explained(fakes: Path) -> None:
    message = "libmpi.so.40: cannot open shared object file"
    write_horovod(fakes, "2.21.0", f"raise OSError({message!r})")
    found = finding(examined(fakes=fakes), "Horovod")
    assert message in found["found"]
    assert "module load openmpi" in found["remedy"]


def test_launchers_that_are_missing_are_missed(tmp_path: Path) -> None:
    recipe = need_horovod()
    if recipe.mpi is None:
        pytest.skip("Horovod is built without MPI")
    told = examined(PATH=str(tmp_path))
    assert [Path(program["path"]).name for program in told["launchers"]] == ["horovodrun"]
    found = finding(told, "MPI launcher")
    assert recipe.mpi in found["found"]
    assert "apt-get install libopenmpi-dev openmpi-bin" in found["remedy"]


def test_an_mpi_of_another_kind_is_doubtful(tmp_path: Path) -> None:
    need_horovod()
    path = programs(tmp_path, mpirun="echo 'mpirun (Open MPI) 1.2.3'")
    told = examined(PATH=str(path))
    assert "is Open MPI 1.2.3, Horovod uses" in finding(told, "MPI launcher")["found"]


def test_gpus_that_tensorflow_does_not_see_are_doubtful(fakes: Path, tmp_path: Path) -> None:
    path = programs(
        tmp_path / "bin",
        **{"nvidia_smi": "echo '0, Tesla V100-SXM2-32GB, 32768, 550.54.15, 7.0'"},
    )
    answer = doctor(fakes=fakes, PATH=str(path))
    assert answer.returncode == 0
    assert (
        "Tesla V100-SXM2-32GB, 32.0 GiB, driver 550.54.15, compute capability 7.0 "
        "(tensor cores: float16)" in answer.stdout
    )
    assert "MPS does not run: trials that share a GPU take turns on it" in answer.stdout
    assert "doubtful: GPU: the driver shows 1, TensorFlow none" in answer.stdout
    assert "uv sync --no-group cpu --group gpu" in answer.stdout


def test_a_driver_without_devices_is_no_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(programs(tmp_path, nvidia_smi="echo 'No devices were found'")))
    assert machine.gpus() == []


def test_trials_compute_side_by_side_where_the_service_for_that_runs(
    fakes: Path, tmp_path: Path
) -> None:
    path = programs(tmp_path / "bin", nvidia_smi="echo '0, Tesla V100, 32768, 550.54.15, 7.0'")
    service = tmp_path / "mps" / "nvidia-cuda-mps-control.pid"
    service.parent.mkdir()
    service.write_text(f"{os.getpid()}\n")
    environment = {"PATH": str(path), "CUDA_MPS_PIPE_DIRECTORY": str(service.parent)}
    assert "MPS runs: trials that share" in doctor(fakes=fakes, **environment).stdout
    assert examined(fakes=fakes, **environment)["mps"] is True
    # What a service that has been killed leaves behind.
    for left in ("", "4194305\n", "none"):
        service.write_text(left)
        assert not machine.mps_runs(environment)


def test_inside_a_slurm_job_its_share_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    job = {
        "SLURM_JOB_ID": "4711",
        "SLURM_JOB_PARTITION": "gpu",
        "SLURM_JOB_NODELIST": "node[1-2]",
        "SLURM_NTASKS": "8",
        "SLURM_PROCID": "3",
        "SLURM_CPUS_PER_TASK": "1",
    }
    assert SlurmJob.of_process(job) == SlurmJob("4711", "gpu", "node[1-2]", 8, 3, 1)
    assert SlurmJob.of_process({}) is None
    cpu = machine.cpu(job)
    assert cpu.usable_cores == 1
    if cpu.cores > 1:
        assert cpu.limited_by == "SLURM_CPUS_PER_TASK"


def test_slurm_and_containers_are_found_by_their_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = programs(
        tmp_path,
        sbatch="echo 'slurm-wlm 22.05.8'",
        srun="echo 'slurm-wlm 22.05.8'",
        apptainer="echo 'apptainer version 1.3.4'",
    )
    monkeypatch.setenv("PATH", str(path))
    assert machine.slurm() == machine.Program("sbatch", str(path / "sbatch"), "Slurm 22.05.8")
    assert machine.launchers()[0].version == "Slurm 22.05.8"
    assert machine.container_engines() == [
        machine.Program("apptainer", str(path / "apptainer"), "1.3.4")
    ]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_only_the_cores_that_the_process_may_use_count() -> None:
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from gridfold.environment.machine import cpu; print(cpu({}).usable_cores)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout == "1\n"
