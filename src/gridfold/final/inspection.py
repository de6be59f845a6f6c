"""Look inside a trained model: its layers, its first filters and what they answer to samples."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from gridfold.arrays import Array
from gridfold.data.dataset import Dataset
from gridfold.data.splits import Splits
from gridfold.final.inside import Inside, Layer, LayerMaps
from gridfold.training.trial import Fitted

_SAMPLES = 3
_MOST_FILTERS = 64
_MOST_CHANNELS = 16
_MOST_STAGES = 6
# Maps are drawn an inch wide at most.
_MOST_PIXELS = 96
_CONVOLUTIONS = (
    keras.layers.Conv2D,
    keras.layers.Conv2DTranspose,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
)
_POOLING = (keras.layers.MaxPooling2D, keras.layers.AveragePooling2D)


@dataclass(frozen=True)
class _Place:
    """A layer, and where it stands."""

    layer: Any
    name: str
    depth: int
    sources: tuple[str, ...]


@dataclass
class _Answers:
    """What layers answered when the model was called, in that order."""

    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    images: dict[str, Array] = field(default_factory=dict)


def inspect(fitted: Fitted, dataset: Dataset, splits: Splits) -> Inside:
    """Return what the model looks like inside, and what it makes of a few samples.

    Works for whatever Keras can call: layers are found by type, and their answers are listened to
    while the model predicts.

    Parameters
    ----------
    fitted : Fitted
    dataset : Dataset
    splits : Splits
        Samples are taken from the test set, or from those of training where there is none.
    """
    available = splits.test if len(splits.test) else np.arange(len(dataset.features))
    samples = np.sort(available[exemplars(np.asarray(dataset.targets)[available])])
    places = list(_places(fitted.model))
    with _listening(places) as answers:
        predictions = fitted.predict(dataset.features, samples)
    shape = fitted.features.shape(dataset.features.shape[1:])
    filters, filters_of, first = _filters(places, answers, shape)
    return Inside(
        [_described(place, answers) for place in places],
        samples.astype(np.int64),
        predictions,
        filters,
        filters_of,
        _thinned(answers.images[first], _MOST_FILTERS)
        if first
        else np.empty((len(samples), 0, 0, 0), np.float32),
        _stages(places, answers),
    )


def exemplars(targets: Array) -> Array:
    """Return positions of a few samples that differ: of other classes, or of low to high targets.

    Parameters
    ----------
    targets : array
        Class codes of shape (samples,), or numbers of shape (samples, outputs).
    """
    if targets.ndim == 1:
        codes, first = np.unique(targets, return_index=True)
        chosen = np.unique(np.linspace(0, len(codes) - 1, _SAMPLES).round().astype(int))
        return np.asarray(first[chosen])
    order = np.argsort(targets.mean(axis=1), kind="stable")
    chosen = np.unique(np.linspace(0, len(order) - 1, _SAMPLES).round().astype(int))
    return np.asarray(order[chosen])


def _places(model: Any, prefix: str = "", depth: int = 0) -> Iterator[_Place]:
    """Yield the layers of a model and of the models in it, the latter after their own line."""
    parts = getattr(model, "operations", None) or model.layers
    sources = _connections(model, parts, prefix)
    for part in parts:
        if isinstance(part, keras.layers.InputLayer):
            continue
        name = prefix + part.name
        yield _Place(part, name, depth, sources.get(part.name, ()))
        if isinstance(part, keras.Model):
            yield from _places(part, f"{name}/", depth + 1)


def _connections(model: Any, parts: Any, prefix: str) -> dict[str, tuple[str, ...]]:
    """Return whose output each layer takes; nothing for a model that Keras can't describe."""
    if isinstance(model, keras.Sequential):
        names = [part.name for part in model.layers]
        before = ["", *(prefix + name for name in names)]
        return {name: (source,) for name, source in zip(names, before, strict=False)}
    if not hasattr(model, "operations"):
        return {}
    try:
        layers = model.get_config()["layers"]
    except NotImplementedError:
        # A layer has no configuration, nor then the model around it.
        return {}
    inputs = {part.name for part in parts if isinstance(part, keras.layers.InputLayer)}
    return {
        described["name"]: tuple(
            dict.fromkeys(
                "" if source in inputs else prefix + source
                for source in _histories(described["inbound_nodes"])
            )
        )
        for described in layers
    }


def _histories(value: Any) -> Iterator[str]:
    """Yield the names of the layers that serialised Keras tensors come from."""
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            yield value["config"]["keras_history"][0]
        else:
            yield from (name for item in value.values() for name in _histories(item))
    elif isinstance(value, list | tuple):
        yield from (name for item in value for name in _histories(item))


@contextlib.contextmanager
def _listening(places: list[_Place]) -> Iterator[_Answers]:
    """Note what each layer answers while the model is called.

    Keras has no hooks, and a graph of symbolic outputs exists neither for subclassed models nor
    across the border of a model in a model.
    """
    answers = _Answers()

    def note(name: str, call: Any) -> Any:
        @functools.wraps(call)
        def listened(*args: Any, **kwargs: Any) -> Any:
            result = call(*args, **kwargs)
            # A layer that is used twice is shown as it answered first.
            if hasattr(result, "shape") and name not in answers.shapes:
                answers.shapes[name] = tuple(map(int, result.shape[1:]))
                if len(result.shape) == 4:
                    maps = keras.ops.convert_to_numpy(result[..., :_MOST_FILTERS])
                    answers.images[name] = np.asarray(maps, np.float32)
            return result

        return listened

    listened = [(place.layer, note(place.name, place.layer.call)) for place in places]
    try:
        for layer, call in listened:
            layer.call = call
        yield answers
    finally:
        for layer, _ in listened:
            del layer.call


def _described(place: _Place, answers: _Answers) -> Layer:
    layer = place.layer
    weights = getattr(layer, "weights", [])
    trainable = getattr(layer, "trainable_weights", [])
    return Layer(
        place.name,
        type(layer).__name__,
        _detail(layer),
        answers.shapes.get(place.name),
        sum(math.prod(w.shape) for w in weights),
        sum(math.prod(w.shape) for w in trainable),
        place.depth,
        place.sources,
    )


def _detail(layer: Any) -> str:
    """Return in a few words what was chosen for a layer."""
    parts = []
    for attribute in ("kernel_size", "pool_size"):
        if hasattr(layer, attribute):
            parts.append("×".join(map(str, getattr(layer, attribute))))
    for attribute, noun in (("filters", "filters"), ("units", "units")):
        if isinstance(getattr(layer, attribute, None), int):
            parts.append(f"{getattr(layer, attribute)} {noun}")
    if isinstance(layer, keras.layers.Dropout):
        parts.append(f"rate {layer.rate:g}")
    activation = _activation(layer)
    return ", ".join([*parts, activation] if activation else parts)


def _activation(layer: Any) -> str:
    """Return the name of a layer's activation function; nothing for the identity."""
    function = getattr(layer, "activation", None)
    name = getattr(function, "__name__", "")
    return "" if name == "linear" else name


def _filters(
    places: list[_Place], answers: _Answers, sample_shape: tuple[int, ...]
) -> tuple[Array, str, str]:
    """Return the first filters, the layer they are of, and its name if they were slid over images.

    The weights of a first dense layer are filters too, each as large as the image.
    """
    nothing = np.empty((0, 0, 0, 0), np.float32)
    if len(sample_shape) != 3:
        return nothing, f"Samples of shape {sample_shape} are no images.", ""
    for place in places:
        layer = place.layer
        if isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D):
            kernel = keras.ops.convert_to_numpy(layer.kernel)
            if isinstance(layer, keras.layers.DepthwiseConv2D):
                kernel = kernel.reshape(*kernel.shape[:2], 1, -1)
            name = place.name if place.name in answers.images else ""
            return _first(kernel), _title(layer), name
        if isinstance(layer, keras.layers.Dense):
            kernel = keras.ops.convert_to_numpy(layer.kernel)
            if len(kernel) != math.prod(sample_shape):
                break
            return _first(kernel.reshape(*sample_shape, -1)), _title(layer), ""
    return nothing, "The model has no layer of filters that look at the image itself.", ""


def _first(kernel: Array) -> Array:
    return np.asarray(kernel[..., :_MOST_FILTERS], np.float32)


def _title(layer: Any) -> str:
    sizes = [getattr(layer, name, None) for name in ("kernel_size", "pool_size")]
    size = next(("×".join(map(str, s)) for s in sizes if s), "")
    return " ".join(filter(None, [type(layer).__name__, size]))


def _stages(places: list[_Place], answers: _Answers) -> list[LayerMaps]:
    """Return what the images become at each convolution, activations included, and pooling."""
    by_name = {place.name: place.layer for place in places}
    found: list[tuple[str, str]] = []
    for name in answers.images:
        layer = by_name[name]
        if isinstance(layer, keras.Model) or min(answers.shapes[name][:2]) < 2:
            continue
        if isinstance(layer, (*_CONVOLUTIONS, *_POOLING)):
            activation = _activation(layer)
            found.append((" + ".join(filter(None, [_title(layer), activation])), name))
        elif found and answers.shapes[name] == answers.shapes[found[-1][1]]:
            # Normalisation and activation belong to the convolution before them.
            title = found[-1][0]
            added = _activation(layer) or (
                type(layer).__name__.lower() if isinstance(layer, keras.layers.ReLU) else ""
            )
            found[-1] = (f"{title} + {added}" if added else title, name)
    return [
        LayerMaps(title, answers.shapes[name], _thinned(answers.images[name], _MOST_CHANNELS))
        for title, name in evenly(found, _MOST_STAGES)
    ]


def evenly(items: list[Any], most: int) -> list[Any]:
    """Return at most so many items, the first and the last among them."""
    if len(items) <= most:
        return items
    return [items[i] for i in np.linspace(0, len(items) - 1, most).round().astype(int)]


def _thinned(maps: Array, channels: int) -> Array:
    step = max(1, math.ceil(max(maps.shape[1:3]) / _MOST_PIXELS))
    return maps[:, ::step, ::step, :channels]
