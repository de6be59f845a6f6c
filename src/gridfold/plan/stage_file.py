"""The files that say which configurations a stage trains, and the catalogue of all of them.

``search/<stage>.json`` says which trials fall to the jobs of a stage, ``search/catalogue.json``
what each configuration of the study is. Jobs read them that need nothing else of a study.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from gridfold import typed_json
from gridfold.paths import StudyPaths
from gridfold.plan.shards import TrialKey
from gridfold.requests import ChosenConfiguration, Settings, TrainRequest, WantedConfiguration


@dataclass(frozen=True)
class StageFile:
    """Which configurations a stage trains, and on which splits.

    Attributes
    ----------
    stage : str
    splits : tuple of str
    configurations : tuple of ChosenConfiguration
    before : tuple of str or None
        Splits on which an earlier round of a race has trained them; None where there is none.
    """

    stage: str
    splits: tuple[str, ...]
    configurations: tuple[ChosenConfiguration, ...]
    before: tuple[str, ...] | None = None

    @classmethod
    def read(cls, file: Path) -> StageFile:
        """Read the file of a stage.

        Raises
        ------
        FileNotFoundError
            When the stage is not decided.
        DamagedRecord
        """
        return typed_json.read(cls, file)

    def write(self, file: Path) -> None:
        """Write the file of a stage, whole or not at all."""
        typed_json.write(file, self)

    @property
    def scored_splits(self) -> tuple[str, ...]:
        """The splits on which its configurations are scored when it has ended."""
        return (*(self.before or ()), *self.splits)

    @property
    def size(self) -> int:
        """Trials of the stage."""
        return len(self.configurations) * len(self.splits)

    def trials(self) -> Iterator[TrialKey]:
        """Yield the trials of the stage, those of one configuration after another."""
        for configuration in self.configurations:
            for split in self.splits:
                yield TrialKey(configuration.id, split)

    def trials_of_slot(self, slot: str, size: int) -> list[TrialKey]:
        """Return the trials of a slot, ``<stage>-<number>``, of which each has `size`."""
        number = int(slot.rpartition("-")[2])
        return list(self.trials())[(number - 1) * size : number * size]


def slot_request(request: TrainRequest, file: StageFile, slot: str) -> TrainRequest:
    """Return what the job of a slot must know, now that its stage is decided.

    Parameters
    ----------
    request : TrainRequest
        As the plan knows it, without trials.
    file : StageFile
    slot : str
    """
    assert request.trials_per_job is not None
    trials = file.trials_of_slot(slot, request.trials_per_job)
    used = {trial.config_id for trial in trials}
    return replace(
        request,
        trials=tuple(map(str, trials)),
        configurations={c.id: c.wanted for c in file.configurations if c.id in used},
    )


@dataclass(frozen=True)
class CatalogueEntry:
    """A configuration of a study, whichever stage has found it.

    Attributes
    ----------
    label : str
    settings : mapping
    epochs : int
        Epochs of its longest comparable training.
    """

    label: str
    settings: Settings
    epochs: int

    @property
    def wanted(self) -> WantedConfiguration:
        """What a job must know to train it."""
        return WantedConfiguration(self.settings, self.epochs)


Catalogue = Mapping[str, CatalogueEntry]
"""Every configuration of a study by its id."""


def read_catalogue(paths: StudyPaths) -> Catalogue:
    """Return every configuration of a study by its id.

    Raises
    ------
    FileNotFoundError
        Before `collect` has written it.
    DamagedRecord
    """
    return typed_json.read(dict[str, CatalogueEntry], paths.catalogue)
