"""The run store keeps what is known about each trial through every kind of failure.

A request is (configuration, split, epochs). The store answers it with a result, or hands out the
newest checkpoint to go on from, or lets the trial start. Raising `epochs`, a retry after a crash
and a requeue after preemption are therefore one code path.

Each record names its trial and the fingerprint that it was made with, and carries a checksum. One
that is damaged, or another's copy, is set aside and made again from what is sound beside it.

A finished trial has three files, and two more for each other number of epochs that was answered
before; file systems of clusters count files::

    checkpoint-00020.npz     where it can go on; until the trial is finished also the one before
    result-00020.json        the answer for 20 epochs, and what it was made of; written last
    predictions-00020.npy    predictions for the validation part
    failure.json             why the latest attempt has no answer
"""

from __future__ import annotations

import contextlib
import copy
import io
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from gridfold.arrays import Array
from gridfold.atomic import make_folder, replacing
from gridfold.canonical import canonical, canonical_json, digest
from gridfold.errors import TOLD, TrialFailure
from gridfold.paths import result_file
from gridfold.problems import USUAL_THRESHOLD
from gridfold.store import checkpoints
from gridfold.store.locks import TrialBusy, held_by_other, is_left_alone
from gridfold.store.seals import bytes_checksum, read_sealed, set_aside, write_sealed
from gridfold.typed_json import DamagedRecord

log = logging.getLogger(__name__)

# Families whose layers, loss and metrics are all from here.
_OURS = ("mlp", "cnn")
# A loss that is not finite is where the configuration leads; trying again leads there again.
DIVERGED = "diverged"
# A trial that the budget of the search has left out: it has no answer, and has not failed.
LEFT_OUT = "left_out"
# What a result says of what it was made of; all records say the digest.
_FINGERPRINT, _DIGEST = "fingerprint", "fingerprint_digest"
# What happens with a record that is damaged.
_MADE_AGAIN = "and made again"


@dataclass(frozen=True)
class TrialResult:
    """The answer to a request.

    Attributes
    ----------
    status : {"finished", "failed", "left_out"}
        Whether there is a score. What the budget has left out is no record of the run store.
    kind, reason : str
        Kind of a failure (``error``, ``killed``, ``timeout``, ``diverged``), or ``budget``, and
        why; else empty.
    epochs : int
        Epochs that were asked for.
    epochs_trained : int
        Epochs that were trained, fewer after early stopping.
    best_epoch : int
        Epoch (from 1) whose weights were scored.
    scores : dict of str to float
        Every measure of the problem on the validation part.
    history : list of dict
        For each epoch: ``epoch`` (from 1), ``loss``, ``val_loss``, ``metric``, ``val_metric``,
        ``learning_rate``, ``seconds``, ``training_seconds`` (without validation); and what else was
        followed: ``val_<measure>`` of early stopping, metrics of the model's own compilation.
    segments : list of dict
        Stretches of uninterrupted training: ``first`` and ``last`` epoch, ``host``, ``started``.
    n_train, n_validation, parameters : int
        Samples of both parts; trainable weights.
    world_size, batch_size : int
        Replicas; samples of one step over all of them.
    device : str
        What each replica computed on: the name of a GPU, or ``CPU``.
    precision : str
        Keras' dtype policy, as ``mixed_float16``.
    fit_seconds, seconds : float
        Time in epochs; time of the attempt that finished the trial, start-up included.
    usage : dict of str to float or None
        What it used (:class:`gridfold.jobs.usage.Usage`); empty where nobody looked.
    own_code : dict of str to str
        Digest of the code of each measure of the user's own that is among `scores`.
    threshold : float
        Of a binary problem, at which `scores` judge predicted classes.
    predictions : str
        Checksum of the file with the predictions; empty where there is none.
    costs : dict of str to float
        What the study has asked it to look for (:data:`gridfold.objectives.COSTS`).
    """

    status: str
    epochs: int
    kind: str = ""
    reason: str = ""
    epochs_trained: int = 0
    best_epoch: int = 0
    scores: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    segments: list[dict[str, Any]] = field(default_factory=list)
    n_train: int = 0
    n_validation: int = 0
    parameters: int = 0
    world_size: int = 0
    batch_size: int = 0
    device: str = ""
    precision: str = ""
    fit_seconds: float = 0.0
    seconds: float = 0.0
    usage: dict[str, float | None] = field(default_factory=dict)
    own_code: dict[str, str] = field(default_factory=dict)
    threshold: float = USUAL_THRESHOLD
    predictions: str = ""
    costs: dict[str, float] = field(default_factory=dict)


class TrialStore:
    """What the run store knows about one trial.

    Parameters
    ----------
    folder : Path
        Of this trial.
    set_aside : Path
        Where records go that belong to other code, data or versions.
    fingerprint : mapping
        Everything a result depends on; JSON-like.
    own_code : mapping of str to str
        Digest of the code of each measure of the user's own, by its name. An answer must have a
        score by this code; what was scored by other code keeps its training.
    threshold : float
        At which an answer must have its scores; what was scored at another one keeps its training.
    costs : sequence of str
        What an answer must have looked for. One that has not is made again from its checkpoint,
        with no epoch to train.

    Attributes
    ----------
    owner : dict of str to str
        What each record says that it belongs to: the trial's name, and the digest of the
        fingerprint.
    """

    def __init__(
        self,
        folder: Path,
        set_aside: Path,
        fingerprint: Mapping[str, Any],
        own_code: Mapping[str, str] = MappingProxyType({}),
        threshold: float = USUAL_THRESHOLD,
        costs: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        self._set_aside = set_aside
        self._fingerprint = canonical(fingerprint)
        self._own_code = dict(own_code)
        self._threshold = threshold
        self._costs = set(costs)
        self.owner = {
            **trial_name(folder),
            _DIGEST: digest(self._fingerprint),
        }

    def _unfinished(self) -> list[Path]:
        """Return what a killed process was just writing; a folder is another's, as Jupyter's."""
        return [file for file in self.folder.glob(".*") if not file.is_dir()]

    def absolute(self) -> TrialStore:
        """Return the same store, which stays where it is when the working folder changes."""
        other = copy.copy(self)
        other.folder, other._set_aside = self.folder.absolute(), self._set_aside.absolute()
        return other

    def open(self) -> None:
        """Make the folder ready; records with another fingerprint are moved out of the way.

        Raises
        ------
        TrialBusy
            When a live job trains this trial: what looks left over is what it is writing.
        """
        other = held_by_other(self.folder)
        if other:
            raise TrialBusy(f"{'/'.join(self.folder.parts[-2:])} is being trained by {other}")
        for file in self._unfinished():
            file.unlink()
        if self.folder.exists() and not self.folder.is_dir():
            self._move_away("is no folder", "file", is_told=True)
        elif (foreign := self._foreign_origin()) is not None:
            self._move_away(foreign.difference(self._fingerprint), foreign.digest[:12])
        make_folder(self.folder)

    def _foreign_origin(self) -> _Origin | None:
        """Return what the records here were made of; None where one of them is ours, or none is.

        What is damaged says nothing, and is set aside where it would be used.
        """
        foreign = None
        for origin in _origins(self.folder):
            if origin.digest == self.owner[_DIGEST]:
                return None
            foreign = foreign or origin
        return foreign

    def _move_away(self, why: str, name: str, *, is_told: bool = False) -> None:
        config_id, split = self.folder.parts[-2:]
        target = self._set_aside / config_id / f"{split}-{name}"
        number = 1
        while target.exists():
            number += 1
            target = target.with_name(f"{split}-{name}-{number}")
        target.parent.mkdir(parents=True, exist_ok=True)
        self.folder.rename(target)
        log.warning(
            "%s/%s: the earlier record %s; set aside as %s and trained anew",
            config_id,
            split,
            why,
            target,
            # Another fingerprint is what the user has asked for, for all trials at once.
            extra=TOLD if is_told else None,
        )

    def answer(self, epochs: int) -> TrialResult | None:
        """Return the answer for `epochs`, if all is as its job has left it; change nothing.

        For this, other than for :meth:`result`, the trial needs neither be locked nor opened. Where
        there is something to tidy, to set aside or to make again, there is no answer.
        """
        try:
            if not is_left_alone(self.folder) or self._unfinished():
                return None
            found = self._read(epochs)
            is_whole = not found.predictions or found.predictions == bytes_checksum(
                self._predictions_file(epochs).read_bytes()
            )
        except (OSError, DamagedRecord):
            return None
        return found if is_whole and not self._lacks(found) else None

    def result(self, epochs: int) -> TrialResult | None:
        """Return the answer for `epochs`, if there is one, whole and with its predictions."""
        found = self._recorded(epochs)
        if found is None or self._lacks(found):
            return None
        return None if found.predictions and self.predictions_of(found) is None else found

    def unscored(self, epochs: int) -> tuple[TrialResult, Array] | None:
        """Return what lacks only scores to be the answer, by own measures or at the threshold.

        Returns
        -------
        (TrialResult, array) or None
            With the predictions; None where there is an answer, or more is missing.
        """
        found = self._recorded(epochs)
        if found is None or not self._lacks_scores(found) or self._lacks_costs(found):
            return None
        predictions = self.predictions_of(found)
        return None if predictions is None else (found, predictions)

    def _lacks(self, found: TrialResult) -> bool:
        return self._lacks_scores(found) or self._lacks_costs(found)

    def _lacks_scores(self, found: TrialResult) -> bool:
        by_this_code = self._own_code.items() <= found.own_code.items()
        as_asked = by_this_code and found.threshold == self._threshold
        return found.status == "finished" and not as_asked

    def _lacks_costs(self, found: TrialResult) -> bool:
        return found.status == "finished" and not self._costs <= found.costs.keys()

    def _recorded(self, epochs: int) -> TrialResult | None:
        try:
            return self._read(epochs)
        except FileNotFoundError:
            return None
        except DamagedRecord as error:
            set_aside(self._result_file(epochs), error.reason, _MADE_AGAIN)
            return None

    def _read(self, epochs: int) -> TrialResult:
        file = self._result_file(epochs)
        content = read_sealed(file, self.owner)
        content.pop(_FINGERPRINT, None)
        found = TrialResult(**content)
        if found.epochs != epochs:
            raise DamagedRecord(file, f"it is of {found.epochs} epochs")
        return found

    def predictions_of(self, found: TrialResult) -> Array | None:
        """Return the predictions of an answer for the validation part, (samples, outputs) float32.

        None where there are none, or not those that the result was made of.
        """
        file = self._predictions_file(found.epochs)
        if not found.predictions:
            return None
        try:
            content = file.read_bytes()
        except FileNotFoundError:
            log.warning("%s is missing and made again", file, extra=TOLD)
            return None
        except OSError as error:
            set_aside(file, error, _MADE_AGAIN)
            return None
        if bytes_checksum(content) != found.predictions:
            set_aside(file, "its checksum is wrong", _MADE_AGAIN)
            return None
        return np.load(io.BytesIO(content), allow_pickle=False)  # type: ignore[no-any-return]

    @property
    def identity(self) -> str:
        """What a checkpoint says that it belongs to."""
        return " ".join(self.owner.values())

    def finish(self, result: TrialResult, predictions: Array | None) -> None:
        """Record the answer; predictions first, so that a result is never without them."""
        checksum = ""
        if predictions is not None:
            content = io.BytesIO()
            np.save(content, predictions, allow_pickle=False)
            checksum = bytes_checksum(content.getvalue())
            self._clear(self._predictions_file(result.epochs))
            with replacing(self._predictions_file(result.epochs)) as temporary:
                temporary.write_bytes(content.getvalue())
        # Before the result, whose writing syncs the folder: what is removed later could come back.
        checkpoints.prune(self.folder)
        self.forget_failure()
        scored = replace(
            result, own_code=self._own_code, threshold=self._threshold, predictions=checksum
        )
        self._clear(self._result_file(result.epochs))
        told = {**asdict(scored), _FINGERPRINT: self._fingerprint}
        write_sealed(self._result_file(result.epochs), told, self.owner)

    def _clear(self, file: Path) -> None:
        """Make room where a folder lies in the place of a file."""
        if file.is_dir():
            set_aside(file, "a folder", _MADE_AGAIN)

    def fail(
        self,
        epochs: int,
        failure: TrialFailure,
        usage: Mapping[str, float | None] | None = None,
    ) -> TrialResult:
        """Record that there is no score, and why; final if the configuration is the reason."""
        result = TrialResult(
            "failed", epochs, kind=failure.kind, reason=failure.reason, usage=dict(usage or {})
        )
        if failure.kind == DIVERGED:
            self.finish(result, None)
        else:
            told = {**asdict(result), "detail": failure.detail}
            self.forget_failure()
            write_sealed(self._failure_file, told, self.owner, indent=1)
        return result

    def failure(self) -> tuple[TrialFailure, dict[str, float | None]] | None:
        """Return why the latest attempt has no answer, and what it has used."""
        try:
            found = read_sealed(self._failure_file, self.owner)
            failure = TrialFailure(found["kind"], found["reason"], found["detail"])
            return failure, dict(found.get("usage", {}))
        except (OSError, DamagedRecord, KeyError, TypeError):
            return None

    def failed_at(self) -> float | None:
        """Return when the latest attempt failed, in Unix time; None if it did not."""
        try:
            return self._failure_file.stat().st_mtime
        except OSError:
            return None

    def forget_failure(self) -> None:
        """Let a new run judge for itself."""
        self._clear(self._failure_file)
        self._failure_file.unlink(missing_ok=True)

    @property
    def _failure_file(self) -> Path:
        return self.folder / "failure.json"

    def _result_file(self, epochs: int) -> Path:
        return result_file(self.folder, epochs)

    def _predictions_file(self, epochs: int) -> Path:
        return self.folder / f"predictions-{epochs:05d}.npy"


def trial_name(folder: Path) -> dict[str, str]:
    """Return how the records in the folder of a trial name it."""
    return {"trial": "/".join(folder.parts[-2:])}


@dataclass(frozen=True)
class _Origin:
    """What a record was made of.

    Attributes
    ----------
    digest : str
        Of the fingerprint.
    fingerprint : mapping or None
        None where the record has the digest alone.
    """

    digest: str
    fingerprint: Mapping[str, Any] | None = None

    def difference(self, current: Mapping[str, Any]) -> str:
        """Say in which parts it differs from another fingerprint."""
        if self.fingerprint is None:
            return f"differs in one of {', '.join(sorted(current))}"
        names = sorted(set(self.fingerprint) | set(current))
        differing = [n for n in names if self.fingerprint.get(n) != current.get(n)]
        return f"differs in {', '.join(differing)}"


def _origins(folder: Path) -> Iterator[_Origin]:
    """Yield what the sound records in the folder of a trial were made of, results first."""
    name = trial_name(folder)
    for file in sorted(folder.glob("result-*.json"), reverse=True):
        with contextlib.suppress(FileNotFoundError, DamagedRecord, KeyError):
            content = read_sealed(file, name)
            yield _Origin(content[_DIGEST], content.get(_FINGERPRINT))
    for identity in checkpoints.identities(folder):
        trial, _, made_of = identity.rpartition(" ")
        if trial == " ".join(name.values()):
            yield _Origin(made_of)


@dataclass(frozen=True)
class TrialTask:
    """A request to train, with all that it takes.

    Attributes
    ----------
    config_id, split : str
        Which trial.
    epochs : int
        Epochs to reach.
    settings : dict
        The settings of the configuration.
    data, splits, folder : Path
        Prepared arrays, splits, and the trial's folder in the run store.
    threads : int
        CPU threads; 0 leaves the choice to TensorFlow.
    steps_per_execution : int or "auto"
        Training steps in one call of the compiled function.
    checkpoint_every : int or "auto"
        Epochs between checkpoints.
    in_memory_mb : int
        MB of samples that are kept in memory; more are read when they are needed.
    must_be_loadable : bool
        Whether it is an error if the trained model can't be loaded from its file.
    own_measures : dict of str to str
        The measures of the user's own: the reference of each by its name.
    threshold : float
        From which probability on a sample of a binary problem is predicted as positive.
    identity : str
        What its checkpoints belong to; what belongs to another is not gone on from. Empty outside
        of a study.
    costs : tuple of str
        What it must look for when it is trained (:data:`gridfold.objectives.COSTS`).
    share_process : bool or None
        Whether it may be trained after another one in the same process; None where no code of the
        user takes part.
    """

    config_id: str
    split: str
    epochs: int
    settings: dict[str, Any]
    data: Path
    splits: Path
    folder: Path
    threads: int = 0
    steps_per_execution: int | str = "auto"
    checkpoint_every: int | str = "auto"
    in_memory_mb: int = 1024
    must_be_loadable: bool = False
    own_measures: dict[str, str] = field(default_factory=dict)
    threshold: float = USUAL_THRESHOLD
    identity: str = ""
    costs: tuple[str, ...] = ()
    share_process: bool | None = None

    @property
    def shape(self) -> str | None:
        """What the graphs of its training are made of, of all that is asked for.

        Equal for trials that one process may train one after another
        (:mod:`gridfold.training.turns`). None for one that must be alone: on several devices, or
        with code of the user, unless the study says that it keeps no state.
        """
        training = dict(self.settings["training"])
        family = self.settings["model"]["family"]
        may_share = family in _OURS and not self.own_measures
        if self.share_process is not None:
            # A model of own code is not trained again that was saved and loaded.
            is_fresh = family == "python" and not self.must_be_loadable
            may_share = self.share_process and (family in _OURS or is_fresh)
        if not may_share or training.get("distribution") is not None:
            return None
        del training["seed"]
        if training["schedule"]["kind"] == "constant" and not training["warmup_epochs"]:
            # A variable, where a schedule is a part of the graph.
            del training["learning_rate"]
        return canonical_json([{**self.settings, "training": training}, self.threshold])

    def absolute(self) -> TrialTask:
        """Return the same task, which stays where it is when the working folder changes."""
        data, splits, folder = (path.absolute() for path in (self.data, self.splits, self.folder))
        return replace(self, data=data, splits=splits, folder=folder)
