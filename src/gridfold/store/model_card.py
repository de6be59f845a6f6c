"""The model card of a study, as it lies in ``final/card.json``."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from gridfold.environment.versions import Environment
from gridfold.problems import positive_from
from gridfold.store.nested import NestedEstimate
from gridfold.store.records import Record
from gridfold.store.selection import Headline, Selection

# How the file begins that lies where a model would be that can't be saved (`final.loadable`).
NOT_SAVED = "The model can't be saved"


@dataclass(frozen=True)
class SelectedConfiguration:
    """What the final model was made from.

    Attributes
    ----------
    id, label : str
        The configuration, and its axis values in one line.
    settings : dict
        All of its settings.
    """

    id: str
    label: str
    settings: dict[str, Any]

    @property
    def problem(self) -> str:
        """The type of the problem that it solves."""
        return str(self.settings["problem"]["type"])


@dataclass(frozen=True)
class CrossValidation:
    """The scores of the selected configuration over the splits.

    Attributes
    ----------
    measure, mean, sd, low, high, n_splits, confidence
        As in :class:`gridfold.store.selection.Selection`.
    headline : Headline or None
        The score that is quoted, corrected for the selection where that can be done; None in cards
        of earlier versions.
    tried : int
        Configurations that it is the best of, those of cheaper stages included; 0 in cards of
        earlier versions.
    rule : str
        By which it was selected, where that is another one than the best mean; else empty.
    """

    measure: str
    mean: float
    sd: float | None
    low: float | None
    high: float | None
    n_splits: int
    confidence: float
    headline: Headline | None = None
    tried: int = 0
    rule: str = ""

    @classmethod
    def of(cls, selection: Selection) -> CrossValidation:
        """Return what a card says of a selection."""
        return cls(
            selection.measure,
            selection.mean,
            selection.sd,
            selection.low,
            selection.high,
            selection.n_splits,
            selection.confidence,
            selection.headline,
            selection.explored,
            selection.rule or "",
        )

    @property
    def quoted(self) -> Headline:
        """The score that is quoted."""
        plain = Headline(self.mean, self.low, self.high, is_corrected=False)
        return self.headline or plain


@dataclass(frozen=True)
class FinalTraining:
    """How the final model was trained.

    Attributes
    ----------
    samples : int
        Samples that it was trained on.
    epochs : int
        Epochs that it was trained.
    final_loss : float
        Mean training loss of the last epoch.
    fit_seconds : float
        Wall time in epochs; NaN in cards of earlier versions.
    """

    samples: int
    epochs: int
    final_loss: float
    fit_seconds: float = math.nan


@dataclass(frozen=True)
class FurtherScore:
    """The score on the held-out test set by a measure that the study names and doesn't rank by.

    Attributes
    ----------
    score, low, high, method, undefined_draws, obstacle, units
        As in :class:`HeldOutScore`.
    """

    score: float
    low: float
    high: float
    method: str
    undefined_draws: int
    obstacle: str
    units: int = 0


@dataclass(frozen=True)
class HeldOutScore:
    """The score on the held-out test set, with a confidence interval.

    Attributes
    ----------
    samples : int
        Test samples.
    measure : str
        What the configurations were ranked by.
    score : float
        Value of the measure; NaN where it is not defined on these samples.
    low, high : float
        Ends of the interval; NaN where there is none.
    method : {"wilson", "bootstrap", "bootstrap-t", "groups", "blocks", ""}
    undefined_draws : int
        Bootstrap samples in which the measure is not defined, for want of a class; left out.
    obstacle : str
        Why there is no interval; else empty.
    units : int
        Groups of samples or blocks of time that the interval rests on; 0 where samples are
        independent.
    scores : dict of str to float
        All measures of the problem, and the user's own.
    function : str or None
        Reference of the measure's function, if it is one of the user's own.
    further : dict of str to FurtherScore
        By the other measures that the study names.
    """

    samples: int
    measure: str
    score: float
    low: float
    high: float
    # Cards of earlier versions say neither how the interval was made nor why there is none.
    method: str = ""
    undefined_draws: int = 0
    obstacle: str = ""
    units: int = 0
    scores: dict[str, float] = field(default_factory=dict)
    function: str | None = None
    further: dict[str, FurtherScore] = field(default_factory=dict)

    @property
    def has_interval(self) -> bool:
        """Whether there is an interval."""
        return math.isfinite(self.low)


@dataclass(frozen=True)
class EnsembleScore(Record):
    """What the mean of the models of all splits reaches; also ``final/ensemble.json``.

    Attributes
    ----------
    members : list of str
        Splits whose models are averaged.
    test : HeldOutScore or None
        None without test samples.
    """

    members: list[str]
    test: HeldOutScore | None


@dataclass(frozen=True)
class ModelData:
    """What the final model reads and gives.

    Attributes
    ----------
    digest : str
        SHA-256 of all of the study's data.
    sample_shape : list of int
        Shape of one sample.
    classes : list of str or None
        Name of each class code; None for numbers.
    outputs : list of str
        Name of each output.
    columns : list of str
        Columns of a table; empty for other data.
    reading : dict
        How samples were read: ``images`` or ``windows``.
    """

    digest: str
    sample_shape: list[int]
    columns: list[str] = field(default_factory=list, kw_only=True)
    reading: dict[str, Any] = field(default_factory=dict, kw_only=True)
    classes: list[str] | None
    outputs: list[str]


@dataclass(frozen=True)
class OutputScaling:
    """How the targets were scaled.

    Attributes
    ----------
    undone_by_the_model : bool
        Whether the saved model gives outputs in the user's units.
    center, scale : list of float
        An output was trained as (value - center) * scale.
    """

    undone_by_the_model: bool
    center: list[float]
    scale: list[float]


@dataclass(frozen=True)
class ModelCard(Record):
    """How the final model was made and what it reaches.

    Attributes
    ----------
    study : str
        Name of the study.
    created : str
        When its training began, UTC, as ISO 8601 writes it.
    configuration : SelectedConfiguration
    cross_validation : CrossValidation
    training : FinalTraining
    test : HeldOutScore or None
        None without test samples.
    ensemble : EnsembleScore or None
        None where the study asks for none.
    nested : NestedEstimate or None
        How good search and training are together; None where the study has no outer folds.
    data : ModelData
    answers : str
        In words, what the saved model gives for a sample; empty in cards of earlier versions.
    threshold : float or None
        ``problem.threshold``, where it is another one than the usual.
    code : dict of str to str
        Digest of each of the user's files that the model's own parts are defined in, with the
        modules beside it.
    output_scaling : OutputScaling
    environment : Environment
    """

    study: str
    created: str
    configuration: SelectedConfiguration
    cross_validation: CrossValidation
    training: FinalTraining
    test: HeldOutScore | None
    ensemble: EnsembleScore | None = field(default=None, kw_only=True)
    nested: NestedEstimate | None = field(default=None, kw_only=True)
    data: ModelData
    answers: str = field(default="", kw_only=True)
    threshold: float | None = field(default=None, kw_only=True)
    code: dict[str, str] = field(default_factory=dict, kw_only=True)
    output_scaling: OutputScaling
    environment: Environment

    @property
    def positive_from(self) -> float:
        """From which probability on a sample of a binary problem is predicted as positive."""
        return positive_from(self.threshold)

    @property
    def tested_ensemble(self) -> tuple[EnsembleScore, HeldOutScore] | None:
        """The ensemble with its test score; None where one of them is missing."""
        together = self.ensemble
        if together is None or together.test is None:
            return None
        return together, together.test
