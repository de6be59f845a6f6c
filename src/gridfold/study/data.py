"""The `data` section: where samples come from and what is held out."""

from __future__ import annotations

from typing import Annotated, Literal

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
    test_features: str | None = Field(
        None, description="Name of the source's own test features; replaces `test_fraction`."
    )
    test_targets: str | None = Field(None, description="Name of the source's own test targets.")


class _TableData(_Source):
    path: str = Field(description="The file, relative to the working directory.")
    targets: list[str] = Field(min_length=1, description="Target columns.")
    features: list[str] | None = Field(
        None, min_length=1, description="Feature columns; all others when left out."
    )
    groups: str | None = Field(None, description="Column of group labels.")


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
        "optionally `groups`, `test_features`, `test_targets`."
    )


Data = Annotated[
    EmbeddedData | NpzData | CsvData | ParquetData | PythonData, Field(discriminator="source")
]
