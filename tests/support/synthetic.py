"""Finished studies without any training: tables as the workflow makes them, numbers made up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from recorded import model_card
from studies import tiny_study, write_study

from gridfold.data.description import (
    ColumnDescription,
    Count,
    DataDescription,
    SamplesDescription,
)
from gridfold.data.manifest import Manifest
from gridfold.figures import study as figures
from gridfold.final.inside import Inside, Layer, LayerMaps
from gridfold.plan.job_requests import JobRequests
from gridfold.plan.plan import Plan
from gridfold.problems import PROBLEM_KINDS
from gridfold.report import input, page
from gridfold.requests import ReportRequest, SummaryRequest
from gridfold.statistics.summary import select, summarise
from gridfold.store.model_card import HeldOutScore, ModelCard
from gridfold.store.selection import Selection
from gridfold.tables.features import FEATURE_COLUMNS
from gridfold.tables.jobs import job_table
from gridfold.tables.predictions import PredictedSamples, predicted_samples
from gridfold.tables.trials import StudyTables

DATA = {
    "multiclass": {"source": "iris"},
    "binary": {"source": "breast_cancer"},
    "regression": {"source": "diabetes"},
    "multi_output": {"source": "linnerud", "scale_targets": "minmax"},
}
LAYERS = [
    Layer("first", "Conv2D", "3×3, 4 filters", (8, 8, 4), 40, 40, 0, ("",)),
    Layer("body", "Functional", "", (16,), 500, 0, 0, ("first",)),
    Layer("body/dense", "Dense", "16 units", (16,), 500, 0, 1, ("",)),
    Layer("last", "Dense", "3 units, softmax", (3,), 51, 51, 0, ("body", "first")),
]
# How the validation loss of a split goes, by epoch.
Curve = Callable[[int], float]


def levels_off(epoch: int) -> float:
    """Return a validation loss that has stopped falling at epoch 4."""
    return 1.0 / min(epoch, 4)


def importance() -> pd.DataFrame:
    """Return what two features are worth to a model."""
    rows = [("height", "number", 0.3, 0.02, 10, 12), ("colour", "category", 0.1, 0.01, 10, 12)]
    return pd.DataFrame(rows, columns=[column.name for column in FEATURE_COLUMNS])


def inside(outputs: int = 3, channels: int = 1, filters: int = 4, samples: int = 2) -> Inside:
    """Return the inside of a small network for images."""
    random = np.random.default_rng(0)
    answers = random.normal(size=(samples, 8, 8, filters)).astype(np.float32)
    return Inside(
        LAYERS,
        np.arange(samples),
        np.full((samples, outputs), 1 / 3, np.float32),
        random.normal(size=(3, 3, channels, filters)).astype(np.float32),
        "Conv2D 3×3",
        answers,
        [LayerMaps("Conv2D 3×3 + relu", (8, 8, filters), np.maximum(answers, 0))],
    )


DATA_DESCRIPTION = DataDescription(
    "csv people.csv",
    65,
    is_whole=True,
    columns=(
        ColumnDescription("name", ("id",), "text", 65),
        ColumnDescription("height", ("feature",), "number", 60, 0.125, 1.5, 2.0),
        ColumnDescription(
            "colour", ("feature",), "category", 2, values=(Count("red", 40), Count("<b>", 25))
        ),
    ),
    classes=(Count("class 0", 40), Count("class 1", 25)),
    samples=SamplesDescription(62, 0, (2,), "float32"),
    left_out=("the column row, which counts the rows",),
    notes=("the column colour has 2 categories",),
)


@dataclass
class Finished:
    """What the rules that draw and `report` read."""

    request: ReportRequest
    trials: pd.DataFrame
    epochs: pd.DataFrame
    configurations: pd.DataFrame
    best: Selection
    card: ModelCard
    manifest: Manifest
    targets: np.ndarray[Any, Any]
    out_of_fold: pd.DataFrame
    test_predictions: pd.DataFrame
    figures: dict[str, Any] = field(default_factory=dict)
    jobs: pd.DataFrame = field(default_factory=lambda: job_table([], {}))
    data: DataDescription = DATA_DESCRIPTION
    classes: pd.DataFrame | None = None
    importance: pd.DataFrame | None = None

    @property
    def tables(self) -> StudyTables:
        """The tables as they are now: some tests change them."""
        return StudyTables(self.trials, self.epochs, self.configurations)

    @property
    def samples(self) -> list[PredictedSamples]:
        """Predictions and true values as they are now."""
        return predicted_samples(
            self.out_of_fold,
            self.test_predictions,
            self.targets,
            self.request.positive_from,
        )

    def draw(self) -> dict[str, figures.Drawing]:
        """Draw all figures, in the order of the report."""
        drawings = figures.draw_search(self.request, self.tables) | figures.draw_test(
            self.request,
            self.tables,
            card=self.card,
            samples=self.samples,
            manifest=self.manifest,
        )
        return {name: drawings[name] for name in figures.FIGURES}

    def render(self, folder: Path) -> str:
        """Draw all figures into `folder` and return the report."""
        figures.save_all(self.draw(), folder)
        return self.render_with(figures_in(folder))

    def render_without_figures(self, folder: Path) -> str:
        """Return the report with empty figures: drawing is most of the time."""
        (folder / "x.svg").write_text(
            '<svg xmlns="http://www.w3.org/2000/svg" width="9pt" height="9pt"/>'
        )
        nothing = input.FigureFile(folder / "x.svg", folder / "x.svg", "a caption", "an alt text")
        names = (*figures.FIGURES, "feature_importance")
        return self.render_with(dict.fromkeys(names, nothing))

    def render_with(self, files: dict[str, input.FigureFile]) -> str:
        study = input.ReportInput(
            self.request,
            self.tables,
            jobs=self.jobs,
            best=self.best,
            card=self.card,
            manifest=self.manifest,
            data=self.data,
            figures=files,
            classes=self.classes,
            feature_importance=self.importance,
        )
        return page.render(study)


def figures_in(folder: Path) -> dict[str, input.FigureFile]:
    """Return all figures that lie in a folder."""
    return input.read_figures(folder / f"{name}.json" for name in figures.FIGURES)


def finished(
    folder: Path,
    problem: str = "multiclass",
    *,
    space: dict[str, Any] | None = None,
    folds: int = 5,
    epochs: int = 6,
    test: int = 12,
    classes: int = 3,
    outputs: int = 1,
    failed: dict[int, str] | None = None,
    labels: list[str] | None = None,
    class_names: list[str] | None = None,
    val_loss: Curve = levels_off,
    spread: float = 0.01,
    step: float = 0.01,
    **sections: Any,
) -> Finished:
    """Return a finished study.

    Parameters
    ----------
    folder : Path
        For the study file.
    problem : str
    space : dict, optional
        The search space; two axes and four configurations when left out.
    folds : int
        1 is one holdout split.
    test : int
        Samples of the test set.
    failed : dict, optional
        Reasons of failed trials, by their position in the trials table.
    labels, class_names : list of str, optional
        Instead of the real ones.
    val_loss : callable
    spread, step : float
        Of the scores over the splits, and from one configuration to the next.
    **sections
        Other sections of the study.
    """
    if space is None:
        space = {"mlp.units": [4, 8], "training.learning_rate": [0.001, 0.01]}
    holdout = {"method": "holdout"}
    study = tiny_study(
        data=DATA[problem],
        problem={"type": problem},
        search={"space": space},
        resampling={"method": "kfold", "folds": folds} if folds > 1 else holdout,
        **{"training": {"epochs": epochs}} | sections,
    )
    plan = Plan.load([write_study(folder / "study.yaml", study)], results=folder / "results")
    request = replace(JobRequests(plan).report(), files=("config/my study.yaml",), command=None)
    random = np.random.default_rng(0)
    kind = PROBLEM_KINDS[problem]
    rows, history = [], []
    for position, configuration in enumerate(plan.configurations):
        for split in plan.splits:
            lost = (failed or {}).get(len(rows))
            identity = {"config_id": configuration.id, "split": split}
            score = 0.9 - step * position + spread * random.standard_normal()
            rows.append(
                {
                    **identity,
                    "label": labels[position] if labels else configuration.label,
                    "model": configuration.axes["model"],
                    **{k: v for k, v in configuration.axes.items() if k != "model"},
                    "status": "failed" if lost else "finished",
                    "failure": "diverged" if lost else "",
                    "reason": lost or "",
                    "epochs": epochs,
                    "epochs_trained": 0 if lost else epochs,
                    "best_epoch": 0 if lost else epochs,
                    "resumptions": 0,
                    "n_train": 0 if lost else 4000,
                    "n_validation": 0 if lost else 1000,
                    "parameters": 0 if lost else 1000 - position,
                    "world_size": 0 if lost else 1,
                    "batch_size": 0 if lost else 32,
                    "device": "" if lost else "CPU",
                    "precision": "" if lost else "float32",
                    "fit_seconds": 0.0 if lost else 1.5,
                    "seconds": 0.0 if lost else 2.5,
                    "cores": 2.0,
                    "gpus": 0.0,
                    "core_hours": 0.5 if lost else 2.0,
                    "gpu_hours": 0.0,
                    "cpu_seconds": 900.0 if lost else 3600.0,
                    "cpu_efficiency": 0.5,
                    "memory_mb": 700.0 + position,
                    "added_memory_mb": 80.0,
                    **dict.fromkeys(("gpu_busy", "gpu_memory_mb", "gpu_tensors_mb"), np.nan),
                    **({} if lost else dict.fromkeys(kind.measures, score)),
                }
            )
            if not lost:
                history += [
                    {
                        **identity,
                        "epoch": epoch,
                        "loss": 2.0 / epoch,
                        "val_loss": val_loss(epoch) * (1 + 0.01 * random.random()),
                        "metric": 1 - 0.5 / epoch,
                        "val_metric": 1 - 0.6 / epoch,
                        "learning_rate": 0.001,
                        "seconds": 0.1,
                        "training_seconds": 0.08,
                    }
                    for epoch in range(1, epochs + 1)
                ]
    trials = pd.DataFrame(rows)
    summary = SummaryRequest(plan.study.problem.ranking_measure, 0.95)
    configurations = summarise(trials, summary)
    best = select(configurations, summary)
    targets, predictions = _predictions(problem, classes, outputs, 50 + test, random)
    table = pd.DataFrame({"sample": np.arange(50 + test), "prediction": list(predictions)})
    chosen = next(c for c in plan.configurations if c.id == best.config_id)
    names = class_names or [f"class {i}" for i in range(classes)]
    is_class = problem in ("binary", "multiclass")
    target_names = [f"output {i}" for i in range(outputs)]
    return Finished(
        request,
        trials,
        pd.DataFrame(history),
        configurations,
        best,
        model_card(
            best,
            chosen.settings,
            "0123abcd" * 8,
            test=HeldOutScore(test, best.measure, 0.875, 0.75, 0.9375) if test else None,
        ),
        Manifest(
            samples=50 + test,
            sample_shape=[4],
            feature_type="float32",
            outputs=classes if problem == "multiclass" else outputs,
            test_start=None,
            class_names=names if is_class else None,
            target_names=names if is_class else target_names,
            digest="0123abcd" * 8,
            has_missing=False,
            reading={},
            columns=None,
        ),
        targets,
        table.head(50),
        table.tail(test),
    )


def _predictions(
    problem: str, classes: int, outputs: int, samples: int, random: np.random.Generator
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    if problem == "binary":
        targets = np.arange(samples) % 2
        return targets, np.clip(targets + random.normal(0, 0.4, samples), 0, 1)[:, None]
    if problem == "multiclass":
        targets = np.arange(samples) % classes
        return targets, np.eye(classes)[targets] + 1.2 * random.random((samples, classes))
    numbers = random.random((samples, outputs))
    return numbers, numbers + random.normal(0, 0.05, numbers.shape)
