"""What is known of one trial from its folder in the run store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gridfold.advice import cause_of, in_full
from gridfold.errors import TrialFailure
from gridfold.paths import result_file
from gridfold.store.seals import read_sealed
from gridfold.store.trials import trial_name
from gridfold.typed_json import DamagedRecord


@dataclass(frozen=True)
class TrialState:
    """How far a trial is.

    Attributes
    ----------
    state : {"finished", "failed", "begun", "not begun", "damaged", "packed"}
        ``begun`` with a checkpoint and nothing else; ``damaged`` with a record that can't be read;
        ``packed`` with records in an archive (:mod:`gridfold.store.archives`).
    epochs : int
        Epochs that are asked for.
    epochs_trained : int
        Epochs of the result, or of the newest checkpoint.
    scores : mapping of str to float
        All measures; empty without a result.
    kind, reason, detail : str
        Of a failure, as in :class:`gridfold.errors.TrialFailure`; of a damaged record, which file.
    advice : str
        What to do about a failure; empty where nothing is known.
    """

    state: str
    epochs: int
    epochs_trained: int = 0
    scores: Mapping[str, float] = field(default_factory=dict)
    kind: str = ""
    reason: str = ""
    detail: str = ""
    advice: str = ""

    @classmethod
    def read(cls, folder: Path, epochs: int) -> TrialState:
        """Read what is known of a trial.

        Parameters
        ----------
        folder : Path
            Of the trial in the run store.
        epochs : int
            Epochs that are asked for.
        """
        for file in (result_file(folder, epochs), folder / "failure.json"):
            try:
                content = read_sealed(file, trial_name(folder))
                if content.get("status") == "finished":
                    trained, scores = content["epochs_trained"], dict(content["scores"])
                    return cls("finished", epochs, trained, scores)
                return cls._failed(content, epochs)
            except FileNotFoundError:
                continue
            except (DamagedRecord, KeyError) as error:
                said = error.reason if isinstance(error, DamagedRecord) else str(error)
                reason = f"{file} ({said}); the next run makes it again"
                return cls("damaged", epochs, reason=reason)
        checkpoints = sorted(folder.glob("checkpoint-*.npz"))
        if checkpoints:
            return cls("begun", epochs, int(checkpoints[-1].stem.rpartition("-")[2]))
        return cls("not begun", epochs)

    @classmethod
    def _failed(cls, content: Mapping[str, Any], epochs: int) -> TrialState:
        failure = TrialFailure(content["kind"], content["reason"], content.get("detail", ""))
        cause = cause_of(failure)
        return cls(
            "failed",
            epochs,
            kind=failure.kind,
            reason=in_full(failure),
            detail=failure.detail.rstrip(),
            advice=cause.advice if cause else "",
        )

    def plain(self) -> dict[str, Any]:
        """Return what programs get of it."""
        return asdict(self)

    def __str__(self) -> str:
        if self.state == "finished":
            scores = "  ".join(f"{name} {value:.4f}" for name, value in self.scores.items())
            return f"finished after {self.epochs_trained} epochs  {scores}"
        if self.state == "failed":
            text = f"failed ({self.kind}): {self.reason}"
            return "\n".join(filter(None, [text, self.advice, self.detail]))
        if self.state == "packed":
            return "packed; gridfold unpack takes its records out"
        if self.state == "begun":
            return f"checkpoint after epoch {self.epochs_trained} of {self.epochs}"
        return f"damaged: {self.reason}" if self.state == "damaged" else self.state
