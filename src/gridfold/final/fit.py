"""The final model: the selected configuration, trained on all non-test data, and its card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from gridfold.arrays import Array
from gridfold.atomic import replacing
from gridfold.data.dataset import Dataset
from gridfold.data.splits import FINAL, Splits
from gridfold.data.time_splits import spans_of
from gridfold.environment.versions import environment
from gridfold.errors import summary_of
from gridfold.final.card import write_card
from gridfold.final.importance import feature_importance
from gridfold.final.inputs import ModelInputs
from gridfold.final.inside import Inside
from gridfold.final.inspection import inspect
from gridfold.final.test_score import test_scores
from gridfold.jobs.work import final_folder, final_work
from gridfold.paths import StudyPaths
from gridfold.requests import FinalRequest
from gridfold.store.locks import holding
from gridfold.store.model_card import (
    NOT_SAVED,
    CrossValidation,
    EnsembleScore,
    FinalTraining,
    ModelCard,
    ModelData,
    OutputScaling,
    SelectedConfiguration,
)
from gridfold.store.nested import NestedEstimate
from gridfold.store.selection import Selection
from gridfold.tables import trials
from gridfold.training.measures import Scorer
from gridfold.training.reloading import saved_outputs
from gridfold.training.trial import Fitted, fit
from gridfold.usercode.digests import code_digest
from gridfold.usercode.functions import own_code


@dataclass(frozen=True)
class FittedModel:
    """What is left of a study for those who use it.

    Attributes
    ----------
    model : keras.Model
        The scaling is inside.
    inputs : ModelInputs
        What makes its inputs of raw samples.
    predictions : DataFrame
        ``sample``, ``prediction``, and ``id`` where samples have one, for the test set.
    card : ModelCard
    inside : Inside
        What the model looks like inside.
    importance : DataFrame
        What each feature of a table is worth to it.
    must_be_loadable : bool
        Whether the study wants a saved model that can be used.
    """

    model: keras.Model
    inputs: ModelInputs
    predictions: pd.DataFrame
    card: ModelCard
    inside: Inside
    importance: pd.DataFrame
    must_be_loadable: bool

    def save(self, files: Mapping[str, str]) -> None:
        """Write everything to the files of the rule `fit_final`, by their names there."""
        save_model(self.model, Path(files["model"]), must_be_loadable=self.must_be_loadable)
        self.inputs.save(Path(files["preprocessing"]))
        trials.write(Path(files["predictions"]), self.predictions)
        write_card(self.card, Path(files["card"]), Path(files["card_text"]))
        self.inside.save(Path(files["inside"]))
        trials.write(Path(files["importance"]), self.importance)


def fit_final(
    request: FinalRequest,
    selection: Selection,
    paths: StudyPaths,
    threads: int,
    ensemble: EnsembleScore | None = None,
    nested: NestedEstimate | None = None,
) -> FittedModel:
    """Train the selected configuration on all non-test data and score it once on the test set.

    Parameters
    ----------
    request : FinalRequest
    selection : Selection
    paths : StudyPaths
    threads : int
    ensemble : EnsembleScore, optional
        Of :func:`gridfold.final.ensemble.fit_ensemble`, for the card.
    nested : NestedEstimate, optional
        What the outer folds say together, likewise.
    """
    config_id = selection.config_id
    dataset = Dataset.verified(paths.data)
    splits = Splits.load(paths.splits, FINAL)
    development = splits.by_name[FINAL]
    with holding(final_folder(selection, paths)):
        # Users' code may change the working folder.
        task = final_work(request, selection, paths, threads).task.absolute()
        fitted = fit(task, dataset, development.training, development.validation, lambda row: None)
    settings = task.settings
    predictions = fitted.predict(dataset.features, splits.test)
    inputs = ModelInputs.of(dataset, fitted.features)
    model = with_scaling(fitted, inputs.input_shape)
    card = ModelCard(
        study=request.study,
        created=fitted.segments[-1]["started"],
        configuration=SelectedConfiguration(config_id, selection.label, settings),
        cross_validation=CrossValidation.of(selection),
        training=FinalTraining(
            samples=len(development.training),
            epochs=selection.final_epochs,
            final_loss=fitted.history[-1]["loss"],
            fit_seconds=fitted.fit_seconds,
        ),
        test=test_scores(
            settings["problem"]["type"],
            fitted.scored_targets(dataset.targets[splits.test]),
            predictions,
            request.measure,
            request.confidence,
            request.conditions.own_functions,
            request.further_measures or (),
            request.conditions.positive_from,
            dataset.groups[splits.test],
            test_times(request, dataset, splits.test),
        ),
        ensemble=ensemble,
        nested=nested,
        data=ModelData(
            digest=dataset.digest,
            sample_shape=list(dataset.features.shape[1:]),
            columns=[column.name for column in inputs.columns or ()],
            reading=inputs.reading,
            classes=dataset.class_names,
            outputs=dataset.target_names,
        ),
        answers=_answers(fitted, dataset),
        threshold=request.conditions.threshold,
        code={str(file): code_digest(file) for file in own_code(settings["model"])},
        output_scaling=OutputScaling(
            undone_by_the_model=not fitted.scaled_scores,
            center=fitted.targets.center.tolist(),
            scale=fitted.targets.scale.tolist(),
        ),
        environment=environment(),
    )
    table = pd.DataFrame({"sample": splits.test, "prediction": list(predictions)})
    if dataset.ids is not None:
        table["id"] = dataset.ids[splits.test]
    return FittedModel(
        model,
        inputs,
        table,
        card,
        inspect(fitted, dataset, splits),
        feature_importance(
            fitted,
            dataset,
            splits.test,
            Scorer(
                request.measure,
                request.conditions.own_functions.get(request.measure),
                request.conditions.positive_from,
            ),
            settings["training"]["seed"],
        ),
        request.conditions.loadable,
    )


def test_times(request: FinalRequest, dataset: Dataset, test: Array) -> Array | None:
    """Return the points in time at which test samples end; None where time plays no part."""
    return spans_of(dataset)[test, 1] if request.by_time else None


def _answers(fitted: Fitted, dataset: Dataset) -> str:
    """Return in words what the saved model gives for a sample."""
    names = dataset.class_names
    if names is None:
        return (
            "numbers as they were trained on" if fitted.scaled_scores else "numbers in your units"
        )
    made = f", made of the network's logits by {fitted.answers.link}"
    how = "" if fitted.answers.link == "linear" else made
    if dataset.outputs == 1:
        return f"the probability of the class {names[1]}{how}"
    return f"the probability of each class, in this order{how}"


def with_scaling(fitted: Fitted, input_shape: tuple[int, ...]) -> keras.Model:
    """Put the scaling of inputs and outputs into the model, so that both keep their units."""
    scaling = fitted.features.scaling
    inputs = keras.Input(input_shape, name="raw_features")
    centred = _affine_layer(1, -scaling.center, "centre")(inputs)
    scaled = _affine_layer(scaling.scale, 0, "scale")(centred)
    outputs = fitted.answers.layers(saved_outputs(fitted.model, scaled))
    unscaled = np.all(fitted.targets.scale == 1) and not np.any(fitted.targets.center)
    if not (unscaled or fitted.scaled_scores):
        undo = _affine_layer(1 / fitted.targets.scale, fitted.targets.center, "to_units")
        outputs = undo(outputs)
    return keras.Model(inputs, outputs, name=f"{fitted.model.name}_final")


def _affine_layer(scale: Any, offset: Any, name: str) -> keras.layers.Layer:
    return keras.layers.Rescaling(scale, offset, dtype="float32", name=name)


def save_model(model: keras.Model, file: Path, *, must_be_loadable: bool) -> None:
    """Save in Keras' own format, whole or not at all.

    A model that can't be saved, and need not be, leaves a file that says so.
    """
    with replacing(file) as temporary:
        try:
            model.save(temporary)
        except (NotImplementedError, TypeError, ValueError) as error:
            if must_be_loadable:
                raise
            temporary.write_text(f"{NOT_SAVED}: {summary_of(error)}\n", encoding="utf-8")
