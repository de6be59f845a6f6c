"""Data-parallel training is the training on one device: same weights, whatever shares the work."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from distributed import horovod, need_mpi, needs_horovod, needs_mpi, run_on_ranks
from workbench import ROOT, Bench, prepare_bench

from gridfold.jobs.ranks import Launch
from gridfold.store.trials import TrialTask
from gridfold.training.optimisers import learning_rate
from gridfold.training.trial import global_batch_size

PROBE = ROOT / "tests" / "support" / "rankprobe.py"
MODELS = ROOT / "tests" / "support" / "exactmodels.py"
# Of 201 samples a split trains on 134: 5 batches of 24 and one of 14, or 2 of 66 and one of 2.
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "remainder": ("exact", {"batch_size": 24}),
    "fewer samples than ranks": ("exact", {"batch_size": 66}),
    "clipping": ("exact", {"batch_size": 24, "clipnorm": 0.1, "momentum": 0.9}),
    "accumulation": ("exact", {"batch_size": 24, "gradient_accumulation_steps": 4}),
    "embedding": ("embedding", {"batch_size": 24}),
    "class weights": ("exact", {"batch_size": 24, "class_weights": {"1": 3.0}}),
    "schedule": ("exact", {"batch_size": 24, "schedule": {"kind": "cosine"}, "warmup_epochs": 1}),
    "early stopping": ("exact", {"batch_size": 24, "early_stopping": {"patience": 1}}),
}


def study(folder: Path, name: str, model: str, **training: Any) -> Bench:
    own = {"python": {"build": f"{MODELS}:{model}"}}
    return prepare_bench(
        folder,
        {
            "study": name,
            "data": {"source": "digits", "normalise": "global", "subset": 252},
            "problem": {"type": "multiclass"},
            "model": own if model in ("exact", "embedding") else {model: {}},
            "training": {"epochs": 2, "optimizer": "sgd", "learning_rate": 0.05, **training},
            "resampling": {"method": "kfold", "folds": 3},
        },
    )


def task(
    folder: Path, name: str, model: str, parallel: Mapping[str, Any] | None, **training: Any
) -> TrialTask:
    extra = {"distribution": parallel} if parallel else {}
    return study(folder / name, name.replace(" ", "-"), model, **training, **extra).work().task


def probed(folder: Path, tasks: Mapping[str, TrialTask], launch: Launch) -> list[dict[str, Any]]:
    """Train all tasks in one launch; return for each rank the arrays of each task."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tasks.pkl").write_bytes(pickle.dumps(dict(tasks)))
    run_on_ranks(launch, [str(PROBE), str(folder)])
    return [
        {name: dict(np.load(folder / f"{name}.{rank}.npz")) for name in tasks}
        for rank in range(launch.ranks)
    ]


Answers = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def one_process(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """Return what one process ends with."""
    folder = tmp_path_factory.mktemp("one")
    tasks = {name: task(folder, name, model, None, **o) for name, (model, o) in CASES.items()}
    (answers,) = probed(folder / "answers", tasks | in_precisions(folder, None), Launch("", 1))
    return answers


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> list[Answers]:
    """Return what each of two ranks ends with; they start once, for several tests."""
    need_mpi()
    folder = tmp_path_factory.mktemp("two")
    parallel = {"backend": "horovod", "world_size": 2}
    tasks = shared(folder, parallel) | in_precisions(folder, parallel) | with_options(folder)
    return probed(folder / "answers", tasks, horovod(2, "mpirun"))


def largest_difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    assert one.keys() == other.keys()
    assert all(one[name].shape == other[name].shape for name in one)
    return max(float(np.max(np.abs(one[name] - other[name]), initial=0.0)) for name in one)


def shared(folder: Path, parallel: dict[str, Any]) -> dict[str, TrialTask]:
    """Return the tasks that replicas must end with the weights of one process in."""
    names = set(CASES) if parallel["world_size"] == 2 else {"remainder", "fewer samples than ranks"}
    if parallel["backend"] == "mirrored":
        names.discard("accumulation")
    tasks = {name: task(folder, name, CASES[name][0], parallel, **CASES[name][1]) for name in names}
    for name in ("remainder", "fewer samples than ranks") if parallel["world_size"] == 2 else ():
        # Once more with samples that each process reads as it needs them.
        again = task(folder / "read", name, CASES[name][0], parallel, **CASES[name][1])
        tasks[f"{name}, read"] = replace(again, in_memory_mb=0)
    return tasks


def check_equal(ranks: list[Answers], expected: Answers, tolerance: float = 1e-9) -> None:
    for answers in ranks:
        assert {name.removesuffix(", read") for name in answers} <= set(expected)
        for name, answer in answers.items():
            kept = expected[name.removesuffix(", read")]
            assert largest_difference(answer, kept) < tolerance, name


@pytest.mark.daily("replicas that equal one process", 2)
@needs_mpi
# Two have a test of their own, and three meet over Gloo.
@pytest.mark.parametrize("ranks", [1, 4])
def test_ranks_under_mpi_equal_one_process(
    tmp_path: Path, ranks: int, one_process: Answers
) -> None:
    tasks = shared(tmp_path, {"backend": "horovod", "world_size": ranks})
    check_equal(probed(tmp_path / "answers", tasks, horovod(ranks, "mpirun")), one_process)


def test_two_ranks_equal_one_process_in_all_cases(
    two_ranks: list[Answers], one_process: Answers
) -> None:
    cases = {*CASES, "remainder, read", "fewer samples than ranks, read"}
    check_equal([{name: rank[name] for name in cases} for rank in two_ranks], one_process)


@pytest.mark.daily("replicas that equal one process", 2)
@needs_horovod
def test_ranks_over_gloo_equal_one_process(tmp_path: Path, one_process: Answers) -> None:
    tasks = shared(tmp_path, {"backend": "horovod", "world_size": 3})
    check_equal(probed(tmp_path / "answers", tasks, horovod(3, "horovodrun")), one_process)


@pytest.mark.daily("replicas that equal one process", 2)
# Keras divides the loss by the number of replicas in 32 bit, which is exact for powers of 2 only.
@pytest.mark.parametrize(("devices", "tolerance"), [(2, 1e-9), (3, 1e-6)])
def test_mirrored_devices_equal_one_device(
    tmp_path: Path, devices: int, tolerance: float, one_process: Answers
) -> None:
    tasks = shared(tmp_path, {"backend": "mirrored", "world_size": devices})
    check_equal(probed(tmp_path / "answers", tasks, Launch("", 1)), one_process, tolerance)


# Whatever differs from one process by design, or by rounding: the ranks must agree all the same.
OPTIONS: dict[str, dict[str, Any]] = {
    "batch normalisation and dropout": {
        "cnn": {"filters": 4, "dense_units": 8, "batch_norm": True, "dropout": 0.3},
        "optimizer": "adam",
    },
    "16-bit floats with loss scaling": {"cnn": {"filters": 4}, "mixed_precision": "float16"},
    "bfloat16": {"cnn": {"filters": 4}, "mixed_precision": "bfloat16"},
    "augmentation": {"cnn": {"filters": 4}, "augmentation": {"rotation": 0.1, "flip": "both"}},
    "gradients in 16 bit": {"compression": "fp16"},
    "sum": {"reduction": "sum", "learning_rate": 0.02},
    "adasum": {"reduction": "adasum"},
    "batch of each replica": {
        "batch": "per_replica",
        "learning_rate_scaling": "linear",
        "warmup_epochs": 1,
    },
    "early stopping": {"early_stopping": {"patience": 1, "monitor": "val_metric"}, "epochs": 8},
}
_PARALLEL = ("compression", "reduction", "batch", "learning_rate_scaling")


def with_options(folder: Path) -> dict[str, TrialTask]:
    """Return a task of two ranks for each of the options."""
    tasks = {}
    for name, options in OPTIONS.items():
        parallel = {k: v for k, v in options.items() if k in _PARALLEL}
        training = {k: v for k, v in options.items() if k not in (*_PARALLEL, "cnn")}
        bench = prepare_bench(
            folder / f"with {name}",
            {
                "study": f"with-{name.replace(' ', '-')}",
                "data": {"source": "digits", "normalise": "global", "subset": 300},
                "problem": {"type": "multiclass"},
                "model": {"cnn": options["cnn"]} if "cnn" in options else {"mlp": {"units": 16}},
                "training": {
                    "epochs": 4,
                    "optimizer": "sgd",
                    "learning_rate": 0.05,
                    "distribution": {"backend": "horovod", "world_size": 2, **parallel},
                    **training,
                },
                "resampling": {"method": "kfold", "folds": 3},
            },
        )
        tasks[f"with {name}"] = bench.work().task
    return tasks


@pytest.mark.parametrize("name", OPTIONS)
def test_all_ranks_end_with_the_same_finite_weights(two_ranks: list[Answers], name: str) -> None:
    first, second = (answers[f"with {name}"] for answers in two_ranks)
    assert largest_difference(first, second) == 0
    assert all(np.isfinite(array).all() for array in first.values())
    losses = first["curve"][:, 0]
    assert losses[-1] < losses[0]


PRECISIONS: dict[str, bool | str] = {"32 bit": False, "16 bit": "float16"}


def in_precisions(folder: Path, parallel: Mapping[str, Any] | None) -> dict[str, TrialTask]:
    """Return a task for each precision."""
    return {
        bits: task(folder / bits, "case", "cnn", parallel, batch_size=24, mixed_precision=precision)
        for bits, precision in PRECISIONS.items()
    }


@pytest.mark.parametrize("bits", PRECISIONS)
def test_in_32_and_16_bit_ranks_stay_close_to_one_process(
    one_process: Answers, two_ranks: list[Answers], bits: str
) -> None:
    one, two = one_process, two_ranks[0]
    # Weights of 16-bit training differ more than its losses do.
    precision = PRECISIONS[bits]
    weights = {k: v for k, v in one[bits].items() if k == "curve" or not precision}
    others = {k: two[bits][k] for k in weights}
    assert largest_difference(weights, others) < (0.05 if precision else 1e-3)


def test_a_larger_world_takes_larger_steps_with_a_larger_rate(tmp_path: Path) -> None:
    rates, sizes = {}, {}
    for scaling in ("none", "linear", "sqrt"):
        parallel = {
            "backend": "horovod",
            "world_size": 4,
            "batch": "per_replica",
            "learning_rate_scaling": scaling,
        }
        options = task(tmp_path / scaling, "case", "mlp", parallel).settings["training"]
        rates[scaling] = learning_rate(options, steps_per_epoch=10)
        sizes[scaling] = global_batch_size(options)
    assert rates == pytest.approx({"none": 0.05, "linear": 0.2, "sqrt": 0.1})
    assert set(sizes.values()) == {4 * 32}
    shared = task(tmp_path / "g", "case", "mlp", {"backend": "horovod", "world_size": 4})
    assert global_batch_size(shared.settings["training"]) == 32
