"""The `model` section: model families and the hyperparameters of each."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from gridfold.study.sections.base import (
    MOST_LAYERS,
    MOST_UNITS,
    Fraction,
    LayerCount,
    NonNegativeFloat,
    PixelCount,
    PlainValue,
    PythonReference,
    Section,
    UnitCount,
    late_addition,
)
from gridfold.study.sections.pretrained import Application, Saved
from gridfold.usercode.functions import split_reference

Activation = Literal["relu", "elu", "gelu", "leaky_relu", "selu", "sigmoid", "silu", "tanh"]
Initializer = Literal[
    "glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_normal", "orthogonal"
]
Span = Annotated[str, Field(pattern=r"^[0-9]+:[0-9]+$")]
Widths = UnitCount | Annotated[list[UnitCount], Field(min_length=1, max_length=MOST_LAYERS)]

# 400 GB of them; a graphics card holds a tenth, and their gradients take as much again.
_MOST_WEIGHTS = 100_000_000_000

FAMILIES = ("mlp", "cnn", "application", "saved", "python", "custom")
# Families whose axes are hyperparameters that the user's function asks for.
FUNCTION_FAMILIES = ("python", "custom")


def widths(value: int | list[int], count: int) -> list[int]:
    """Return one width for each of `count` layers; a list stands as it is."""
    return list(value) if isinstance(value, list) else [value] * count


def _refuse_too_many_weights(count: int, made_of: str) -> None:
    if count > _MOST_WEIGHTS:
        raise ValueError(
            f"{made_of} have {count:,} weights between them; allowed: at most {_MOST_WEIGHTS:,}"
        )


class _Network(Section):
    activation: Activation = Field("relu", description="Activation of hidden layers.")
    dropout: Fraction = Field(0.0, description="Dropout rate after each dense layer.")
    batch_norm: bool = Field(False, description="Batch normalisation before each activation.")
    initializer: Initializer = Field("glorot_uniform", description="Initial weights (Keras name).")
    l2: NonNegativeFloat = Field(0.0, description="L2 penalty on the weights.")


class Mlp(_Network):
    """Multilayer perceptron on the flattened sample."""

    layers: Annotated[int, Field(ge=0, le=MOST_LAYERS)] = Field(
        1, description="Number of hidden layers; 0 is a linear model."
    )
    units: Widths = Field(
        64, description="Units of each hidden layer, or a list with one number for each."
    )

    @model_validator(mode="after")
    def _lengths_agree(self) -> Self:
        if isinstance(self.units, list) and "layers" not in self.model_fields_set:
            # Past the frozen `__setattr__`, and so not among the fields that the user has set:
            # an axis with lists of other lengths must not meet a `layers` nobody wrote.
            self.__dict__["layers"] = len(self.units)
        if isinstance(self.units, list) and self.layers != len(self.units):
            raise ValueError(
                f"`layers: {self.layers}` contradicts `units: {self.units}` with "
                f"{len(self.units)} layers; allowed: one of the two, or both alike"
            )
        each = widths(self.units, self.layers)
        _refuse_too_many_weights(sum(a * b for a, b in pairwise(each)), "the hidden layers")
        return self


class Cnn(_Network):
    """Convolutional network: blocks of convolutions and pooling, then dense layers."""

    blocks: LayerCount = Field(1, description="Number of blocks, each ended by pooling.")
    convolutions: LayerCount = Field(1, description="Convolution layers in each block.")
    filters: Widths = Field(
        16, description="Filters of each convolution, or a list with one number for each block."
    )
    filter_size: PixelCount = Field(3, description="Height and width of each filter, pixels.")
    stride: PixelCount = Field(1, description="Stride of each convolution, pixels.")
    padding: Literal["same", "valid"] = Field("same", description="Padding of each convolution.")
    pooling: Literal["max", "average", "none"] = Field("max", description="Pooling of each block.")
    pool_size: PixelCount = Field(2, description="Height and width of the pooling window, pixels.")
    dense_units: (
        Annotated[int, Field(ge=0, le=MOST_UNITS)]
        | Annotated[list[UnitCount], Field(min_length=1, max_length=MOST_LAYERS)]
    ) = Field(
        64, description="Units of the dense layer after the blocks, a list for several, 0 for none."
    )

    @model_validator(mode="after")
    def _lengths_agree(self) -> Self:
        if isinstance(self.filters, list) and len(self.filters) != self.blocks:
            raise ValueError(
                f"`filters: {self.filters}` has {len(self.filters)} numbers for "
                f"`blocks: {self.blocks}`; allowed: one number, or one for each block"
            )
        each = [w for w in widths(self.filters, self.blocks) for _ in range(self.convolutions)]
        filters = sum(a * b for a, b in pairwise(each)) * self.filter_size**2
        _refuse_too_many_weights(filters, "the convolutions")
        return self


class _Function(Section):
    hp: dict[str, PlainValue] = Field(
        default_factory=dict,
        description="Fixed values of hyperparameters; what stands neither here nor in the search "
        "space takes the default that the function gives to `hp`.",
    )


class PythonModel(_Function):
    """The user's own model function, written for `hp` as in Keras Tuner."""

    build: PythonReference = Field(
        description="`file.py:function`; called as `function(hp)`, or as "
        "`function(hp, input_shape, outputs)`, and returns a Keras model, compiled or not."
    )
    inputs: dict[str, list[str] | Span] = late_addition(
        default_factory=dict,
        description="For a model with several inputs: which features each gets, as names of "
        "columns or as `start:stop` of the features in a row. Several outputs are joined in order.",
    )

    @property
    def reference(self) -> str:
        """The user's function."""
        return self.build


class CustomModel(_Function):
    """The user's own training loop, for what no model function can say."""

    train: PythonReference = Field(
        description="`file.py:function`; called as `function(trial)` with a "
        "`gridfold.Trial`, trains, and returns a Keras model."
    )

    @property
    def reference(self) -> str:
        """The user's function."""
        return self.train


class Model(Section):
    """The model families of the study; with more than one, the family itself is searched."""

    mlp: Mlp | None = Field(None, description=Mlp.__doc__)
    cnn: Cnn | None = Field(None, description=Cnn.__doc__)
    application: Application | None = Field(None, description=Application.__doc__)
    saved: Saved | None = Field(None, description=Saved.__doc__)
    python: PythonModel | None = Field(None, description=PythonModel.__doc__)
    custom: CustomModel | None = Field(None, description=CustomModel.__doc__)

    @model_validator(mode="before")
    @classmethod
    def _empty_means_defaults(cls, data: Any) -> Any:
        if isinstance(data, dict):
            return {key: {} if value is None else value for key, value in data.items()}
        return data

    @model_validator(mode="after")
    def _has_a_family(self) -> Self:
        if not self.families:
            raise ValueError(f"no model family; allowed: one or more of {', '.join(FAMILIES)}")
        return self

    @property
    def own_code(self) -> list[Path]:
        """The user's files that models are made by, without the modules beside them."""
        functions = [family.reference for family in (self.python, self.custom) if family]
        objects = self.saved.objects if self.saved else None
        files = [split_reference(reference)[0] for reference in functions]
        return [*files, *([Path(objects)] if objects else [])]

    @property
    def families(self) -> list[str]:
        """The families that the study uses, in the order of this section's definition."""
        return [name for name in FAMILIES if getattr(self, name) is not None]
