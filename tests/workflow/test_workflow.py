"""The whole line, from study file to report, through Snakemake itself."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from crates import complaints, records
from workbench import ROOT
from workspaces import Workspace, tiny

# Enough where only trainings are looked at; figures and reports take most of a small study's time.
TABLE = "results/tiny/tables/trials.parquet"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A finished study; tests that change anything copy it first."""
    # With servers of its own: a test looks whether they end with the run.
    workspace = Workspace(tmp_path_factory.mktemp("finished"), shares_forks=False)
    (workspace.folder / "said.txt").write_text(workspace.snakemake(tiny()).stderr)
    return workspace


@pytest.fixture
def copy_of_finished(finished: Workspace, tmp_path: Path) -> Workspace:
    folder = tmp_path / "copy"
    # Times of files decide what Snakemake runs again, so they are copied too.
    shutil.copytree(finished.folder, folder, copy_function=shutil.copy2)
    return Workspace(folder)


def test_a_dry_run_prints_a_readable_plan_and_writes_nothing(workspace: Workspace) -> None:
    answer = workspace.snakemake(tiny(), "--dry-run")
    assert "configurations  2" in answer.stderr
    assert (
        "trials          4, of which 0 are done and 4 are to be trained in 1 job" in answer.stderr
    )
    assert "estimated cost" in answer.stderr
    assert not (workspace.folder / "results").exists()


def test_the_dag_has_one_training_job_for_each_shard(workspace: Workspace) -> None:
    jobs = workspace.planned_jobs(tiny(execution={"trials_per_job": "split"}))
    assert jobs["train"] == 4
    once = {"prepare_data", "make_splits", "collect", "summarise", "select_best", "fit_final"}
    assert all(jobs[rule] == 1 for rule in once)


@pytest.mark.parametrize(
    ("figure", "waits"),
    [("learning_curves", 0), ("hyperparameters", 0), ("scores", 1), ("errors", 1)],
)
def test_only_figures_with_the_test_set_wait_for_the_final_model(
    workspace: Workspace, figure: str, waits: int
) -> None:
    jobs = workspace.planned_jobs(tiny(), f"results/tiny/figures/{figure}.svg")
    assert jobs.get("fit_final", 0) == waits


def test_a_study_ends_in_a_report_and_one_line(finished: Workspace) -> None:
    results = finished.folder / "results" / "tiny"
    table = finished.table()
    assert list(table["status"]) == ["finished"] * 4
    assert (results / "report.html").stat().st_size > 10_000
    best = json.loads((results / "tables" / "best.json").read_text())
    means = table.groupby("config_id")["accuracy"].mean()
    assert best["config_id"] == means.idxmax()
    assert best["mean"] == pytest.approx(means.max())
    answer = finished.snakemake(tiny())
    assert "Nothing to be done" in answer.stderr


def test_the_folder_of_a_study_is_a_crate(finished: Workspace, tmp_path: Path) -> None:
    results = finished.folder / "results" / "tiny"
    assert complaints(results, tmp_path / "cache") == set()
    assert len(records(results / "croissant.json", "classes")) == 10
    for checklist in ("reforms", "neurips"):
        text = (results / "checklists" / f"{checklist}.md").read_text()
        links = re.findall(r"\]\(\.\./([^)]+)\)", text)
        assert len(links) > 10
        assert [link for link in links if not (results / link).exists()] == []


def test_jobs_on_one_machine_share_an_import_that_ends_with_the_run(finished: Workspace) -> None:
    jobs = pd.read_csv(finished.folder / "results" / "tiny" / "tables" / "jobs.csv")
    assert jobs["memory_mb"].gt(300).all(), "TensorFlow's memory counts, wherever it is"
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            is_server = b"gridfold.jobs.fork_server" in (entry / "cmdline").read_bytes()
            assert not (is_server and os.readlink(entry / "cwd") == str(finished.folder))


def test_the_final_fit_waits_for_no_figure(finished: Workspace) -> None:
    said = (finished.folder / "said.txt").read_text()
    fit, *others = (
        said.index(words)
        for words in ("Training the final model", "Comparing 2 conf", "figures of the search")
    )
    # With two cores, one of them is free for what nothing waits for.
    assert fit < max(others)


def test_the_answer_is_printed_when_a_run_ends(copy_of_finished: Workspace) -> None:
    study = tiny(report={"title": "Another title"})
    answer = copy_of_finished.snakemake(study)
    assert re.search(
        r"Best of 2 configurations: mlp units=\d+ .* accuracy 0\.\d+ \[.* held-out test 0\.\d+",
        answer.stderr,
    )
    assert "results/tiny/report.html" in answer.stderr


def test_the_saved_model_reproduces_its_test_score_from_raw_samples(finished: Workspace) -> None:
    code = """
import json, sys
import keras, numpy as np
root = sys.argv[1]
model = keras.saving.load_model(f"{root}/final/model.keras")
test = np.load(f"{root}/splits.npz")["test"]
features, targets = (np.load(f"{root}/data/{n}.npy")[test] for n in ("features", "targets"))
assert features.max() > 10, "raw pixels, not scaled ones"
print(json.dumps(float(np.mean(model.predict(features, verbose=0).argmax(axis=1) == targets))))
"""
    root = finished.folder / "results" / "tiny"
    answer = subprocess.run(
        [sys.executable, "-c", code, str(root)], capture_output=True, text=True, check=True
    )
    card = json.loads((root / "final" / "card.json").read_text())
    assert json.loads(answer.stdout) == pytest.approx(card["test"]["score"])


def test_adding_a_value_trains_only_the_new_trials(copy_of_finished: Workspace) -> None:
    before = copy_of_finished.trainings()
    grown = tiny(search={"space": {"mlp.units": [8, 12, 16]}})
    assert copy_of_finished.planned_jobs(grown)["train"] == 1
    copy_of_finished.snakemake(grown, TABLE)
    after = copy_of_finished.trainings()
    assert {name: after[name] for name in before} == before
    assert len(after) == len(before) + 2
    log = copy_of_finished.folder / "results" / "tiny" / "logs" / "train" / "s0002.log"
    assert "2 trials, 0 known, 2 to train" in log.read_text()
    assert len(copy_of_finished.table()) == 6


def test_removing_a_value_trains_nothing_and_leaves_it_out(copy_of_finished: Workspace) -> None:
    before = copy_of_finished.trainings()
    copy_of_finished.snakemake(tiny(search={"space": {"mlp.units": [16]}}), TABLE)
    assert copy_of_finished.trainings() == before
    assert len(copy_of_finished.table()) == 2


def test_losing_the_ledger_trains_nothing_again(copy_of_finished: Workspace) -> None:
    before = copy_of_finished.trainings()
    (copy_of_finished.folder / "results" / "tiny" / "ledger.jsonl").unlink()
    copy_of_finished.snakemake(tiny(search={"space": {"mlp.units": [8, 12, 16]}}), TABLE)
    after = copy_of_finished.trainings()
    assert {name: after[name] for name in before} == before
    assert len(after) == 6


def test_raising_the_epochs_continues_the_trials(copy_of_finished: Workspace) -> None:
    copy_of_finished.snakemake(tiny(training={"epochs": 5, "learning_rate": 0.01}), TABLE)
    table = copy_of_finished.table()
    assert set(table["epochs_trained"]) == {5}
    assert set(table["resumptions"]) == {1}


def test_editing_the_report_section_retrains_nothing(copy_of_finished: Workspace) -> None:
    jobs = copy_of_finished.planned_jobs(tiny(report={"title": "New", "confidence": 0.9}))
    assert "train" not in jobs
    assert "report" in jobs


def test_execution_settings_retrain_nothing(copy_of_finished: Workspace) -> None:
    before = copy_of_finished.trainings()
    copy_of_finished.snakemake(tiny(execution={"workers": 1, "retries": 0}), TABLE)
    assert copy_of_finished.trainings() == before


@pytest.fixture
def own_code(copy_of_finished: Workspace, tmp_path: Path) -> Workspace:
    """The finished study, run with a copy of the package that a test may edit."""
    source = tmp_path / "src"
    shutil.copytree(ROOT / "src", source)
    copy_of_finished.environment = {"PYTHONPATH": str(source)}
    return copy_of_finished


def edit(workspace: Workspace, module: str, old: str, new: str) -> None:
    file = Path(workspace.environment["PYTHONPATH"]) / "gridfold" / module
    text = file.read_text()
    assert text.count(old) == 1, f"{module} changed; adapt this test"
    file.write_text(text.replace(old, new))


def test_a_comment_in_the_training_code_retrains_nothing(own_code: Workspace) -> None:
    edit(
        own_code,
        "training/trial.py",
        "steps = steps_per_epoch(",
        "steps = steps_per_epoch(  # As many\n        ",
    )
    assert "train" not in own_code.planned_jobs(tiny())


def test_the_training_logic_retrains_and_keeps_the_old_records(own_code: Workspace) -> None:
    before = own_code.trainings()
    edit(own_code, "training/loop.py", "_EVALUATION_BATCH = 4096", "_EVALUATION_BATCH = 2048")
    own_code.snakemake(tiny(), TABLE)
    after = own_code.trainings()
    assert not set(before.values()) & set(after.values())
    aside = own_code.folder / "results" / "tiny" / "set_aside"
    assert len(list(aside.glob("*/r*/result-*.json"))) == 4
    log = own_code.folder / "results" / "tiny" / "logs" / "train" / "s0001.log"
    assert "the earlier record differs in code; set aside" in log.read_text()


def test_code_that_only_presents_numbers_retrains_nothing(own_code: Workspace) -> None:
    edit(own_code, "plan/status.py", "Report: ", "The report: ")
    assert "train" not in own_code.planned_jobs(tiny())


def test_a_bad_study_is_refused_before_the_first_job(workspace: Workspace) -> None:
    study = tiny(training={"epochs": 0, "learning_rat": 0.1})
    answer = workspace.snakemake(study, expect=1)
    assert "training.epochs: 0" in answer.stderr
    assert "did you mean `learning_rate`?" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert not (workspace.folder / "results").exists()


def test_a_part_of_the_study_can_be_asked_for(workspace: Workspace) -> None:
    answer = workspace.snakemake(tiny(), "results/tiny/tables/trials.csv")
    assert len(workspace.table()) == 4
    assert not (workspace.folder / "results/tiny/final").exists()
    assert "Traceback" not in answer.stderr
    assert "Error" not in answer.stderr


def test_values_from_the_command_line_count(workspace: Workspace) -> None:
    answer = workspace.snakemake(tiny(), "--dry-run", "--config", "resampling={folds: 5}")
    assert "trials          10," in answer.stderr


def test_failed_trials_end_the_run_with_their_reason_and_keep_the_rest(
    workspace: Workspace,
) -> None:
    (workspace.folder / "model.py").write_text(
        "import keras\n\n\ndef build(hp, input_shape, outputs):\n"
        "    if hp.Boolean('broken'):\n        raise RuntimeError('no such thing')\n"
        "    inputs = keras.Input(input_shape)\n"
        "    x = keras.layers.Flatten()(inputs)\n"
        "    return keras.Model(inputs, keras.layers.Dense(outputs, activation='softmax')(x))\n"
    )
    study = tiny(
        model={"python": {"build": "model.py:build"}},
        search={"space": {"python.broken": [False, True]}},
    )
    answer = workspace.snakemake(study, expect=1)
    assert "RuntimeError: no such thing" in answer.stderr
    assert "2 of 4 trials failed; the others are kept" in answer.stderr
    assert "stopped with 2 of 4 trials done" in answer.stderr
    assert "2 attempts (execution.retries: 1)" in answer.stderr
    assert len(workspace.trainings()) == 2

    study["execution"] = {"failed_trials": "report"}
    workspace.snakemake(study)
    assert sorted(workspace.table()["status"]) == ["failed"] * 2 + ["finished"] * 2
    assert "no such thing" in (workspace.folder / "results/tiny/report.html").read_text()


def test_snakemakes_own_report_holds_every_figure_and_table(finished: Workspace) -> None:
    finished.snakemake(tiny(), "--report", "report.zip")
    root = finished.folder / "results" / "tiny"
    with zipfile.ZipFile(finished.folder / "report.zip") as archive:
        page = archive.read("report/report.html").decode()
        entries = embedded(page, "results")
        held = {
            Path(name).relative_to("results/tiny"): archive.read(f"report/{entry['data_uri']}")
            for name, entry in entries.items()
        }
    files = [*root.glob("figures/*.svg"), *root.glob("tables/*.csv")]
    files += [root / "report.html", root / "final" / "card.md", *root.glob("checklists/*.md")]
    assert len(files) > 10
    assert set(held) == {file.relative_to(root) for file in files}
    for file in files:
        assert held[file.relative_to(root)] == file.read_bytes(), file.name
    for name, entry in entries.items():
        words = re.sub("<.*?>", "", entry["caption"]).strip()
        assert len(words) > 20, f"{name} has no caption"
        assert all(entry["labels"].values()), name
    categories = embedded(page, "categories")
    assert set(categories) == {"Figures", "Model", "Report", "Tables"}
    assert {name for group in categories.values() for part in group.values() for name in part} == (
        set(entries)
    )


def test_snakemakes_own_report_shows_rules_and_their_run_time(finished: Workspace) -> None:
    finished.snakemake(tiny(), "--report", "report.html")
    page = (finished.folder / "report.html").read_text()
    graph = embedded(page, "rulegraph_spec")
    nodes = next(data for data in graph["data"] if data["name"] == "node-data")["values"]
    ran = {"prepare_data", "train", "collect", "select_best", "fit_final", "draw_model", "report"}
    assert ran <= {node["rule"] for node in nodes}
    for statistics in ("runtimes_spec", "timeline_spec"):
        assert ran <= {job["rule"] for job in embedded(page, statistics)["data"]["values"]}
    assert "hyperparameter study" in page[page.index("var workflow_desc") :][:300]


def test_a_notebook_runs_on_the_results_and_a_failing_cell_is_shown(
    copy_of_finished: Workspace,
) -> None:
    workspace, file = copy_of_finished, copy_of_finished.folder / "mine.ipynb"
    study = tiny(report={"notebook": str(file)})
    cell = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}

    def write(*sources: str) -> None:
        cells = [{**cell, "id": f"c{i}", "source": source} for i, source in enumerate(sources)]
        content = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
        file.write_text(json.dumps(content))

    write("print('first')", "1 / 0")
    answer = workspace.snakemake(study, expect=1)
    assert "cell 2 of 2 failed: ZeroDivisionError: division by zero" in answer.stderr
    folder = workspace.folder / "results" / "tiny" / "notebook"
    assert "first" in (folder / "unfinished.ipynb").read_text()
    write(
        "import pandas as pd",
        "print(study, len(pd.read_parquet(tables['trials'])), tables['card'], results)",
    )
    trained = workspace.trainings()
    workspace.snakemake(study)
    assert workspace.trainings() == trained
    said = "tiny 4 results/tiny/final/card.json results/tiny"
    assert said in (folder / "notebook.ipynb").read_text()
    assert said in (folder / "notebook.html").read_text()
    assert 'href="notebook/notebook.html"' in (folder.parent / "report.html").read_text()
    assert workspace.planned_jobs(study) == {}
    write("print('something else')")
    made_again = dict.fromkeys(["all", "describe_run", "report", "run_notebook"], 1)
    assert workspace.planned_jobs(study) == made_again


def embedded(page: str, name: str) -> Any:
    """Return a value that Snakemake has put into the page of its report."""
    start = re.search(rf"var {name} = (?=\{{\S)", page)
    assert start, name
    return json.JSONDecoder().raw_decode(page, start.end())[0]
