"""A study on its way to a job that finds configurations of its own."""

from __future__ import annotations

from pathlib import Path

from studies import load, tiny_study

from gridfold import typed_json
from gridfold.requests import StudySections
from gridfold.study.request import sections_of, study_of


def test_axes_keep_their_order_so_that_a_configuration_has_one_label(tmp_path: Path) -> None:
    # Neither the order of the alphabet nor that of canonical JSON.
    axes = {"training.learning_rate": [0.01, 0.1], "mlp.units": [4, 8], "mlp.dropout": [0.0, 0.5]}
    study = load(tmp_path, tiny_study(search={"space": axes})).study
    arrived = study_of(typed_json.parse(StudySections, typed_json.text_of(sections_of(study))))
    assert list(arrived.search.space) == list(axes)
    assert arrived.search == study.search
    assert arrived.training.model_fields_set == study.training.model_fields_set
