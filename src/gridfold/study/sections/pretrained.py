"""Model families that begin with given weights: a backbone of Keras, or a saved model."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gridfold.study.sections.base import (
    MOST_EPOCHS,
    MOST_UNITS,
    Fraction,
    PixelCount,
    PlainValue,
    PositiveFloat,
    PositiveInt,
    Section,
)

# What `keras.applications` has; a test compares. Importing Keras here would cost seconds.
Backbone = Literal[
    "ConvNeXtBase",
    "ConvNeXtLarge",
    "ConvNeXtSmall",
    "ConvNeXtTiny",
    "ConvNeXtXLarge",
    "DenseNet121",
    "DenseNet169",
    "DenseNet201",
    "EfficientNetB0",
    "EfficientNetB1",
    "EfficientNetB2",
    "EfficientNetB3",
    "EfficientNetB4",
    "EfficientNetB5",
    "EfficientNetB6",
    "EfficientNetB7",
    "EfficientNetV2B0",
    "EfficientNetV2B1",
    "EfficientNetV2B2",
    "EfficientNetV2B3",
    "EfficientNetV2L",
    "EfficientNetV2M",
    "EfficientNetV2S",
    "InceptionResNetV2",
    "InceptionV3",
    "MobileNet",
    "MobileNetV2",
    "MobileNetV3Large",
    "MobileNetV3Small",
    "NASNetLarge",
    "NASNetMobile",
    "ResNet101",
    "ResNet101V2",
    "ResNet152",
    "ResNet152V2",
    "ResNet50",
    "ResNet50V2",
    "VGG16",
    "VGG19",
    "Xception",
]


class _Pretrained(Section):
    frozen_epochs: Annotated[int, Field(ge=0, le=MOST_EPOCHS)] | Literal["all"] = Field(
        0,
        description="Epochs of the first phase, in which frozen layers keep their weights. In the "
        "second, all are trained, with a new optimiser and the schedule from its beginning.",
    )
    fine_tune_learning_rate: PositiveFloat | None = Field(
        None,
        description="Learning rate of the second phase, usually a tenth or less; "
        "`training.learning_rate` when left out.",
    )

    @model_validator(mode="after")
    def _has_two_phases(self) -> Self:
        if self.fine_tune_learning_rate is not None and self.frozen_epochs in (0, "all"):
            raise ValueError(
                f"`fine_tune_learning_rate` with `frozen_epochs: {self.frozen_epochs}`, which has "
                "one phase only; allowed: a number of frozen epochs, or training.learning_rate "
                "alone"
            )
        return self


class Application(_Pretrained):
    """A backbone of `keras.applications` with a new head; gets pixels from 0 to 255 as they are."""

    backbone: Backbone = Field(description="Class of `keras.applications`.")
    weights: str | None = Field(
        None,
        description="Local file with weights of the backbone without its top, as Keras publishes "
        "it (`*_notop.h5`); nothing is downloaded. Without, it begins with random weights.",
    )
    arguments: dict[str, PlainValue] = Field(
        default_factory=dict, description="Further arguments of the class, as `{alpha: 0.5}`."
    )
    image_size: PixelCount | None = Field(
        None, description="Height and width to which images are resized, pixels."
    )
    pooling: Literal["avg", "max"] = Field("avg", description="How pixels become one vector.")
    dense_units: Annotated[int, Field(ge=0, le=MOST_UNITS)] = Field(
        0, description="Units of a dense layer before the output."
    )
    dropout: Fraction = Field(0.0, description="Dropout rate before the output.")
    fine_tune_layers: PositiveInt | Literal["all"] = Field(
        "all", description="How many of the backbone's last layers the second phase trains."
    )

    @model_validator(mode="after")
    def _options_agree(self) -> Self:
        if self.weights is None and self.frozen_epochs:
            raise ValueError(
                f"`frozen_epochs: {self.frozen_epochs}` without `weights`: random weights would be "
                "kept; allowed: a local file of weights, or frozen_epochs 0"
            )
        if self.weights is not None and not self.weights.endswith((".h5", ".keras")):
            raise ValueError(
                f"`weights: {self.weights}`; allowed: a local file `*.h5` or `*.keras`. Nothing is "
                "downloaded: for ImageNet's weights, call the class with weights='imagenet', "
                "include_top=False where there is a network, and name the file that Keras has put "
                "into ~/.keras/models"
            )
        return self


class Saved(_Pretrained):
    """A model from a `.keras` file, trained further."""

    path: Annotated[str, Field(pattern=r"\.keras$")] = Field(
        description="The file, relative to the working directory; its content is part of the "
        "record."
    )
    objects: str | None = Field(
        None,
        description="Python file that defines layers of the model's own.",
    )
    head: Literal["keep", "new"] = Field(
        "keep",
        description="`new`: replace the last layer by one with the outputs of this study.",
    )
    freeze: list[str] = Field(
        default_factory=list,
        description="Names of layers that the first phase keeps; `*` and `?` as in file names.",
    )

    @model_validator(mode="after")
    def _freezes_something(self) -> Self:
        if bool(self.freeze) != (self.frozen_epochs != 0):
            raise ValueError(
                f"`freeze: {self.freeze}` with `frozen_epochs: {self.frozen_epochs}`; allowed: "
                "both, or neither"
            )
        return self
