"""Samplers of Optuna choose what a search tries next; all that they know is in one journal.

The journal is Optuna's own (`JournalStorage`), a file to which lines are added, with a lock that
also holds on NFS. One process alone has it open, and no server is needed. What a sampler draws
depends on the seed, on the number of the trial and on what was told before, and not on which
process draws: a search that was killed goes on as if it had not been.
"""

from __future__ import annotations

import logging
import math
import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.storages import journal
from optuna.trial import FrozenTrial, TrialState

from gridfold.canonical import derive_seed
from gridfold.search.tuner.local_oracle import model_function
from gridfold.search.tuner.protocol import (
    COMPLETED,
    INVALID,
    STOPPED,
    Proposal,
    TrialOutcome,
    TunerTrial,
    TuningFailed,
)
from gridfold.search.tuner.search import TuningStudy
from gridfold.search.tuner.space import Values
from gridfold.space.space import BadCombination
from gridfold.study.sections.optuna_sampler import OptunaStrategy

log = logging.getLogger(__name__)

_NAME = "gridfold"
# What the journal says of a trial besides what Optuna itself says.
_VALUES, _REFUSED, _STATUS, _MESSAGE, _METRICS, _EXCESS = (
    "values",
    "refused",
    "status",
    "message",
    "metrics",
    "constraints",
)
_FINGERPRINT = "fingerprint"
# One process alone writes, and holds the lock for milliseconds.
_GRACE_SECONDS = 10
# Proposals of the sampler that are refused, one after another, before a point is drawn at random;
# and draws that are refused before the space counts as exhausted.
_MOST_REFUSALS, _MOST_DRAWS = 20, 1000


@dataclass
class OptunaOracle:
    """Asks a sampler of Optuna, and keeps in its journal what was asked and told.

    A combination that is excluded or known already is not tried: the sampler is asked again, and
    after some refusals in a row a point is drawn at random.

    Attributes
    ----------
    study : TuningStudy
    optuna_study : optuna.Study
        Opened from the journal.
    used : callable
        Returns those among values that count.
    """

    study: TuningStudy
    optuna_study: optuna.Study
    used: Callable[[Values], Values]
    _ongoing: dict[str, int] = field(default_factory=dict)
    _waiting: list[int] = field(default_factory=list)
    _known: set[str] = field(default_factory=set)
    _taken: int = 0
    _failed_in_a_row: int = 0
    _stopped: bool = False

    def __post_init__(self) -> None:
        """Learn from the journal what was tried, and what was being tried when it was left."""
        for trial in self.optuna_study.get_trials(deepcopy=False):
            if trial.state == TrialState.WAITING or _REFUSED in trial.user_attrs:
                continue
            if _VALUES not in trial.user_attrs:
                # The process was killed while it made the trial.
                self._refuse(trial.number, "interrupted")
                continue
            self._taken += 1
            self._known.add(self._id_of(trial.user_attrs[_VALUES]))
            if trial.state == TrialState.RUNNING:
                self._waiting.append(trial.number)
            else:
                failed = trial.state != TrialState.COMPLETE
                self._failed_in_a_row = self._failed_in_a_row + 1 if failed else 0
        if self._taken:
            log.info("the search goes on after %d trials", self._taken - len(self._waiting))

    @property
    def _strategy(self) -> OptunaStrategy:
        strategy = self.study.strategy
        assert isinstance(strategy, OptunaStrategy)
        return strategy

    # -- asking ----------------------------------------------------------------------------------

    def ask(self, asker: str) -> Proposal | str:
        """Return what `asker` shall try next; it is in the journal before it is returned."""
        if self._waiting:
            number = self._waiting.pop(0)
            values = self._trial(number).user_attrs[_VALUES]
        elif self._taken >= self._strategy.n:
            self._stopped = True
            return STOPPED
        else:
            found = self._next()
            if found is None:
                log.info("the space is exhausted after %d trials", self._taken)
                self._stopped = True
                return STOPPED
            number, values = found
            self._taken += 1
        self._ongoing[asker] = number
        log.info("trial %d: %s", number, ", ".join(f"{k}={v}" for k, v in values.items()))
        return Proposal(str(number), dict(values))

    def _next(self) -> tuple[int, Values] | None:
        for _ in range(_MOST_REFUSALS):
            found = self._proposed()
            if found is not None:
                return found
        random = np.random.default_rng(
            self._seed(len(self.optuna_study.get_trials(deepcopy=False)))
        )
        for _ in range(_MOST_DRAWS):
            drawn = self._drawn(random)
            if self._refusal(self.used(drawn)) is None:
                self.optuna_study.enqueue_trial(self._parameters(drawn))
                return self._proposed()
        return None

    def _proposed(self) -> tuple[int, Values] | None:
        """Return a proposal of the sampler with its number; None where it is refused."""
        number = len(self.optuna_study.get_trials(deepcopy=False))
        self._take_sampler(number)
        with _quiet():
            trial = self.optuna_study.ask()
            values = self.used(self._suggested(trial))
        reason = self._refusal(values)
        if reason is not None:
            self._refuse(trial.number, reason)
            return None
        trial.set_user_attr(_VALUES, values)
        self._known.add(self._id_of(values))
        return trial.number, values

    def _take_sampler(self, number: int) -> None:
        limited = self.study.wanted is not None and bool(self.study.wanted.constraints)
        sampler = make_sampler(self._strategy, self._seed(number), is_constrained=limited)
        self.optuna_study.sampler = sampler

    def _seed(self, number: int) -> int:
        return derive_seed("optuna", self._strategy.seed, number)

    def _refusal(self, values: Values) -> str | None:
        """Return why values are not to be tried; None where they are."""
        if not self.study.space.allows(values):
            return "excluded"
        return "known" if self._id_of(values) in self._known else None

    def _refuse(self, number: int, reason: str) -> None:
        trial_id = self._trial(number)._trial_id
        self.optuna_study._storage.set_trial_user_attr(trial_id, _REFUSED, reason)
        with _quiet():
            self.optuna_study.tell(number, state=TrialState.FAIL)

    def _id_of(self, values: Values) -> str:
        try:
            return self.study.space.configuration(values).id
        except BadCombination:
            return ""

    def _trial(self, number: int) -> FrozenTrial:
        return self.optuna_study.get_trials(deepcopy=False)[number]

    # -- the space as Optuna sees it ---------------------------------------------------------------

    def _suggested(self, trial: optuna.Trial) -> Values:
        """Let the sampler choose the value of each hyperparameter that is active."""
        values: Values = {}
        for entry in self.study.space.entries():
            name = entry["config"]["name"]
            if _is_active(entry, values):
                values[name] = _suggest(trial, entry, has_order=self.study.space.has_order(name))
        return values

    def _drawn(self, random: np.random.Generator) -> Values:
        """Draw the value of each hyperparameter that is active."""
        values: Values = {}
        for entry in self.study.space.entries():
            if _is_active(entry, values):
                values[entry["config"]["name"]] = _draw(entry, random)
        return values

    def _parameters(self, values: Mapping[str, Any]) -> Values:
        """Return values as the parameters of a trial of Optuna."""
        found: Values = {}
        for entry in self.study.space.entries():
            config = entry["config"]
            name = config["name"]
            if name not in values or entry["class_name"] == "Fixed":
                continue
            is_place = entry["class_name"] == "Choice" and self.study.space.has_order(name)
            found[name] = config["values"].index(values[name]) if is_place else values[name]
        return found

    # -- telling -----------------------------------------------------------------------------------

    def tell(self, trial_id: str, outcome: TrialOutcome) -> None:
        """Take note of how a trial went.

        Raises
        ------
        TuningFailed
            After too many failures in a row. The last one is then being tried as far as the journal
            knows, so that the search can go on with it when the reason is gone.
        """
        number = int(trial_id)
        askers = [asker for asker, own in self._ongoing.items() if own == number]
        if not askers:
            log.info("trial %s was told of before, or given to another worker", trial_id)
            return
        values = [outcome.metrics.get(name, math.nan) for name in self._names]
        is_scored = outcome.status == COMPLETED and all(map(math.isfinite, values))
        if not is_scored and self._failed_in_a_row + 1 >= self._most_failures:
            raise TuningFailed(
                f"{self._most_failures} trials in a row have failed "
                f"(max_consecutive_failed_trials); the last: {outcome.message}"
            )
        self._failed_in_a_row = 0 if is_scored else self._failed_in_a_row + 1
        for asker in askers:
            del self._ongoing[asker]
        self._note(number, outcome, values if is_scored else None)
        log.info("trial %s: %s, %s", trial_id, outcome.status, dict(outcome.metrics))

    @property
    def _names(self) -> tuple[str, ...]:
        return _objective_names(self.study)

    @property
    def _most_failures(self) -> int:
        return self._strategy.max_consecutive_failed_trials

    def _note(self, number: int, outcome: TrialOutcome, values: list[float] | None) -> None:
        said: dict[str, Any] = {_STATUS: outcome.status, _METRICS: dict(outcome.metrics)}
        if outcome.message:
            said[_MESSAGE] = outcome.message
        if self.study.wanted is not None and values is not None:
            said[_EXCESS] = [
                _worst_of_nan(c.excess(outcome.metrics.get(c.name, math.nan)))
                for c in self.study.wanted.constraints
            ]
        trial_id = self._trial(number)._trial_id
        for key, value in said.items():
            self.optuna_study._storage.set_trial_user_attr(trial_id, key, value)
        self._take_sampler(number)
        with _quiet():
            if values is None:
                self.optuna_study.tell(number, state=TrialState.FAIL)
            else:
                self.optuna_study.tell(number, values)

    # -- several workers ---------------------------------------------------------------------------

    @property
    def askers(self) -> list[str]:
        """Who is trying something now."""
        return list(self._ongoing)

    def give_back(self, asker: str) -> None:
        """Take back the trial of a worker that is gone; the next one that asks gets it."""
        number = self._ongoing.pop(asker, None)
        if number is not None:
            self._waiting.append(number)
            self._stopped = False
            log.warning("trial %d is given out again: %s is gone", number, asker)

    def is_finished(self) -> bool:
        """Tell whether it has said that it is over, and nothing is being tried."""
        return self._stopped and not self._ongoing and not self._waiting


def _objective_names(study: TuningStudy) -> tuple[str, ...]:
    wanted = study.wanted
    return (study.study.problem.ranking_measure,) if wanted is None else wanted.names


def _worst_of_nan(excess: float) -> float:
    # What nothing is known of is not satisfied; infinity would be above all that are measured.
    return 1.0 if math.isnan(excess) else excess


def _is_active(entry: Mapping[str, Any], values: Values) -> bool:
    conditions = (condition["config"] for condition in entry["config"]["conditions"])
    return all(c["name"] in values and values[c["name"]] in c["values"] for c in conditions)


def _suggest(trial: optuna.Trial, entry: Mapping[str, Any], *, has_order: bool) -> Any:
    config, kind = entry["config"], entry["class_name"]
    name = config["name"]
    if kind == "Fixed":
        return config["value"]
    if kind == "Choice":
        if not has_order:
            return trial.suggest_categorical(name, config["values"])
        # Neighbours in the list are neighbours for the sampler.
        return config["values"][trial.suggest_int(name, 0, len(config["values"]) - 1)]
    low, high, log_scale = config["min_value"], config["max_value"], config["sampling"] == "log"
    if kind == "Float":
        return trial.suggest_float(name, low, high, log=log_scale)
    return trial.suggest_int(name, low, high, step=config["step"] or 1, log=log_scale)


def _draw(entry: Mapping[str, Any], random: np.random.Generator) -> Any:
    config, kind = entry["config"], entry["class_name"]
    if kind == "Fixed":
        return config["value"]
    if kind == "Choice":
        return config["values"][int(random.integers(len(config["values"])))]
    low, high = config["min_value"], config["max_value"]
    if kind == "Float":
        if config["sampling"] == "log":
            return float(math.exp(random.uniform(math.log(low), math.log(high))))
        return float(random.uniform(low, high))
    if config["sampling"] == "log":
        return int(min(high, math.exp(random.uniform(math.log(low), math.log(high + 1)))))
    step = config["step"] or 1
    return low + step * int(random.integers((high - low) // step + 1))


def make_sampler(
    strategy: OptunaStrategy, seed: int, *, is_constrained: bool
) -> optuna.samplers.BaseSampler:
    """Return a sampler of Optuna.

    Parameters
    ----------
    strategy : OptunaStrategy
    seed : int
        Of this trial.
    is_constrained : bool
        Whether it looks at how far constraints are missed.
    """
    samplers = optuna.samplers
    limits = _excess if is_constrained and strategy.takes_constraints else None
    with _quiet():
        match strategy.sampler:
            case "tpe":
                # Parallel trials shall not all go to the same place.
                return samplers.TPESampler(
                    seed=seed,
                    n_startup_trials=strategy.drawn_first,
                    constant_liar=True,
                    constraints_func=limits,
                )
            case "nsga2":
                return samplers.NSGAIISampler(
                    seed=seed, population_size=strategy.generation, constraints_func=limits
                )
            case "nsga3":
                return samplers.NSGAIIISampler(
                    seed=seed, population_size=strategy.generation, constraints_func=limits
                )
            case "cmaes":
                return samplers.CmaEsSampler(seed=seed)
            case "qmc":
                # One sequence, of which each trial takes the next point.
                return samplers.QMCSampler(seed=strategy.seed, scramble=True)
            case _:
                return samplers.RandomSampler(seed=seed)


def _excess(trial: FrozenTrial) -> list[float]:
    found: list[float] = trial.user_attrs.get(_EXCESS, [])
    return found


class _quiet(warnings.catch_warnings):  # noqa: N801
    """Silence what Optuna says of features that it calls experimental."""

    def __enter__(self) -> None:
        super().__enter__()
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)


# -- the journal -----------------------------------------------------------------------------


def open_sampled(study: TuningStudy) -> OptunaOracle:
    """Bring a search with Optuna to where it was, or to its beginning.

    Raises
    ------
    TuningFailed
        When the sampler needs a package that is not there.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    function = model_function(study)
    if function is not None:
        function.asked_for(study.space.listed_values())
    opened = _opened(study)
    oracle = OptunaOracle(
        study,
        opened,
        dict if function is None else lambda values: study.space.used(values, function.used),
    )
    if not opened.get_trials(deepcopy=False):
        for start in study.starts:
            opened.enqueue_trial(oracle._parameters(start))
    return oracle


def _opened(study: TuningStudy) -> optuna.Study:
    file, fingerprint = study.paths.optuna_journal, study.fingerprint()
    file.parent.mkdir(parents=True, exist_ok=True)
    _cut_torn_line(file)
    names = _objective_names(study)
    directions = ["maximize" if study.objectives[n] == "max" else "minimize" for n in names]
    try:
        opened = _of_journal(file, directions)
    except OSError:
        # Not the journal's fault.
        raise
    except Exception as error:
        # Optuna raises whatever the lines lead to; what is damaged is kept, and made again.
        _set_aside(file, f"can't be read ({type(error).__name__}: {error})")
        opened = _of_journal(file, directions)
    found = opened.user_attrs.get(_FINGERPRINT, fingerprint)
    other = [n for n in sorted(set(found) | set(fingerprint)) if found.get(n) != fingerprint.get(n)]
    if other:
        _set_aside(file, f"belongs to another search, which differs in {', '.join(other)}")
        opened = _of_journal(file, directions)
    if _FINGERPRINT not in opened.user_attrs:
        opened.set_user_attr(_FINGERPRINT, fingerprint)
    return opened


def _of_journal(file: Path, directions: list[str]) -> optuna.Study:
    storage = optuna.storages.JournalStorage(
        journal.JournalFileBackend(str(file), lock_obj=_lock(file))
    )
    return optuna.create_study(
        storage=storage, study_name=_NAME, directions=directions, load_if_exists=True
    )


def _lock(file: Path) -> journal.JournalFileSymlinkLock | journal.JournalFileOpenLock:
    """Return Optuna's lock for NFS of any version, or that for version 3 where no links can be.

    What a killed process has left of one is removed after some seconds.
    """
    probe = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        probe.symlink_to(file.name)
        probe.unlink()
    except OSError:
        return journal.JournalFileOpenLock(str(file), grace_period=_GRACE_SECONDS)
    # Its link must lead somewhere, or Optuna never finds out that it is old.
    return journal.JournalFileSymlinkLock(str(file.absolute()), grace_period=_GRACE_SECONDS)


def _cut_torn_line(file: Path) -> None:
    """Remove what a killed process has left of its last line; Optuna could not read beyond it."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        log.warning("%s: the last line breaks off, and is cut", file)
        with file.open("r+b") as stream:
            stream.truncate(whole)
            stream.flush()
            os.fsync(stream.fileno())


def _set_aside(file: Path, reason: str) -> None:
    number = 1
    while (target := file.with_name(f"{file.stem}-aside-{number}.log")).exists():
        number += 1
    file.rename(target)
    log.warning("the journal of the search %s; set aside as %s", reason, target)


def read_sampled(study: TuningStudy) -> list[TunerTrial]:
    """Return the trials of a search in the order in which they began."""
    opened = _opened(study)
    first = _objective_names(study)[0]
    found = []
    for trial in opened.get_trials(deepcopy=False):
        said = trial.user_attrs
        if _VALUES not in said or _REFUSED in said:
            continue
        metrics = said.get(_METRICS, {})
        is_scored = trial.state == TrialState.COMPLETE
        status = COMPLETED if is_scored else said.get(_STATUS, INVALID)
        found.append(
            TunerTrial(
                str(trial.number),
                INVALID if status == COMPLETED and not is_scored else status,
                said.get(_MESSAGE, ""),
                dict(said[_VALUES]),
                metrics.get(first) if is_scored else None,
                metrics,
            )
        )
    return found
