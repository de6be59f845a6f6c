"""The final model: the selected configuration, trained on all non-test data, and its card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from scipy import stats

from gridfold import measures
from gridfold.atomic import replacing, write_text
from gridfold.data import Array, Dataset
from gridfold.inside import Inside
from gridfold.inspection import inspect
from gridfold.paths import StudyPaths
from gridfold.provenance import environment
from gridfold.shardjob import final_folder, final_work
from gridfold.splits import FINAL, Splits
from gridfold.training import Fitted, fit
from gridfold.triallock import holding

_RESAMPLES = 1000


def fit_final(
    request: Mapping[str, Any], selection: Mapping[str, Any], paths: StudyPaths, threads: int
) -> tuple[keras.Model, pd.DataFrame, dict[str, Any], Inside]:
    """Train the selected configuration on all non-test data and score it once on the test set.

    Parameters
    ----------
    request : mapping
        :meth:`gridfold.plan.Plan.final_request`.
    selection : mapping
        :func:`gridfold.summary.select`.
    paths : StudyPaths
    threads : int

    Returns
    -------
    model : keras.Model
        Takes raw samples; the scaling is inside.
    predictions : DataFrame
        ``sample``, ``prediction`` for the test set.
    card : dict
        The model card.
    inside : Inside
        What the model looks like inside.
    """
    config_id = selection["config_id"]
    settings = request["settings"][config_id]["settings"]
    dataset = Dataset.load(paths.data)
    splits = Splits.load(paths.splits, FINAL)
    development = splits.by_name[FINAL]
    with holding(final_folder(selection, paths)):
        task = final_work(request, selection, paths, threads).task
        fitted = fit(task, dataset, development.training, development.validation, lambda row: None)
    predictions = fitted.predict(dataset.features[splits.test])
    model = _with_scaling(fitted, dataset.features.shape[1:])
    card = {
        "study": request["study"],
        "created": fitted.segments[-1]["started"],
        "configuration": {"id": config_id, "label": selection["label"], "settings": settings},
        "cross_validation": {
            key: selection[key]
            for key in ("measure", "mean", "sd", "low", "high", "n_splits", "confidence")
        },
        "training": {
            "samples": len(development.training),
            "epochs": selection["final_epochs"],
            "final_loss": fitted.history[-1]["loss"],
            "fit_seconds": fitted.fit_seconds,
        },
        "test": _test_scores(
            settings["problem"]["type"],
            fitted.scored_targets(dataset.targets[splits.test]),
            predictions,
            request["measure"],
            request["confidence"],
        ),
        "data": {
            "digest": dataset.digest,
            "sample_shape": list(dataset.features.shape[1:]),
            "classes": dataset.class_names,
            "outputs": dataset.target_names,
        },
        "output_scaling": {
            "undone_by_the_model": not fitted.scaled_scores,
            "center": fitted.targets.center.tolist(),
            "scale": fitted.targets.scale.tolist(),
        },
        "environment": environment(),
    }
    table = pd.DataFrame({"sample": splits.test, "prediction": list(predictions)})
    return model, table, card, inspect(fitted, dataset, splits)


def _with_scaling(fitted: Fitted, sample_shape: tuple[int, ...]) -> keras.Model:
    """Put the scaling of inputs and outputs into the model, so that it takes raw samples."""
    inputs = keras.Input(sample_shape, name="raw_features")
    centred = _affine_layer(1, -fitted.features.center, "centre")(inputs)
    scaled = _affine_layer(fitted.features.scale, 0, "scale")(centred)
    outputs = fitted.model(scaled)
    unscaled = np.all(fitted.targets.scale == 1) and not np.any(fitted.targets.center)
    if not (unscaled or fitted.scaled_scores):
        undo = _affine_layer(1 / fitted.targets.scale, fitted.targets.center, "to_units")
        outputs = undo(outputs)
    return keras.Model(inputs, outputs, name=f"{fitted.model.name}_final")


def _affine_layer(scale: Any, offset: Any, name: str) -> keras.layers.Layer:
    return keras.layers.Rescaling(scale, offset, dtype="float32", name=name)


def _test_scores(
    problem: str, targets: Array, predictions: Array, measure: str, confidence: float
) -> dict[str, Any] | None:
    """Score the test set; the ranking measure with a percentile bootstrap interval.

    Efron & Tibshirani (1993), chapter 13. Samples are drawn with replacement, so the interval
    says how much the score depends on which samples were held out.
    """
    if not len(targets):
        return None

    def score(indices: Array) -> float:
        try:
            return measures.score_one(measure, targets[indices], predictions[indices])
        except ValueError:
            return float("nan")

    interval = stats.bootstrap(
        (np.arange(len(targets)),),
        score,
        n_resamples=_RESAMPLES,
        confidence_level=confidence,
        method="percentile",
        vectorized=False,
        rng=np.random.default_rng(0),
    ).confidence_interval
    return {
        "samples": len(targets),
        "measure": measure,
        "score": score(np.arange(len(targets))),
        "low": float(interval.low),
        "high": float(interval.high),
        "scores": measures.score(problem, targets, predictions),
    }


def save_model(model: keras.Model, file: Path) -> None:
    """Save in Keras' own format, whole or not at all."""
    with replacing(file) as temporary:
        model.save(temporary)


def write_card(card: Mapping[str, Any], json_file: Path, markdown_file: Path) -> None:
    """Write the model card for programs and for people."""
    write_text(json_file, json.dumps(card, indent=1, allow_nan=True) + "\n")
    write_text(markdown_file, card_markdown(card))


def card_markdown(card: Mapping[str, Any]) -> str:
    """Return the model card as Markdown."""
    validation, test = card["cross_validation"], card["test"]
    packages = card["environment"]["packages"]
    lines = [
        f"# Model card: {card['study']}",
        "",
        f"Configuration `{card['configuration']['id']}`: {card['configuration']['label']}",
        "",
        "## Scores",
        "",
        "| estimate | measure | value | interval | n |",
        "|---|---|---|---|---|",
        f"| cross-validation, mean over splits | {validation['measure']} | "
        f"{_shown(validation['mean'])} | {_shown(validation['low'])} to "
        f"{_shown(validation['high'])} | {validation['n_splits']} splits |",
    ]
    if test:
        lines.append(
            f"| held-out test set | {test['measure']} | {_shown(test['score'])} | "
            f"{_shown(test['low'])} to {_shown(test['high'])} | {test['samples']} samples |"
        )
    lines += [
        "",
        "The cross-validation figure is that of the winner among several and so a little "
        "optimistic; the test set played no part in the choice.",
        "",
        "## How to load it",
        "",
        "```python",
        "import keras",
        "",
        'model = keras.saving.load_model("model.keras")',
        f"model.predict(samples)  # raw samples of shape {tuple(card['data']['sample_shape'])}",
        "```",
        "",
    ]
    if card["data"]["classes"]:
        lines += [f"Classes: {', '.join(card['data']['classes'])}", ""]
    lines += [
        "## Where it comes from",
        "",
        f"- training: {card['training']['samples']} samples, {card['training']['epochs']} epochs",
        f"- data digest: `{card['data']['digest']}`",
        f"- code: {card['environment']['git_commit'] or 'not in a git repository'}",
        f"- versions: {', '.join(f'{name} {number}' for name, number in packages.items())}",
        f"- machine: {card['environment']['processor']}, {card['environment']['platform']}",
        "",
        "## Settings",
        "",
        "```json",
        json.dumps(card["configuration"]["settings"], indent=1),
        "```",
        "",
    ]
    return "\n".join(lines)


def _shown(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.4g}"
