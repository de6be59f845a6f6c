"""What a finished study has found: read here by all who ask for it."""

from __future__ import annotations

from dataclasses import dataclass

from gridfold.paths import StudyPaths
from gridfold.store.model_card import ModelCard
from gridfold.store.selection import Selection


@dataclass(frozen=True)
class Answer:
    """The answer of a finished study.

    Attributes
    ----------
    best : Selection
    card : ModelCard
    """

    best: Selection
    card: ModelCard

    @classmethod
    def read(cls, paths: StudyPaths) -> Answer:
        """Read the answer of a study.

        Raises
        ------
        FileNotFoundError
            When the study is not finished.
        DamagedRecord
            When its records can't be read.
        """
        return cls(Selection.read(paths.best), ModelCard.read(paths.final_model.card))
