"""The `data` section: where samples come from and what is held out."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from gridfold.study.sections.base import (
    Fraction,
    NonNegativeInt,
    PixelCount,
    PositiveInt,
    PythonReference,
    Section,
)

# Shapes (samples, *features) of what is known by name, for the cost estimate before any run.
EMBEDDED_SHAPES: dict[str, tuple[int, ...]] = {
    "breast_cancer": (569, 30),
    "cifar10": (60_000, 32, 32, 3),
    "diabetes": (442, 10),
    "digits": (1797, 8, 8, 1),
    "fashion_mnist": (70_000, 28, 28, 1),
    "iris": (150, 4),
    "linnerud": (20, 3),
    "mnist": (70_000, 28, 28, 1),
    "wine": (178, 13),
}

NORMALISATIONS = Literal["none", "standard", "minmax", "global"]
TARGET_SCALINGS = Literal["none", "standard", "minmax"]


_WEIGHTS = (
    "They count in the loss of training and validation, beside class weights, and not in the "
    "measures."
)


class DataSource(Section):
    """What every source of data may say: the test set, scaling and the shape of a sample."""

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


class EmbeddedData(DataSource):
    """A real data set that scikit-learn ships; needs no network."""

    source: Literal["digits", "iris", "wine", "breast_cancer", "diabetes", "linnerud"]


class KnownData(DataSource):
    """A well-known set of images with its own test set: of Keras's cache, the network or files."""

    source: Literal["mnist", "fashion_mnist", "cifar10"]
    path: str | None = Field(
        None,
        description="Where no network is: the `.npz` file of `keras.datasets` (arrays `x_train`, "
        "`y_train`, `x_test`, `y_test`), or a folder with the original files, for MNIST and "
        "Fashion-MNIST four IDX files, compressed or not, for CIFAR-10 the binary version.",
    )


class _ArrayData(DataSource):
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


class NpzData(_ArrayData):
    """Arrays in a NumPy `.npz` file."""

    source: Literal["npz"]
    path: str = Field(description="The file, relative to the working directory.")


class NpyData(_ArrayData):
    """Arrays in a folder of NumPy `.npy` files, which may be larger than memory.

    The array `x` is the file `x.npy`, or the files `x-*.npy` one after another.
    """

    source: Literal["npy"]
    path: str = Field(description="The folder, relative to the working directory.")


class ImageData(DataSource):
    """Image files, decoded and brought to one size once."""

    source: Literal["images"]
    path: str = Field(
        description="A folder with a folder of images for each class, or with such folders in "
        "`train`, `val` and `test`, or a CSV file with paths, which are relative to it, and "
        "targets."
    )
    test_path: str | None = Field(
        None, description="The like with the source's own test set; replaces `test_fraction`."
    )
    image: str = Field("image", description="Column of the paths, in a CSV file.")
    targets: list[str] = Field(
        ["label"], min_length=1, description="Target columns, in a CSV file."
    )
    groups: str | None = Field(None, description="Column of group labels, in a CSV file.")
    weight: str | None = Field(
        None, description=f"Column of sample weights, in a CSV file. {_WEIGHTS}"
    )
    size: list[PixelCount] | None = Field(
        None,
        min_length=2,
        max_length=2,
        description="Height and width to which images are brought; left out, all must have one "
        "size.",
    )
    fit: Literal["stretch", "crop", "pad"] = Field(
        "stretch",
        description="How an image of other proportions gets that size: stretched, its middle cut "
        "out, or padded with black.",
    )
    color: Literal["rgb", "grayscale"] = Field("rgb", description="Three channels, or one.")
    damaged: Literal["refuse", "skip"] = Field(
        "refuse",
        description="What becomes of files that can't be decoded: all are named and nothing is "
        "run, or they are left out and named in the log.",
    )


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
    values: list[str] = Field(
        [],
        description="Texts that stand for a missing value in any column, such as `?` or `NA`. "
        "Empty cells always do, and so does `NaN` in columns of numbers.",
    )

    def fitted(self) -> dict[str, Any]:
        """Return what is fitted; what was read as missing is part of the data themselves."""
        return self.model_dump(exclude={"values"})


class Windows(Section):
    """Samples are windows of consecutive rows; the target stands after each window."""

    length: PositiveInt = Field(description="Rows of a window.")
    horizon: PositiveInt = Field(
        1, description="Rows from the end of the window to its target; 1 is the next row."
    )
    stride: PositiveInt = Field(1, description="Rows from one window to the next.")


class _TableData(DataSource):
    path: str = Field(description="The file, relative to the working directory.")
    targets: list[str] = Field(min_length=1, description="Target columns.")
    features: list[str] | None = Field(
        None,
        min_length=1,
        description="Feature columns; all without another role when left out. With `sequence`, "
        "targets may be among them and are by default: their past is known.",
    )
    ignore: list[str] = Field(
        [], description="Columns that are left out, when `features` names none."
    )
    groups: str | None = Field(
        None, description="Column of group labels; with `sequence`, of the series of each row."
    )
    weight: str | None = Field(None, description=f"Column of sample weights. {_WEIGHTS}")
    id: str | None = Field(
        None, description="Column that names each sample, once; it goes with the predictions."
    )
    time: str | None = Field(
        None,
        description="Column by which `resampling.method` `blocked` and `forward` order samples: "
        "numbers, or dates in ISO form.",
    )
    sequence: Windows | None = Field(None, description=f"{Windows.__doc__} Needs `time`.")
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
        if self.missing.fitted() != Missing().fitted():
            settings["missing"] = self.missing.fitted()
        return settings


class CsvData(_TableData):
    """A table in a CSV file with a header line."""

    source: Literal["csv"]
    separator: str = Field(
        ",",
        min_length=1,
        description="Column separator: one character, `\\s+` for any white space, or another "
        "regular expression.",
    )
    decimal: Literal[".", ","] = Field(".", description="What separates decimals in numbers.")
    thousands: Literal[",", ".", " ", "'"] | None = Field(
        None, description="What groups the digits of numbers by three, as in `1,234`."
    )
    encoding: str = Field(
        "utf-8", description="How the file's letters are written, such as `latin-1` or `utf-16`."
    )


class ParquetData(_TableData):
    """A table in a Parquet file."""

    source: Literal["parquet"]


class PythonData(DataSource):
    """Arrays that a function of the user returns."""

    source: Literal["python"]
    function: PythonReference = Field(
        description="`file.py:function`; returns a mapping with `features`, `targets` and "
        "optionally `groups`, `weights`, `test_features`, `test_targets`."
    )


Data = Annotated[
    EmbeddedData | KnownData | NpzData | NpyData | CsvData | ParquetData | ImageData | PythonData,
    Field(discriminator="source"),
]
