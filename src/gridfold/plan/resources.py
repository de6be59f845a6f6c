"""What each job asks a cluster for: memory and time, by the size of the study.

Numbers of the rules (``mem_mb``, ``runtime``), the same for every scheduler. A profile overrides
any of them (``set-resources``); the study file knows nothing of machines. Estimates are generous,
since a job that asks for too much waits a little longer while one that asks for too little is
killed, and grow with every attempt, since that may have happened to the last one.
"""

from __future__ import annotations

import json
import math
import os
import statistics
from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property

from gridfold.data.shapes import kept_numbers, sample_shape
from gridfold.paths import result_file
from gridfold.plan.cost import (
    MOST_BASELINE_NUMBERS,
    SECONDS_PER_BASELINE,
    CostModel,
    layers,
)
from gridfold.plan.plan import Plan
from gridfold.plan.stage_names import EXPLORE, stage_of
from gridfold.plan.stages import Stage
from gridfold.space.space import Configuration

# MB, measured with TensorFlow 2.21 on Linux: the two Snakemakes around a job of a cluster and the
# interpreter with pandas that each bookkeeping job is; the fork server with TensorFlow, once a job;
# one trial of the smallest model. Slurm's polling accounting counts shared pages in each process.
_SNAKEMAKE = 400
_BOOKKEEPING = 600
# SciPy's and scikit-learn's share on top of that.
_LIBRARIES = 300
_FORK_SERVER = 700
_TRIAL = 500
# Copies of the data in a trial: as read, scaled, and as a tensor, in training and validation part.
_DATA_COPIES = 4
# MB of a trial that reads its samples batch by batch, and of a job that prepares them in pieces.
_READ_DATA = 500.0
_PIECES = 1000.0
_READ_IN_PIECES = ("images", "npy")
# MB of an audit of any data, measured by benchmarks/audit.py.
_AUDIT = 900
# Of a weight: itself, gradient, two moments, the best epoch's, and those two checkpoints hold.
_WEIGHT_COPIES = 10
# Of an activation: itself and its gradient.
_ACTIVATION_COPIES = 2
_MB = 1e6
# The estimate of time is good to a factor of three (`gridfold.plan.cost`).
_TIME_MARGIN = 3.0
_START_SECONDS = 120
_LEAST_MINUTES = 10
# Of rules that share a job with others: their minutes add up, and short queues end at 30.
_LEAST_SHARED_MINUTES = 5
# More would only take longer to read.
_MEASURED_TRIALS = 40
_MOST_CORRECTION = 20.0
# What a stage finds between the known configurations can be larger than the largest of them.
_STAGE_MARGIN = 1.5


class JobSizes:
    """What the jobs of a plan ask for.

    Parameters
    ----------
    plan : Plan
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    # -- training --------------------------------------------------------------------------------

    def train_memory(self, shard: str, threads: int, attempt: int) -> int:
        """Return the MB of a training job with `threads` cores."""
        largest = self._largest_found if self._is_slot(shard) else self.largest_trial(shard)
        workers = min(self._plan.workers(threads), self._plan.most_trials_of(shard))
        return _rounded(_SNAKEMAKE + _FORK_SERVER + workers * largest, 100) * attempt

    def largest_trial(self, shard: str) -> float:
        """Return the MB of the largest trial of a shard."""
        return max(map(self._trial_memory, self._members(shard)))

    def train_minutes(self, shard: str, threads: int, attempt: int) -> int:
        """Return the minutes of a training job with `threads` cores."""
        workers = self._plan.workers(threads)
        if self._is_slot(shard):
            stage = self._stage(shard)
            rounds = math.ceil(stage.trials_per_job / workers)
            slowest = max(
                self._trial_seconds(replace(c, epochs=stage.epochs or self._plan.all_epochs(c)))
                for c in self._plan.configurations
            )
            return _minutes(_STAGE_MARGIN * rounds * slowest) * attempt
        seconds = [self._trial_seconds(c) for c in self._members(shard)]
        # Graham (1969): no order of the trials on the workers takes longer.
        return _minutes(sum(seconds) / workers + max(seconds)) * attempt

    def _is_slot(self, shard: str) -> bool:
        """Tell whether nobody knows yet which configurations fall to a job."""
        return shard not in self._plan.ledger.shards

    @property
    def _largest_found(self) -> float:
        """MB of the largest trial that a search may find."""
        return _STAGE_MARGIN * max(map(self._trial_memory, self._plan.configurations))

    def tune_memory(self, processes: int, threads: int, attempt: int) -> int:
        """Return the MB that a search takes on a node with so many of its processes."""
        largest = self._largest_found
        # Keras Tuner brings TensorFlow into each process, besides its fork server, and the chief.
        each = 2 * _FORK_SERVER + self._plan.workers(threads) * largest
        return _rounded(_SNAKEMAKE + _FORK_SERVER + processes * each, 100) * attempt

    def tune_minutes(self, processes: int, threads: int, attempt: int) -> int:
        """Return the minutes of a search with so many processes, whatever it tries."""
        stage = self._plan.stage(EXPLORE)
        at_once = processes * self._plan.workers(threads)
        seconds = [
            self._trial_seconds(replace(c, epochs=stage.epochs or self._plan.all_epochs(c)))
            for c in self._plan.configurations
        ]
        mean = sum(seconds) / len(seconds)
        return _minutes(mean * stage.trials / at_once + max(seconds)) * attempt

    def rungs_memory(self, threads: int, attempt: int) -> int:
        """Return the MB of a job of an asynchronous Hyperband with `threads` cores."""
        workers = self._plan.workers(threads)
        largest = max(map(self._trial_memory, self._plan.configurations))
        return _rounded(_SNAKEMAKE + _FORK_SERVER + workers * largest, 100) * attempt

    def rungs_minutes(self, threads: int, attempt: int) -> int:
        """Return the minutes of a job of an asynchronous Hyperband with `threads` cores.

        Its share of all trainings, and one that begins last.
        """
        plan, workers = self._plan, self._plan.workers(threads)
        total = sum(
            stage.trials
            * statistics.fmean(
                self._trial_seconds(replace(c, epochs=(stage.epochs or 0) - stage.epochs_before))
                for c in plan.configurations
            )
            for stage in plan.rungs
        )
        slowest = max(
            self._trial_seconds(replace(c, epochs=plan.all_epochs(c))) for c in plan.configurations
        )
        jobs = max(1, len(plan.rungs_jobs.names))
        return _minutes(_STAGE_MARGIN * total / jobs / workers + slowest) * attempt

    def _stage(self, slot: str) -> Stage:
        return self._plan.stage(stage_of(slot))

    def ranks_memory(self, shard: str, processes: int, attempt: int) -> int:
        """Return the MB that a distributed job takes on a node with so many of its processes."""
        largest = max(map(self._trial_memory, self._members(shard)))
        return self._all_ranks(processes, largest, attempt)

    def ranks_minutes(self, shard: str, attempt: int) -> int:
        """Return the minutes of a distributed job, were its trials no faster than on one device."""
        seconds = [self._trial_seconds(c) for c in self._members(shard)]
        return _minutes(sum(seconds)) * attempt

    def final_ranks_memory(self, processes: int, attempt: int) -> int:
        """Return the MB of training the final model with so many processes on a node."""
        largest = max(map(self._trial_memory, self._plan.configurations))
        return self._all_ranks(processes, largest, attempt)

    def _all_ranks(self, processes: int, trial: float, attempt: int) -> int:
        return _rounded(_SNAKEMAKE + processes * (_FORK_SERVER + trial), 100) * attempt

    def final_memory(self, attempt: int) -> int:
        """Return the MB that training the final model takes, whichever configuration wins."""
        largest = max(map(self._trial_memory, self._plan.configurations))
        return _rounded(_SNAKEMAKE + _FORK_SERVER + largest, 100) * attempt

    def final_minutes(self, attempt: int) -> int:
        """Return the minutes that training the final model takes, whichever configuration wins."""
        folds = self._plan.study.resampling.folds
        share = 1 - 1 / folds if folds > 1 else 0.8
        slowest = max(
            self._trial_seconds(replace(c, epochs=self._plan.all_epochs(c)))
            for c in self._plan.configurations
        )
        return _minutes(slowest / share) * attempt

    def _members(self, shard: str) -> list[Configuration]:
        """Return the configuration of each trial of `shard` that this study still has."""
        return [configuration for _, configuration in self._plan.members(shard)]

    def _trial_memory(self, configuration: Configuration) -> float:
        settings = configuration.settings
        parts = layers(settings["model"], self._shape[1:])
        weights = sum(layer.weights for layer in parts)
        activations = settings["training"]["batch_size"] * sum(layer.outputs for layer in parts)
        numbers = _WEIGHT_COPIES * weights + _ACTIVATION_COPIES * activations
        return float(_TRIAL + self._held_data + 4 * numbers / _MB)

    @property
    def _held_data(self) -> float:
        """MB of samples that a trial holds: all of them, or a few batches of what it reads."""
        data = self._megabytes
        if data > self._plan.study.execution.in_memory_mb:
            return _READ_DATA
        return _DATA_COPIES * data

    def _trial_seconds(self, configuration: Configuration) -> float:
        return self._correction * self._estimate(configuration)

    def _estimate(self, configuration: Configuration) -> float:
        return self._cost.seconds(configuration.settings, configuration.epochs)

    @cached_property
    def _cost(self) -> CostModel:
        return CostModel.of(self._plan.study)

    @cached_property
    def _shape(self) -> tuple[int, ...]:
        return sample_shape(self._plan.study)

    @cached_property
    def _megabytes(self) -> float:
        """MB that all samples take."""
        return 4 * kept_numbers(self._plan.study) / _MB

    @cached_property
    def _correction(self) -> float:
        """How much longer trials of this study took than estimated, once some have ended."""
        ratios = []
        for configuration_id, seconds in self._measured():
            ratios.append(seconds / self._estimate(self._plan.by_id[configuration_id]))
        if not ratios:
            return 1.0
        return min(max(statistics.median(ratios), 1 / _MOST_CORRECTION), _MOST_CORRECTION)

    def _measured(self) -> Iterable[tuple[str, float]]:
        """Yield configuration and seconds of some trials that have ended, one a configuration."""
        count, runs = 0, self._plan.paths.runs
        try:
            begun = frozenset(os.listdir(runs))
        except OSError:
            return
        # One look at the folder instead of one for each of many thousands that are not there.
        for configuration in self._plan.configurations:
            if configuration.id not in begun:
                continue
            folder = runs / configuration.id
            try:
                splits = sorted(entry.name for entry in os.scandir(folder))
            except OSError:
                continue
            for split in splits:
                file = result_file(folder / split, configuration.epochs)
                try:
                    result = json.loads(file.read_text(encoding="utf-8"))
                    trained, fitting = result["epochs_trained"], result["fit_seconds"]
                except (OSError, ValueError, KeyError, TypeError):
                    continue
                if trained:
                    # An estimate knows nothing of early stopping.
                    yield configuration.id, fitting * configuration.epochs / trained
                    count += 1
                    break
            if count == _MEASURED_TRIALS:
                return

    # -- everything else -------------------------------------------------------------------------

    def data_memory(self, attempt: int) -> int:
        """Return the MB of a job that reads all of the data."""
        data = _DATA_COPIES * self._megabytes
        if self._plan.study.data.source in _READ_IN_PIECES:
            data = min(data, _PIECES)
        return _rounded(_SNAKEMAKE + _BOOKKEEPING + data, 100) * attempt

    def data_minutes(self, attempt: int) -> int:
        """Return the minutes of a job that reads all of the data."""
        # A slow network file system, and text that must be parsed.
        return _minutes(self._megabytes / 10) * attempt

    def audit_memory(self, attempt: int) -> int:
        """Return the MB of the job that looks at data and splits, in pieces."""
        return _rounded(_SNAKEMAKE + _BOOKKEEPING + _LIBRARIES + _AUDIT, 100) * attempt

    def drawing_minutes(self, attempt: int) -> int:
        """Return the minutes of a job that reads the data, which are prepared, and draws some."""
        return _minutes(self._megabytes / 10, _LEAST_SHARED_MINUTES) * attempt

    def baselines_memory(self, attempt: int) -> int:
        """Return the MB of the job that fits baselines, which takes no more than it can hold."""
        held = 3 * 4 * min(math.prod(self._shape), MOST_BASELINE_NUMBERS) / _MB
        return self.data_memory(attempt) + _rounded(_LIBRARIES + held, 100) * attempt

    def baselines_minutes(self, attempt: int) -> int:
        """Return the minutes of the job that fits baselines, whose costs are bounded."""
        return _minutes(self._megabytes / 10 + 4 * SECONDS_PER_BASELINE) * attempt

    def table_memory(self, attempt: int) -> int:
        """Return the MB of a job that reads the tables of all trials."""
        # Some 30 columns, 8 bytes each, and pandas' copies: 1 kB a row is plenty.
        return _rounded(_SNAKEMAKE + _BOOKKEEPING + self._rows * 1e3 / _MB, 100) * attempt

    def table_minutes(self, attempt: int) -> int:
        """Return the minutes of a job that reads the tables of all trials."""
        return _minutes(self._rows / 1e4, _LEAST_SHARED_MINUTES) * attempt

    def comparison_memory(self, attempt: int) -> int:
        """Return the MB of the job that also holds what every configuration predicts."""
        plan = self._plan
        predictions = self._shape[0] * plan.study.resampling.repeats * len(plan.configurations)
        # Four bytes for each number and as much for its loss; as many outputs as digits have.
        held = predictions * 10 * 8 / _MB
        return self.table_memory(attempt) + _rounded(_LIBRARIES + held, 100) * attempt

    @cached_property
    def _rows(self) -> int:
        """Rows of the largest table: one for each epoch of each trial, or each prediction."""
        plan = self._plan
        epochs = sum(c.epochs for c in plan.configurations) * len(plan.splits)
        most = max(map(plan.all_epochs, plan.configurations))
        epochs += sum(stage.trials * (stage.epochs or most) for stage in plan.stages)
        return epochs + self._shape[0] * plan.study.resampling.repeats


def _rounded(number: float, step: int) -> int:
    return math.ceil(number / step) * step


def _minutes(seconds: float, least: int = _LEAST_MINUTES) -> int:
    return max(least, _rounded((_START_SECONDS + _TIME_MARGIN * seconds) / 60, 5))
