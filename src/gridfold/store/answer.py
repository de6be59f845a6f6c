"""What a finished study has found: read here by all who ask for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gridfold.paths import StudyPaths
from gridfold.store.model_card import ModelCard
from gridfold.store.selection import Selection
from gridfold.typed_json import DamagedRecord


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
            When its records can't be read, or are not of the same configuration.
        """
        found = cls(Selection.read(paths.best), ModelCard.read(paths.final_model.card))
        if found.card.configuration.id != found.best.config_id:
            raise DamagedRecord(paths.final_model.card, f"it is not of what {paths.best} says")
        return found

    def facts(self, paths: StudyPaths) -> dict[str, Any]:
        """Return what programs get of it; the keys are described in ``docs/command-line.md``.

        Parameters
        ----------
        paths : StudyPaths
            Of the study, for the path of the report.
        """
        best, test, nested = self.best, self.card.test, self.card.nested
        return {
            "id": best.config_id,
            "label": best.label,
            "measure": best.measure,
            "mean": best.mean,
            "low": best.low,
            "high": best.high,
            "corrected": best.headline.score if best.headline.is_corrected else None,
            "corrected_low": best.headline.low if best.headline.is_corrected else None,
            "corrected_high": best.headline.high if best.headline.is_corrected else None,
            "confidence": best.confidence,
            "splits": best.n_splits,
            "compared": best.configurations,
            "tried": best.tried or best.configurations,
            "test": test
            and {"score": test.score, "low": test.low, "high": test.high, "samples": test.samples},
            "nested": nested
            and {
                "score": nested.score,
                "low": nested.low,
                "high": nested.high,
                "folds": nested.folds,
            },
            "created": self.card.created,
            "report": str(paths.report),
        }
