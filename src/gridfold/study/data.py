"""The `data` section: where samples come from and what is held out."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from gridfold.study.base import Fraction, NonNegativeInt, PositiveInt, PythonReference, Section

# Shapes (samples, *features) of what scikit-learn ships, for the cost estimate before any run.
EMBEDDED_SHAPES: dict[str, tuple[int, ...]] = {
    "breast_cancer": (569, 30),
    "diabetes": (442, 10),
    "digits": (1797, 8, 8, 1),
    "iris": (150, 4),
    "linnerud": (20, 3),
    "wine": (178, 13),
}

NORMALISATIONS = Literal["none", "standard", "minmax", "global"]
TARGET_SCALINGS = Literal["none", "standard", "minmax"]


_WEIGHTS = (
    "They count in the loss of training and validation, beside class weights, and not in the "
    "measures."
)


class _Source(Section):
    test_fraction: Fraction = Field(
        0.2, description="Share of the samples that search never sees; 0 for no test set."
    )
    test_seed: NonNegativeInt = Field(0, description="Seed of the draw of the test set.")
    subset: PositiveInt | None = Field(
        None, description="Use only so many samples, drawn with `test_seed`; for quick exploration."
    )
    normalise: NORMALISATIONS = Field(
        "standard",
        description="Feature scaling, fitted on the training part of each split only: `standard` "
        "and `minmax` for each feature, `global` with one mean and SD for all (images).",
    )
    scale_targets: TARGET_SCALINGS = Field(
        "none",
        description="Target scaling, fitted likewise and undone before scoring, except for "
        "`multi_output`, which is scored in [0, 1].",
    )
    reshape: list[PositiveInt] | None = Field(
        None, description="Shape of one sample, for example `[28, 28, 1]` for flat images."
    )

    def preprocessing(self) -> dict[str, Any]:
        """Return what is fitted on the training part of each split, as part of every id."""
        return {"normalise": self.normalise, "scale_targets": self.scale_targets}


class EmbeddedData(_Source):
    """A real data set that scikit-learn ships; needs no network."""

    source: Literal["digits", "iris", "wine", "breast_cancer", "diabetes", "linnerud"]


class NpzData(_Source):
    """Arrays in a NumPy `.npz` file."""

    source: Literal["npz"]
    path: str = Field(description="The file, relative to the working directory.")
    features: str = Field("x", description="Name of the feature array, samples first.")
    targets: str = Field("y", description="Name of the target array.")
    groups: str | None = Field(None, description="Name of the array of group labels.")
    weights: str | None = Field(
        None, description=f"Name of the array of sample weights. {_WEIGHTS}"
    )
    test_features: str | None = Field(
        None, description="Name of the source's own test features; replaces `test_fraction`."
    )
    test_targets: str | None = Field(None, description="Name of the source's own test targets.")


class Missing(Section):
    """What becomes of missing values, fitted on the training part of each split only."""

    numbers: Literal["refuse", "mean", "median", "most_frequent", "zero"] = Field(
        "refuse",
        description="In columns of numbers: refused, or replaced by this figure of the column.",
    )
    categories: Literal["refuse", "own", "most_frequent"] = Field(
        "own",
        description="In columns of categories: refused, a category of its `own`, or replaced by "
        "the most frequent one.",
    )
    indicator: bool = Field(
        False,
        description="Add a feature of 0 and 1 for each column of numbers with missing values in "
        "the training part, which says where they were.",
    )


class _TableData(_Source):
    path: str = Field(description="The file, relative to the working directory.")
    targets: list[str] = Field(min_length=1, description="Target columns.")
    features: list[str] | None = Field(
        None, min_length=1, description="Feature columns; all without another role when left out."
    )
    groups: str | None = Field(None, description="Column of group labels.")
    weight: str | None = Field(None, description=f"Column of sample weights. {_WEIGHTS}")
    id: str | None = Field(
        None, description="Column that names each sample, once; it goes with the predictions."
    )
    categories: Literal["auto"] | list[str] = Field(
        "auto",
        description="Feature columns of categories, which become one feature of 0 and 1 for each "
        "category of the training part; `auto`: those with text.",
    )
    min_frequency: PositiveInt = Field(
        1,
        description="Categories that are rarer than this in the training part share one feature, "
        "which unknown ones have too; with 1, unknown ones have none.",
    )
    missing: Missing = Field(default_factory=Missing, description=Missing.__doc__)

    def preprocessing(self) -> dict[str, Any]:
        """Return what is fitted on the training part of each split, as part of every id."""
        # Left out at their defaults, so that studies keep their ids.
        settings = super().preprocessing()
        if self.min_frequency > 1:
            settings["min_frequency"] = self.min_frequency
        if self.missing != Missing():
            settings["missing"] = self.missing.model_dump()
        return settings


class CsvData(_TableData):
    """A table in a CSV file with a header line."""

    source: Literal["csv"]
    separator: str = Field(",", min_length=1, description="Column separator.")


class ParquetData(_TableData):
    """A table in a Parquet file."""

    source: Literal["parquet"]


class PythonData(_Source):
    """Arrays that a function of the user returns."""

    source: Literal["python"]
    function: PythonReference = Field(
        description="`file.py:function`; returns a mapping with `features`, `targets` and "
        "optionally `groups`, `weights`, `test_features`, `test_targets`."
    )


Data = Annotated[
    EmbeddedData | NpzData | CsvData | ParquetData | PythonData, Field(discriminator="source")
]
