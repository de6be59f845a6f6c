"""A configuration is named by what can change its result, and by nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from studies import configurations, load, tiny_study, tiny_text, write_study

from gridfold.canonical import short_id
from gridfold.plan.loading import load_study


def ids(folder: Path, **sections: Any) -> list[str]:
    return [c.id for c in configurations(folder, tiny_study(**sections))]


def test_an_id_is_the_digest_of_the_settings(tmp_path: Path) -> None:
    for configuration in configurations(tmp_path, tiny_study()):
        assert configuration.id == short_id(configuration.settings)


def test_ids_are_written_down_here_because_stored_results_depend_on_them(tmp_path: Path) -> None:
    assert ids(tmp_path) == ["63e74bd77b6d", "48593e33877c"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"mlp.units": [4, 8]}, {"mlp.units": [2, 4, 6, 8, 10]}),
        ({"mlp.units": [4, 8]}, {"mlp.units": {"range": {"start": 4, "stop": 8}}}),
        ({"mlp.units": [4, 8]}, {"mlp.units": [4, 8], "mlp.dropout": [0.0, 0.5]}),
        ({"mlp.units": [4, 8]}, {"mlp.units": [4, 8], "training.optimizer": ["sgd", "adam"]}),
    ],
    ids=["more values", "another form", "a new axis with the default", "a new training axis"],
)
def test_growing_the_space_keeps_every_old_id(
    tmp_path: Path, before: dict[str, Any], after: dict[str, Any]
) -> None:
    old, new = (ids(tmp_path, search={"space": space}) for space in (before, after))
    assert set(old) < set(new)


@pytest.mark.parametrize(
    "sections",
    [
        {"study": "renamed"},
        {"training": {"epochs": 30}},
        {"training": {"epochs": 3, "checkpoint_every": 5, "steps_per_execution": 2}},
        {"problem": {"type": "multiclass", "measure": "f1_macro"}},
        {"problem": {"type": "multiclass", "measures": ["cohen_kappa"]}},
        {"problem": {"type": "multiclass", "loss": "sparse_categorical_crossentropy"}},
        {"resampling": {"method": "stratified", "folds": 7, "seed": 3}},
        {"execution": {"workers": 7, "retries": 0, "trials_per_job": "split"}},
        {"report": {"title": "Another", "confidence": 0.9, "curves": 2}},
        {"model": {"mlp": {"units": 8, "layers": 1, "activation": "relu"}}},
        {"model": {"mlp": {"units": 64}}},
        {"training": {"epochs": 3, "learning_rate": 0.001, "momentum": 0, "seed": 0}},
        {"search": {"space": {"mlp.units": {"choice": [4, 8], "role": "nuisance"}}}},
        {"search": {"space": {"mlp.units": [4, 8]}, "max_configurations": 2}},
    ],
    ids=str,
)
def test_what_cannot_change_a_result_is_not_in_the_id(
    tmp_path: Path, sections: dict[str, Any]
) -> None:
    assert ids(tmp_path, **sections) == ids(tmp_path)


@pytest.mark.parametrize(
    "sections",
    [
        {"training": {"epochs": 3, "batch_size": 16}},
        {"training": {"epochs": 3, "learning_rate": 0.002}},
        {"training": {"epochs": 3, "seed": 1}},
        {"training": {"epochs": 3, "deterministic": False}},
        {"training": {"epochs": 3, "early_stopping": {}}},
        {"training": {"epochs": 3, "schedule": {"kind": "exponential", "rate": 0.9}}},
        {"data": {"source": "iris", "normalise": "minmax"}},
        {"model": {"mlp": {"activation": "tanh"}}},
        {"model": {"mlp": {"layers": 2}}},
    ],
    ids=str,
)
def test_what_can_change_a_result_is_in_the_id(tmp_path: Path, sections: dict[str, Any]) -> None:
    assert not set(ids(tmp_path, **sections)) & set(ids(tmp_path))


def test_a_whole_number_may_be_written_as_a_fraction(tmp_path: Path) -> None:
    whole = ids(tmp_path, search={"space": {"mlp.l2": [1, 0]}})
    assert ids(tmp_path, search={"space": {"mlp.l2": [1.0, -0.0]}}) == whole


def text_ids(folder: Path, text: str) -> list[str]:
    file = folder / "text.yaml"
    file.write_text(text, encoding="utf-8")
    return [c.id for c in load_study([file]).expansion.configurations]


def test_comments_layout_and_the_order_of_keys_do_not_matter(tmp_path: Path) -> None:
    turned = "".join(f"# why\n{line}\n\n" for line in reversed(tiny_text().splitlines()))
    laid_out = turned.replace("{type: multiclass}", "\n  type:   'multiclass'  # classes")
    assert text_ids(tmp_path, laid_out) == text_ids(tmp_path, tiny_text())


def test_two_files_give_the_same_ids_as_one(tmp_path: Path) -> None:
    base = write_study(tmp_path / "base.yaml", tiny_study())
    more = write_study(tmp_path / "more.yaml", {"training": {"batch_size": 8}})
    both = load_study([base, more]).expansion.configurations
    assert [c.id for c in both] == ids(tmp_path, training={"epochs": 3, "batch_size": 8})


def test_epochs_are_in_the_id_when_they_are_an_axis(tmp_path: Path) -> None:
    space = {"training.epochs": [2, 3]}
    found = configurations(tmp_path, tiny_study(search={"space": space}))
    assert [c.epochs for c in found] == [2, 3]
    assert len({c.id for c in found}) == 2


def test_epochs_are_in_the_id_when_the_schedule_spans_them(tmp_path: Path) -> None:
    short, long = (
        ids(tmp_path, training={"epochs": epochs, "schedule": {"kind": "cosine"}})
        for epochs in (3, 6)
    )
    assert not set(short) & set(long)


def test_a_schedule_that_does_not_span_the_epochs_leaves_them_out(tmp_path: Path) -> None:
    short, long = (
        ids(tmp_path, training={"epochs": epochs, "schedule": {"kind": "step", "at": [2]}})
        for epochs in (3, 6)
    )
    assert short == long


def test_processes_agree_whatever_their_hash_seed(tmp_path: Path) -> None:
    study = tiny_study(
        search={
            "strategy": {"type": "random", "n": 4},
            "space": {
                "mlp.units": [4, 8, 16, 32],
                "training.learning_rate": {"float": {"min": 0.001, "max": 0.1, "log": True}},
            },
        }
    )
    write_study(tmp_path / "study.yaml", study)
    command = (
        "from gridfold.plan.loading import load_study;"
        "print([c.id for c in load_study(['study.yaml']).expansion.configurations])"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", command],
            cwd=tmp_path,
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert answers == {str([c.id for c in configurations(tmp_path, study)])}


def test_with_one_replica_every_backend_is_the_same_configuration(tmp_path: Path) -> None:
    alone = configurations(tmp_path, tiny_study())
    axes = {
        "mlp.units": [4, 8],
        "training.distribution.backend": ["horovod", "mirrored"],
        "training.distribution.world_size": [1, 2],
    }
    found = load(tmp_path, tiny_study(search={"space": axes})).expansion
    assert {c.id for c in alone} < {c.id for c in found.configurations}
    # Two of one replica, and two with two replicas for each backend.
    assert len(found.configurations) == 2 + 2 * 2
    assert len(found.duplicates) == 2


def test_new_settings_at_their_defaults_keep_the_ids(tmp_path: Path) -> None:
    written = {
        "epochs": 3,
        "gradient_accumulation_steps": 1,
        "shuffle_block": None,
        "distribution": {"backend": "single", "batch": "global"},
    }
    plain = configurations(tmp_path, tiny_study())
    assert [c.id for c in configurations(tmp_path, tiny_study(training=written))] == [
        c.id for c in plain
    ]
    assert all("distribution" not in c.settings["training"] for c in plain)
