"""The command that runs a study, as a shell and Snakemake read it."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from snakemake.cli import parse_config

from gridfold.study.command import config_words, run_command
from gridfold.study.yaml_file import typed


def test_files_values_and_another_folder_of_results_are_said() -> None:
    assert run_command(["study.yaml"]) == "snakemake --configfile study.yaml"
    assert run_command(["a b.yaml", "c.yaml"], {"training": {"epochs": 3}}) == (
        "snakemake --configfile 'a b.yaml' c.yaml --config 'training={epochs: 3}'"
    )
    assert run_command(["c.yaml"], {}, "/scratch/me") == (
        "snakemake --configfile c.yaml --config results=/scratch/me"
    )
    assert run_command([], {"study": "x-1"}) == "snakemake --config study=x-1"


@pytest.mark.parametrize(
    "values",
    [
        {"study": "other", "training": {"epochs": 3, "learning_rate": 1e-5}},
        {"search": {"space": {"mlp.units": [8, 16], "model.x": {"grid": [0.5, True, None]}}}},
        {"data": {"path": "a b, c.csv", "id": "007", "groups": "true", "missing": {}}},
        {"data": {"ignore": ["null", "1e3", "x: y", "{z}", "#h", "it's", "é", "", "no", "~"]}},
        {"report": {"confidence": float("inf"), "notebook": False}},
    ],
)
def test_values_come_back_as_they_were(values: dict[str, Any]) -> None:
    words = shlex.split(run_command(["x.yaml"], values))
    given = words[words.index("--config") + 1 :]
    assert given == config_words(values)
    assert typed(parse_config(given)) == values
