"""Schema, commented example and tables say what the model says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from pydantic import BaseModel, ValidationError
from studies import tiny_study, write_study

from gridfold.errors import StudyError
from gridfold.plan.loading import load_study
from gridfold.reference import REPAIR, drifted, generated_files, write
from gridfold.study import Study
from gridfold.study.sections.execution import Execution
from gridfold.study.sections.explain import models_in
from gridfold.study.sections.model import Model
from gridfold.study.sections.report import Report
from gridfold.study.sections.search import Search
from gridfold.study.sections.training import Training

ROOT = Path(__file__).parents[3]
SCHEMA = json.loads(generated_files()["config/study.schema.json"])
VALIDATOR = Draft202012Validator(SCHEMA)


def test_generated_files_are_up_to_date() -> None:
    assert not drifted(ROOT), f"{', '.join(drifted(ROOT))}: out of date; run: {REPAIR}"


def test_what_is_written_has_not_drifted_and_what_is_edited_has(tmp_path: Path) -> None:
    assert set(drifted(tmp_path)) == set(generated_files())
    write(tmp_path)
    assert drifted(tmp_path) == []
    edited = tmp_path / "config" / "reference.yaml"
    edited.write_text(edited.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert drifted(tmp_path) == ["config/reference.yaml"]


# -- the schema ------------------------------------------------------------------------------


def test_the_schema_is_a_valid_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


# `config.yaml` only names a study.
STUDIES = sorted(set(ROOT.glob("config/*.yaml")) - {ROOT / "config" / "config.yaml"})


@pytest.mark.parametrize("file", STUDIES, ids=lambda file: file.name)
def test_every_study_in_the_repository_fits_the_schema(file: Path) -> None:
    VALIDATOR.validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    assert file.read_text(encoding="utf-8").startswith(
        "# yaml-language-server: $schema=study.schema.json\n"
    )


def _with_axis(axis: Any, **search: Any) -> dict[str, Any]:
    return {"search": {"space": {"mlp.units": axis}, **search}}


GOOD: dict[str, dict[str, Any]] = {
    "nothing else": {},
    "family without keys": {"model": {"mlp": None}},
    "two families": {"data": {"source": "digits"}, "model": {"mlp": None, "cnn": {"blocks": 2}}},
    "strategy in a word": _with_axis([4, 8], strategy="grid"),
    "random strategy": _with_axis([4, 8], strategy={"type": "random", "n": 2}),
    "axis as a list": _with_axis([4, [8, 8]]),
    "axis with a role": _with_axis({"grid": [4, 8], "role": "nuisance"}),
    "axis as a range": _with_axis({"range": {"start": 4, "stop": 8}}),
    "axis with a condition": {
        "search": {
            "space": {"mlp.l2": {"choice": [0.1], "when": {"mlp.layers": 2}}, "mlp.layers": [1, 2]}
        }
    },
    "exclusion": _with_axis([4, 8], exclude=[{"mlp.units": 4}]),
    "rule in a word": _with_axis([4, 8], objectives=["accuracy", "parameters"], select="knee"),
    "constraints": _with_axis([4, 8], constraints={"parameters": {"at_most": 300}}),
    "schedule": {"training": {"schedule": {"kind": "step", "at": [1, 2]}}},
    "no early stopping": {"training": {"early_stopping": None}},
    "early stopping with defaults": {"training": {"early_stopping": {}}},
    "class weights": {"training": {"class_weights": {"0": 1, "1": 2.5}}},
    "widths": {"model": {"mlp": {"units": [8, 4]}}, "search": {}},
    "holdout": {"resampling": {"method": "holdout", "validation_fraction": 0.3}},
    "number of trials": {"execution": {"trials_per_job": 3}},
    "title": {"report": {"title": "Irises"}},
}
BAD: dict[str, dict[str, Any]] = {
    "no study": {"study": None},
    "misspelt section": {"reprot": {}},
    "misspelt key": {"training": {"epoch": 3}},
    "misspelt nested key": {"training": {"schedule": {"kind": "cosine", "final": 0}}},
    "misspelt key of an axis": _with_axis({"gird": [4]}),
    "schedule without a kind": {"training": {"schedule": {}}},
    "strategy without a type": _with_axis([4], strategy={}),
    "random in a word": _with_axis([4], strategy="random"),
    "empty axis": _with_axis([]),
    "axis without a form": _with_axis({"role": "nuisance"}),
    "axis with two forms": _with_axis({"grid": [4], "choice": [8]}),
    "number for an axis": _with_axis(4),
    "section without keys": {"report": []},
    "no family": {"model": {}, "search": {}},
    "model function without a function": {"model": {"python": None}, "search": {}},
    "unknown family": {"model": {"transformer": {}}, "search": {}},
    "unknown source": {"data": {"source": "mnists"}},
    "key of another source": {"data": {"source": "iris", "path": "a"}},
    "unknown optimiser": {"training": {"optimizer": "adamm"}},
    "negative rate": {"training": {"learning_rate": -1}},
    "quoted number": {"training": {"epochs": "3"}},
    "true for a number": {"training": {"epochs": True}},
    "study name": {"study": "My Study"},
    "zip of one": _with_axis([4], zip=[["mlp.units"]]),
    "one fold": {"resampling": {"method": "kfold", "folds": 1}},
    "too large a limit": {"search": {"max_configurations": 10**8}},
}


@pytest.mark.parametrize("sections", GOOD.values(), ids=GOOD)
def test_schema_and_model_accept_the_same(sections: dict[str, Any], tmp_path: Path) -> None:
    study = tiny_study(**sections)
    VALIDATOR.validate(study)
    assert load_study([write_study(tmp_path / "study.yaml", study)])


@pytest.mark.parametrize("sections", BAD.values(), ids=BAD)
def test_schema_and_model_refuse_the_same(sections: dict[str, Any], tmp_path: Path) -> None:
    study = tiny_study(**sections)
    assert not VALIDATOR.is_valid(study)
    with pytest.raises(StudyError):
        load_study([write_study(tmp_path / "study.yaml", study)])


def test_every_key_in_the_schema_is_described() -> None:
    tags = {"source", "kind", "type", "method"}
    for name, section in SCHEMA["$defs"].items():
        for key, value in section.get("properties", {}).items():
            described = "description" in value or "$ref" in value
            assert described or key in tags, f"{name}.{key} has no description"


# -- the example and the tables --------------------------------------------------------------


def _keys() -> set[str]:
    """Return the name of every key anywhere in the study file."""
    names: set[str] = set()
    waiting, seen = [Study], set()
    while waiting:
        section = waiting.pop()
        if section not in seen:
            seen.add(section)
            for name, field in section.model_fields.items():
                names.add(field.alias or name)
                waiting += models_in(field.annotation)
    return names


def test_the_example_is_a_study_that_runs() -> None:
    expansion = load_study([ROOT / "config" / "reference.yaml"]).expansion
    assert {c.axes["model"] for c in expansion.configurations} == {"mlp", "cnn"}
    assert expansion.duplicates == []


def test_the_example_shows_every_key() -> None:
    text = generated_files()["config/reference.yaml"]
    shown = set(re.findall(r'^[# ]*"?([a-z_0-9]+)"?:(?: |$)', text, flags=re.MULTILINE))
    assert _keys() <= shown


def test_the_values_in_the_example_are_the_defaults() -> None:
    example = yaml.safe_load(generated_files()["config/reference.yaml"])
    study = Study.model_validate(example)
    assert study.training.model_copy(update={"early_stopping": None}) == Training()
    assert (study.execution, study.report) == (Execution(), Report())
    assert study.model == Model.model_validate({"mlp": None, "cnn": None})


def test_the_alternatives_in_the_example_are_valid_too() -> None:
    text = generated_files()["config/reference.yaml"]
    alternatives = []
    for part in re.split(r"# Instead: ", text)[1:]:
        comment = re.match(r".*\n(?: *#.*\n)*", part)
        assert comment is not None
        lines = re.findall(r"^ *#   ([a-z_]+: .*)$", comment.group(), flags=re.MULTILINE)
        alternatives.append(yaml.safe_load("\n".join(lines)))
    fields = Study.model_fields
    unions = [
        fields["data"],
        fields["resampling"],
        Training.model_fields["schedule"],
        Search.model_fields["strategy"],
    ]
    members = [member for union in unions for member in models_in(union.annotation)]
    assert len(alternatives) == len(members) - len(unions)
    for alternative in alternatives:
        assert any(_is_valid(member, alternative) for member in members), alternative


def _is_valid(section: type[BaseModel], value: Any) -> bool:
    try:
        section.model_validate(value)
    except ValidationError:
        return False
    return True


def test_the_tables_have_a_row_for_every_key() -> None:
    rows = set(re.findall(r"^\| `([a-z_0-9]+)` \|", generated_files()["docs/study-file.md"], re.M))
    assert rows == _keys()


def test_links_in_the_tables_lead_somewhere() -> None:
    text = generated_files()["docs/study-file.md"]
    headings = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9_ -]", "", h.lower()).replace(" ", "-") for h in headings}
    assert set(re.findall(r"\(#([^)]+)\)", text)) <= anchors
    for path in re.findall(r"\]\((\.\./[^)#]+)\)", text):
        assert (ROOT / "docs" / path).exists()
