"""What a trained model looks like inside, as arrays in one file: extracted once, drawn elsewhere.

Written where the model is in memory anyway (:mod:`gridfold.final.inspection`); read without
TensorFlow.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gridfold.arrays import Array
from gridfold.atomic import replacing
from gridfold.store.records import intact


@dataclass(frozen=True)
class Layer:
    """One layer of a model, or the model itself where it stands inside another.

    Attributes
    ----------
    name : str
        Those of the models around it first, as in ``backbone/conv1``.
    kind : str
        Name of its class.
    detail : str
        What was chosen for it, as ``3×3, 16 filters``.
    output_shape : tuple of int or None
        Of one sample; None if the layer took no part in a prediction.
    parameters, trainable : int
        All numbers that it learnt or keeps, and those that training changes.
    depth : int
        0 for layers of the model itself, 1 for those of a model inside it.
    sources : tuple of str
        Names of the layers whose outputs it takes; ``""`` is the sample. Empty where the
        connections can't be known.
    """

    name: str
    kind: str
    detail: str
    output_shape: tuple[int, ...] | None
    parameters: int
    trainable: int
    depth: int = 0
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class LayerMaps:
    """What a part of the model makes of the samples.

    Attributes
    ----------
    name : str
        As ``Conv2D 3×3 + relu``.
    shape : tuple of int
        Height, width and channels of the output.
    maps : array of shape (samples, rows, columns, channels), float32
        The first channels; large maps with every second, third, ... pixel only.
    """

    name: str
    shape: tuple[int, ...]
    maps: Array


@dataclass(frozen=True)
class Inside:
    """The inside of a model.

    Attributes
    ----------
    layers : list of Layer
        In the order in which they compute.
    samples : array of int64
        Rows of the prepared arrays that the model was shown.
    predictions : array of shape (samples, outputs), float32
    filters : array of shape (rows, columns, channels, filters), float32
        Weights of the first layer that looks at the image; without any filters when there is none.
    filters_of : str
        That layer, as ``Conv2D 3×3``; where there are no filters, why.
    responses : array of shape (samples, rows, columns, filters), float32
        What these filters answer, before any activation that is a layer of its own; without any
        filters when they cover the whole image, as those of a dense layer do.
    stages : list of LayerMaps
    """

    layers: list[Layer]
    samples: Array
    predictions: Array
    filters: Array
    filters_of: str
    responses: Array
    stages: list[LayerMaps] = field(default_factory=list)

    def save(self, file: Path) -> None:
        """Write everything to one compressed ``.npz``."""
        words = {
            "layers": [asdict(layer) for layer in self.layers],
            "filters_of": self.filters_of,
            "stages": [{"name": stage.name, "shape": stage.shape} for stage in self.stages],
        }
        arrays: dict[str, Any] = {
            "words": np.array(json.dumps(words)),
            "samples": self.samples,
            "predictions": self.predictions,
            "filters": self.filters,
            "responses": self.responses,
            **{f"stage_{i}": stage.maps for i, stage in enumerate(self.stages)},
        }
        with replacing(file) as temporary:
            np.savez_compressed(temporary, **arrays)

    @classmethod
    def load(cls, file: Path) -> Inside:
        """Read what :meth:`save` wrote.

        Raises
        ------
        FileNotFoundError
            When there is none.
        DamagedRecord
            When the file can't be read.
        """
        with intact(file), np.load(file, allow_pickle=False) as archive:
            words: dict[str, Any] = json.loads(str(archive["words"]))
            stages = [
                LayerMaps(stage["name"], tuple(stage["shape"]), archive[f"stage_{i}"])
                for i, stage in enumerate(words["stages"])
            ]
            return cls(
                [_layer(row) for row in words["layers"]],
                archive["samples"],
                archive["predictions"],
                archive["filters"],
                words["filters_of"],
                archive["responses"],
                stages,
            )


def _layer(row: dict[str, Any]) -> Layer:
    shape = row["output_shape"]
    row |= {"output_shape": None if shape is None else tuple(shape)}
    return Layer(**row | {"sources": tuple(row["sources"])})
