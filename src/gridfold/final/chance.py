"""The chance level: what the selected configuration reaches when there is nothing to learn.

Its training is done once more with permuted labels (Ojala & Garriga, 2010, Permutation tests for
studying classifier performance, JMLR 11). Labels of the validation part are permuted among
themselves, and so are those of the training part: whoever then predicts the former better than
chance has seen them.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from gridfold.arrays import Array
from gridfold.canonical import derive_seed
from gridfold.data.dataset import Dataset
from gridfold.data.splits import Splits
from gridfold.errors import TrialFailure
from gridfold.jobs.work import JobInputs
from gridfold.paths import StudyPaths
from gridfold.plan.shards import TrialKey
from gridfold.plan.stage_file import read_catalogue
from gridfold.problems import Measure
from gridfold.requests import FinalRequest
from gridfold.store.chance import ChanceLevel
from gridfold.store.locks import holding
from gridfold.store.selection import Selection
from gridfold.training.measures import Scorer
from gridfold.training.trial import fit

PERMUTED = "permuted"
"""Name of the training in the run store, where a split has one."""

_PERMUTATIONS = 199
_MIDDLE = (0.025, 0.975)


@dataclass(frozen=True)
class Shuffle:
    """Which labels change places with each other.

    Attributes
    ----------
    among : str
        As ``permuted`` in :class:`gridfold.store.chance.ChanceLevel`.
    groups : array of int64, shape (samples,), or None
        None where all labels of a part do.
    """

    among: str
    groups: Array | None = None

    @classmethod
    def of(cls, dataset: Dataset, rows: Array) -> Shuffle:
        """Return what suits the samples of a split.

        Samples of one group depend on each other, so labels stay in their group; where all samples
        of each group have the same label, groups exchange theirs.
        """
        groups = np.asarray(dataset.groups[rows])
        if len(np.unique(groups)) == len(groups):
            return cls("samples")
        targets = np.asarray(dataset.targets[rows]).reshape(len(rows), -1)
        order = np.argsort(groups, kind="stable")
        same = np.diff(groups[order]) == 0
        alike = (np.diff(targets[order], axis=0) == 0).all(axis=1)
        among = "groups" if alike[same].all() else "samples within groups"
        return cls(among, np.asarray(dataset.groups))

    def apply(self, targets: Array, rows: Array, generator: np.random.Generator) -> Array:
        """Return the targets of `rows` in another order.

        Parameters
        ----------
        targets : array of shape (rows, ...)
        rows : array of int64
            The samples, of one part of a split.
        generator : numpy.random.Generator
        """
        if self.groups is None:
            return targets[generator.permutation(len(rows))]
        codes, places = np.unique(self.groups[rows], return_inverse=True)
        if self.among == "groups":
            first = np.unique(places, return_index=True)[1]
            return targets[first[generator.permutation(len(codes))]][places]
        # Sorted by group, each in a random order; then back to where each group is.
        shuffled = np.lexsort((generator.random(len(rows)), places))
        result = np.empty_like(targets)
        result[np.argsort(places, kind="stable")] = targets[shuffled]
        return result


def train_permuted(
    request: FinalRequest, selection: Selection, paths: StudyPaths, threads: int
) -> ChanceLevel:
    """Train the selected configuration with permuted labels and score it.

    Parameters
    ----------
    request : FinalRequest
        Its one split is used.
    selection : Selection
    paths : StudyPaths
    threads : int

    Returns
    -------
    ChanceLevel
        Without a score where the training fails, which it may with labels that mean nothing.
    """
    started = time.perf_counter()
    (name,) = request.splits
    dataset = Dataset.verified(paths.data)
    split = Splits.load(paths.splits, name).by_name[name]
    shuffle = Shuffle.of(dataset, np.concatenate([split.training, split.validation]))
    generator = np.random.default_rng(derive_seed("chance", selection.config_id, name))
    targets = np.array(dataset.targets)
    for rows in (split.training, split.validation):
        targets[rows] = shuffle.apply(targets[rows], rows, generator)
    level = ChanceLevel(
        selection.config_id,
        request.measure,
        name,
        shuffle.among,
        score=None,
        low=None,
        high=None,
        p_value=None,
        permutations=0,
        n_train=len(split.training),
        n_validation=len(split.validation),
        seconds=0.0,
    )
    # Other data than those of all other trainings, so that none goes on from another's checkpoint.
    inputs = JobInputs(
        request.conditions, paths, {PERMUTED: split}, f"{dataset.digest}/{PERMUTED}", threads
    )
    wanted = read_catalogue(paths)[selection.config_id].wanted
    training, watched = split.parts(wanted.settings["training"]["early_stopping"])
    try:
        with holding(paths.trial(selection.config_id, PERMUTED)):
            work = inputs.work(TrialKey(selection.config_id, PERMUTED), wanted)
            permuted = replace(dataset, targets=targets)
            fitted = fit(work.task.absolute(), permuted, training, watched, lambda row: None)
        predictions = fitted.predict(dataset.features, split.validation)
        truth = fitted.scored_targets(targets[split.validation])
        scorer = Scorer(
            request.measure,
            request.conditions.own_functions.get(request.measure),
            request.conditions.positive_from,
        )
        level = against_chance(
            level, scorer, shuffle, truth, predictions, split.validation, generator
        )
    except (TrialFailure, ValueError) as error:
        level = replace(level, obstacle=str(error).splitlines()[0])
    return replace(level, seconds=time.perf_counter() - started)


def against_chance(
    level: ChanceLevel,
    scorer: Scorer,
    shuffle: Shuffle,
    truth: Array,
    predictions: Array,
    rows: Array,
    generator: np.random.Generator,
) -> ChanceLevel:
    """Score predictions, and the same with the labels permuted again and again.

    Parameters
    ----------
    level : ChanceLevel
        Without scores.
    scorer : Scorer
    shuffle : Shuffle
    truth : array of shape (rows, ...)
        The permuted labels that the predictions are scored by.
    predictions : array of shape (rows, outputs)
    rows : array of int64
        The validation samples.
    generator : numpy.random.Generator
    """
    score = scorer.score(truth, predictions)
    drawn = np.array(
        [
            scorer.score(shuffle.apply(truth, rows, generator), predictions)
            for _ in range(_PERMUTATIONS)
        ]
    )
    if not np.isfinite([score, *drawn]).all():
        return replace(level, obstacle=f"{level.measure} is not defined on {level.split}")
    sign = Measure.of(level.measure).sign
    low, high = np.quantile(drawn, _MIDDLE)
    at_least = int(np.sum(sign * drawn >= sign * score))
    return replace(
        level,
        score=score,
        low=float(low),
        high=float(high),
        p_value=(1 + at_least) / (1 + _PERMUTATIONS),
        permutations=_PERMUTATIONS,
    )
