"""After the study: predictions of the saved final model for new samples, and its export."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gridfold.atomic import replacing
from gridfold.errors import DataError, GridfoldError
from gridfold.final.inputs import ModelInputs
from gridfold.paths import FinalModelPaths, StudyPaths
from gridfold.store.model_card import ModelCard
from gridfold.training.measures import classes_of

if TYPE_CHECKING:
    import pandas as pd

    from gridfold.arrays import Array

EXPORT_FORMATS = {"savedmodel": "tf_saved_model", "onnx": "onnx"}


class NotReady(GridfoldError):
    """A study without what was asked for."""


@dataclass(frozen=True)
class FinalModel:
    """The final model of a study, or its ensemble, loaded from `final`.

    Attributes
    ----------
    files : FinalModelPaths
    card : ModelCard
    members : list of (keras.Model, ModelInputs)
        One, or one for each split.
    """

    files: FinalModelPaths
    card: ModelCard
    members: list[tuple[Any, ModelInputs]]

    @classmethod
    def load(cls, results: Path, *, ensemble: bool = False) -> FinalModel:
        """Load from the results of a study, or from its folder `final`.

        Raises
        ------
        NotReady
            When the study has no such model, or the model can't be read here.
        """
        files = FinalModelPaths(results)
        if not files.model.exists():
            files = StudyPaths(results).final_model
        if not files.model.exists():
            raise NotReady(
                f"{results} has no final model; run the study first: snakemake --configfile ..."
            )
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
        _register_own_objects(card)
        return cls(
            files, card, [(_load(model), ModelInputs.load(inputs)) for model, inputs in pairs]
        )

    def predict(
        self, file: Path, *, separator: str | None = None, array: str | None = None
    ) -> pd.DataFrame:
        """Predict the samples of a file.

        Parameters
        ----------
        file : Path
            ``.csv`` or ``.parquet`` with the columns of the study, by name and in any order, or
            ``.npz`` or ``.npy`` with samples as the study's source gives them.
        separator : str, optional
            Of columns in a CSV file; that of the study when left out.
        array : str, optional
            Name in an ``.npz`` file; the only one, ``x`` or ``features`` when left out.

        Returns
        -------
        DataFrame
            One row for each sample. For classes ``prediction`` (the name) and one column
            ``p(<class>)`` for each; otherwise one column for each output, in the user's units.

        Raises
        ------
        DataError
            When the file can't be read or does not fit; says which column, row or shape.
        """
        take = _reader(file, separator, array)
        total: Any = 0.0
        for model, inputs in self.members:
            prediction = np.asarray(model.predict(take(inputs), verbose=0), np.float64)
            total = total + prediction.reshape(len(prediction), -1)
        return self._table(total / len(self.members))

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
        each = np.hstack([1 - outputs, outputs]) if outputs.shape[1] == 1 else outputs
        columns: Mapping[str, Any] = {f"p({n})": each[:, i] for i, n in enumerate(names)}
        return pd.DataFrame({"prediction": names[classes_of(outputs)], **columns})

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
        ((model, inputs),) = self.members
        # Keras exports only what has been called.
        model(np.zeros((1, *inputs.input_shape), np.float32))
        target.parent.mkdir(parents=True, exist_ok=True)
        model.export(target, format=EXPORT_FORMATS[kind], verbose=False)
        exported = FinalModelPaths(target)
        beside = exported.preprocessing if kind == "savedmodel" else target.with_suffix(".json")
        shutil.copyfile(self.files.preprocessing, beside)
        return beside


def write_table(table: pd.DataFrame, file: Path) -> None:
    """Write predictions as CSV, or as Parquet by the name of the file; whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as temporary:
        if file.suffix == ".parquet":
            table.to_parquet(temporary, index=False)
        else:
            table.to_csv(temporary, index=False)


def _reader(file: Path, separator: str | None, array: str | None) -> Callable[[ModelInputs], Array]:
    """Return what gives the samples of a file as inputs of a model."""
    if not file.is_file():
        raise DataError(f"no such file: {file}")
    try:
        if file.suffix in (".npz", ".npy"):
            samples = _array(file, array)
            return lambda inputs: inputs.from_array(samples)
        if file.suffix in (".csv", ".parquet"):
            return _table_reader(file, separator)
    except (ValueError, OSError) as error:
        raise DataError(f"{file} can't be read: {error}") from None
    raise DataError(f"{file}: unknown kind of file; allowed: .csv, .parquet, .npz, .npy")


def _table_reader(file: Path, separator: str | None) -> Callable[[ModelInputs], Array]:
    # The members of an ensemble read the same columns.
    tables: list[Any] = []

    def take(inputs: ModelInputs) -> Array:
        if not tables:
            tables.append(inputs.read_table(file, separator))
        return (
            inputs.from_array(tables[0].to_numpy())
            if inputs.columns is None
            else inputs.from_table(tables[0])
        )

    return take


def _array(file: Path, name: str | None) -> Array:
    loaded = np.load(file, allow_pickle=False)
    if not isinstance(loaded, np.lib.npyio.NpzFile):
        return np.asarray(loaded)
    with loaded:
        candidates = [name] if name else [n for n in ("x", "features") if n in loaded.files]
        if not candidates and len(loaded.files) == 1:
            candidates = loaded.files
        if not candidates or candidates[0] not in loaded.files:
            raise DataError(
                f"{file}: which array holds the samples? name one with --array: "
                f"{', '.join(loaded.files)}"
            )
        return np.asarray(loaded[candidates[0]])


def _load(file: Path) -> Any:
    import keras

    try:
        return keras.saving.load_model(file, compile=False)
    except (TypeError, ValueError, ImportError) as error:
        raise NotReady(
            f"{file} can't be loaded: {str(error).strip().splitlines()[0]} Layers of your own "
            "must be registered (keras.saving.register_keras_serializable) in the study's model "
            "file, which is looked for relative to the working directory."
        ) from None


def _register_own_objects(card: ModelCard) -> None:
    """Import the user's model file, whose registered layers the saved model is made of."""
    from gridfold.usercode.functions import load, problem_with

    model = card.configuration.settings["model"]
    for key in ("build", "train", "objects"):
        reference = model.get(key)
        if reference and not problem_with(reference):
            load(reference)
