"""The ensemble of a configuration: the models of its splits, whose predictions are averaged."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from gridfold.arrays import Array
from gridfold.data.dataset import Dataset
from gridfold.data.splits import FINAL, Splits
from gridfold.final.fit import save_model, test_times, with_scaling
from gridfold.final.inputs import ModelInputs
from gridfold.final.test_score import test_scores
from gridfold.jobs.work import JobInputs
from gridfold.paths import StudyPaths
from gridfold.plan.shards import TrialKey
from gridfold.plan.stage_file import read_catalogue
from gridfold.requests import FinalRequest, WantedConfiguration
from gridfold.store.locks import holding
from gridfold.store.model_card import EnsembleScore
from gridfold.store.selection import Selection
from gridfold.training.preprocessing import UNCHANGED, Affine, fit_affine
from gridfold.training.trial import Fitted, fit

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ensemble:
    """The models of the splits, and how good their mean is.

    Attributes
    ----------
    members : dict of str to (keras.Model, ModelInputs)
        By split.
    scores : EnsembleScore
    must_be_loadable : bool
        Whether the study wants saved models that can be used.
    """

    members: dict[str, tuple[keras.Model, ModelInputs]]
    scores: EnsembleScore
    must_be_loadable: bool

    def save(self, models: Sequence[str], preprocessing: Sequence[str], scores: str) -> None:
        """Write each member to the files that have the name of its split, and the scores."""
        for model_file, inputs_file in zip(models, preprocessing, strict=True):
            model, inputs = self.members[Path(model_file).stem]
            save_model(model, Path(model_file), must_be_loadable=self.must_be_loadable)
            inputs.save(Path(inputs_file))
        self.scores.write(Path(scores))


def fit_ensemble(
    request: FinalRequest, selection: Selection, paths: StudyPaths, threads: int
) -> Ensemble:
    """Return the models of the selected configuration from their last checkpoints, and score them.

    A model whose checkpoint is lost is trained again.

    Parameters
    ----------
    request : FinalRequest
        With the splits whose models are members.
    selection : Selection
    paths : StudyPaths
    threads : int

    Raises
    ------
    TrialFailure
        When a split of the selected configuration has no model.
    """
    wanted = read_catalogue(paths)[selection.config_id].wanted
    settings = wanted.settings
    dataset = Dataset.verified(paths.data)
    splits = Splits.load(paths.splits)
    job = JobInputs(request.conditions, paths, splits.by_name, dataset.digest, threads)
    fitted = {
        name: _split_model(job, TrialKey(selection.config_id, name), wanted, dataset)
        for name in request.splits
    }
    total = np.zeros((len(splits.test), dataset.outputs), np.float64)
    members = {}
    for name, member in fitted.items():
        prediction = member.predict(dataset.features, splits.test)
        # Each has a target scaling of its own, so the mean is taken in the user's units.
        total += member.targets.invert(prediction) if member.scaled_scores else prediction
        inputs = ModelInputs.of(dataset, member.features)
        members[name] = (with_scaling(member, inputs.input_shape), inputs)
    scale = UNCHANGED
    if settings["problem"]["type"] == "multi_output":
        scale = _final_scale(settings, dataset, splits)
    scores = test_scores(
        settings["problem"]["type"],
        _scaled(scale, dataset.targets[splits.test]),
        _scaled(scale, total / len(fitted)),
        request.measure,
        request.confidence,
        request.conditions.own_functions,
        request.further_measures or (),
        request.conditions.positive_from,
        dataset.groups[splits.test],
        test_times(request, dataset, splits.test),
    )
    return Ensemble(members, EnsembleScore(list(members), scores), request.conditions.loadable)


def _split_model(
    job: JobInputs, trial: TrialKey, wanted: WantedConfiguration, dataset: Dataset
) -> Fitted:
    split = job.splits[trial.split]
    with holding(job.paths.trial(trial.config_id, trial.split)):
        task = job.work(trial, wanted).task
        parts = split.parts(wanted.settings["training"]["early_stopping"])
        return fit(task, dataset, *parts, lambda row: None)


def _final_scale(settings: Mapping[str, Any], dataset: Dataset, splits: Splits) -> Affine:
    """Return the target scaling of the final model, on whose scale its outputs are scored."""
    kind = settings["preprocessing"]["scale_targets"]
    return fit_affine(kind, dataset.targets[splits.by_name[FINAL].training])


def _scaled(scale: Affine, values: Array) -> Array:
    return values if scale is UNCHANGED else scale.apply(values)
