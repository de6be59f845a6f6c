"""After the study: predictions of the saved final model for new samples, and its export."""

from __future__ import annotations

import importlib.util
import json
import logging
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gridfold.errors import GridfoldError, summary_of
from gridfold.final import samples
from gridfold.final.inputs import ModelInputs
from gridfold.final.samples import NewSamples, ReadingOptions
from gridfold.jobs.frozen_imports import lasting, silent
from gridfold.paths import FinalModelPaths, StudyPaths
from gridfold.store.model_card import NOT_SAVED, ModelCard
from gridfold.terminal import say
from gridfold.training.measures import chances_of, classes_of
from gridfold.typed_json import DamagedRecord
from gridfold.usercode.digests import code_digest
from gridfold.usercode.functions import own_code
from gridfold.usercode.trust import require_trust

if TYPE_CHECKING:
    import pandas as pd

    from gridfold.arrays import Array

log = logging.getLogger(__name__)

AS_THE_STUDY = ReadingOptions()
EXPORT_FORMATS = {"savedmodel": "tf_saved_model", "onnx": "onnx"}


class NotReady(GridfoldError):
    """A study without what was asked for."""


@dataclass(frozen=True)
class FinalModel:
    """The final model of a study, or its ensemble, in the folder `final`.

    Attributes
    ----------
    files : FinalModelPaths
    card : ModelCard
    members : list of (Path, ModelInputs)
        The file of a model and how its inputs are made: one, or one for each split.
    """

    files: FinalModelPaths
    card: ModelCard
    members: list[tuple[Path, ModelInputs]]

    @classmethod
    def load(cls, results: Path, *, ensemble: bool = False, trust: bool = False) -> FinalModel:
        """Load from the results of a study, or from its folder `final`.

        Parameters
        ----------
        results : Path
        ensemble : bool
            Whether the mean of the models of all splits is wanted.
        trust : bool
            Whether Python files that the results name may run, wherever they lie.

        Raises
        ------
        NotReady
            When the study has no such model.
        NotTrusted
            When it needs code that is not clearly the user's own.
        """
        files = FinalModelPaths(results)
        if not files.model.exists():
            files = StudyPaths(results).final_model
        if not files.model.exists():
            raise NotReady(f"{results} has no final model; run the study first, with snakemake")
        card = ModelCard.read(files.card)
        pairs = [(files.model, files.preprocessing)]
        if ensemble:
            # Not all that lie there: a study of fewer splits leaves some of the one before.
            names = card.ensemble.members if card.ensemble else []
            pairs = [(files.member(name), files.member_preprocessing(name)) for name in names]
            if not pairs:
                raise NotReady(
                    f"{results} has no ensemble; set `final: {{ensemble: true}}` in the study and "
                    "run it again, which trains nothing that is there"
                )
        found = cls(files, card, [(model, ModelInputs.load(inputs)) for model, inputs in pairs])
        if not trust:
            require_trust(found.code, files.folder)
        found.say_edits()
        return found

    @cached_property
    def code(self) -> list[Path]:
        """The user's files that parts of the models are defined in; none where Keras knows all."""
        needed = any(_has_own_parts(file) for file, _ in self.members)
        return own_code(self.card.configuration.settings["model"]) if needed else []

    def say_edits(self) -> None:
        """Say which of these files no longer do what they did when the model was trained."""
        known = self.card.code
        for file in self.code:
            if file.is_file() and known.get(str(file), code_digest(file)) != code_digest(file):
                say(
                    f"{file} has changed since the model was trained. The model's own parts now do "
                    "what the file says now; a copy of it as it was lies with the results, in the "
                    "folder request"
                )

    @cached_property
    def models(self) -> list[Any]:
        """The Keras models, read when they are first asked for: that takes seconds.

        Raises
        ------
        NotReady
            When one can't be read here.
        """
        with silent(), lasting():
            import keras  # noqa: F401

        return [_load(file, self.code) for file, _ in self.members]

    def read(
        self,
        paths: Sequence[Path],
        how: ReadingOptions = AS_THE_STUDY,
        tell: Callable[[str], None] = log.info,
    ) -> NewSamples:
        """Read new samples.

        Parameters
        ----------
        paths : sequence of Path
            One ``.csv`` or ``.parquet`` file with the columns of the study, by name and in any
            order; one ``.npz`` or ``.npy`` file with samples as the study's source gives them; or
            any number of image files, and folders of such.
        how : ReadingOptions, optional
        tell : callable, optional
            Is given what is left out, filled or guessed, as soon as it is known.

        Raises
        ------
        DataError
            When they can't be read or do not fit; says which file, column, row or shape.
        """
        return samples.read(paths, self.members[0][1], how, tell)

    def predictions(self, new: NewSamples) -> Iterator[pd.DataFrame]:
        """Yield predictions, piece by piece.

        Parameters
        ----------
        new : NewSamples

        Yields
        ------
        DataFrame
            One row for each sample: the columns that name it; for classes ``prediction`` (the name)
            and one column ``p(<class>)`` for each; otherwise one column for each output, in the
            user's units.

        Raises
        ------
        DataError
            When samples can't be read; what stands before them has been yielded then.
        """
        done = 0
        for piece in new.pieces([inputs for _, inputs in self.members]):
            total: Any = 0.0
            for model, inputs in zip(self.models, piece, strict=True):
                prediction = np.asarray(model.predict(inputs, verbose=0), np.float64)
                total = total + prediction.reshape(len(prediction), -1)
            table = self._table(total / len(self.members))
            for place, name in enumerate(new.names):
                values = new.names[name].iloc[done : done + len(table)]
                table.insert(place, name, values.to_numpy(), allow_duplicates=True)
            done += len(table)
            yield table

    def predict(self, *paths: Path, how: ReadingOptions = AS_THE_STUDY) -> pd.DataFrame:
        """Return the predictions for new samples in one table, see `read` and `predictions`."""
        import pandas as pd

        return pd.concat(self.predictions(self.read(paths, how)), ignore_index=True)

    def _table(self, outputs: Array) -> pd.DataFrame:
        import pandas as pd

        inputs = self.members[0][1]
        if inputs.class_names is None:
            scaling = self.card.output_scaling
            # Several outputs in [0, 1] leave the model as it was trained; here they get units.
            if not scaling.undone_by_the_model:
                outputs = outputs / np.array(scaling.scale) + np.array(scaling.center)
            return pd.DataFrame(outputs, columns=inputs.target_names)
        names = np.array(inputs.class_names)
        each = chances_of(outputs)
        codes = classes_of(outputs, self.card.positive_from)
        columns: Mapping[str, Any] = {f"p({n})": each[:, i] for i, n in enumerate(names)}
        return pd.DataFrame({"prediction": names[codes], **columns})

    def export(self, kind: str, target: Path) -> Path:
        """Write the model for programs without Keras, its preprocessing beside it.

        Parameters
        ----------
        kind : {"savedmodel", "onnx"}
        target : Path
            A new folder, or the ``.onnx`` file.

        Returns
        -------
        Path
            Where the preprocessing of tables is described.

        Raises
        ------
        NotReady
            When `target` exists, or a package is missing.
        """
        if target.exists():
            raise NotReady(f"{target} exists; name another place with -o")
        if kind == "onnx" and importlib.util.find_spec("tf2onnx") is None:
            raise NotReady(
                "ONNX needs the package tf2onnx, which is not installed: pip install "
                '"gridfold[onnx]", or --format savedmodel, which needs nothing more'
            )
        ((_, inputs),), (model,) = self.members, self.models
        # Keras exports only what has been called.
        model(np.zeros((1, *inputs.input_shape), np.float32))
        target.parent.mkdir(parents=True, exist_ok=True)
        model.export(target, format=EXPORT_FORMATS[kind], verbose=False)
        exported = FinalModelPaths(target)
        beside = exported.preprocessing if kind == "savedmodel" else target.with_suffix(".json")
        shutil.copyfile(self.files.preprocessing, beside)
        return beside


def _has_own_parts(file: Path) -> bool:
    """Tell whether a saved model is made of classes or functions that are not of Keras."""
    try:
        with zipfile.ZipFile(file) as archive:
            config = json.loads(archive.read("config.json"))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        # Whoever loads it says what is wrong.
        return False
    return any(
        part.get("registered_name") and not str(part.get("module")).startswith("keras")
        for part in _parts(config)
    )


def _parts(config: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the mappings in what Keras notes of a model, however deep they lie."""
    if isinstance(config, Mapping):
        yield config
        config = list(config.values())
    if isinstance(config, list):
        for part in config:
            yield from _parts(part)


def _load(file: Path, code: Sequence[Path]) -> Any:
    from gridfold.training.loading import load_model

    if not zipfile.is_zipfile(file):
        if file.is_file() and file.read_bytes().startswith(NOT_SAVED.encode()):
            raise NotReady(f"{file}: {file.read_text(encoding='utf-8').strip()}")
        raise DamagedRecord(file, "it is no Keras file" if file.exists() else "it is missing")
    try:
        return load_model(file, *code)
    except (zipfile.BadZipFile, OSError) as error:
        raise DamagedRecord(file, error) from None
    except (TypeError, ValueError, ImportError) as error:
        missing = [str(own) for own in code if not own.is_file()]
        why = (
            f"the model's own code is missing: {', '.join(missing)}; run this in the folder in "
            "which the study was run"
            if missing
            else summary_of(error).partition(". ")[0]
        )
        raise NotReady(f"{file} can't be loaded: {why}") from None
