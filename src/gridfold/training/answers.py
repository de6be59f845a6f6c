"""What a model answers with: numbers, probabilities, or logits that only its loss understands.

A loss with ``from_logits=True`` turns the outputs into probabilities by itself. Whoever else reads
them must do so, too: scores, the metric that is followed, predictions, the saved model. What a loss
takes is asked of the loss where it doesn't say: a function, a method of the model.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from gridfold.arrays import Array
from gridfold.errors import TrialFailure
from gridfold.problems import USUAL_THRESHOLD

# Samples that are looked at before the training.
_LOOKED_AT = 32
_CLASSES = ("binary", "multiclass")
# By how much probabilities may miss bounds and sum; in 16 bit, 8 units in the last place.
_EXACTNESS = {"float32": 1e-3, "float16": 0.008, "bfloat16": 0.06}
_OPERATIONS = {"sigmoid": "Sigmoid", "softmax": "Softmax"}


@dataclass(frozen=True)
class Answers:
    """How predictions are made of a model's outputs.

    Attributes
    ----------
    link : {"linear", "sigmoid", "softmax"}
        What makes predictions of outputs; linear where they are predictions.
    of_second_class : bool
        Whether the model has an output for each of two classes; the prediction is that of the
        second, as of a model with one output.
    units : int
        Outputs of the model.
    one_hot : bool
        Whether its loss compares them with one number for each class, not with the class.
    tolerance : float
        By how much probabilities may miss their bounds and their sum.
    """

    link: str = "linear"
    of_second_class: bool = False
    units: int = 1
    one_hot: bool = False
    tolerance: float = _EXACTNESS["float32"]

    def predictions(self, outputs: Any) -> Array:
        """Return what a model's outputs for some samples say; (samples, outputs)."""
        rows = keras.ops.convert_to_numpy(self._linked(outputs))
        rows = rows.reshape(len(rows), -1)
        return np.asarray(rows[:, 1:] if self.of_second_class else rows)

    def _linked(self, outputs: Any) -> Any:
        """Return the probabilities that logits stand for, and other outputs as they are."""
        if self.link == "linear":
            return outputs
        return _activation(self.link)(keras.ops.cast(outputs, "float32"))

    def layers(self, tensor: Any) -> Any:
        """Add to a model's symbolic outputs what makes predictions of them."""
        if self.link != "linear":
            layer = keras.layers.Activation(self.link, dtype="float32", name="probabilities")
            tensor = layer(tensor)
        return keras.ops.take(tensor, [1], axis=1) if self.of_second_class else tensor

    def metric(self, name: str, threshold: float = USUAL_THRESHOLD) -> Any:
        """Return the metric to compile with, of predictions where outputs are none.

        Parameters
        ----------
        name : str
        threshold : float
            From which probability on a sample of a binary problem is predicted as positive.
        """
        if name == "accuracy" and threshold != USUAL_THRESHOLD:
            return keras.metrics.MeanMetricWrapper(self._hits(threshold), name=name)
        if self.link == "linear" or (name == "accuracy" and self.link == "softmax"):
            return name
        if name == "accuracy":
            return keras.metrics.BinaryAccuracy(name=name, threshold=0.0)
        function, activation = keras.losses.get(name), _activation(self.link)

        def of_predictions(targets: Any, outputs: Any) -> Any:
            return function(targets, activation(outputs))

        return keras.metrics.MeanMetricWrapper(of_predictions, name=name)

    def _hits(self, threshold: float) -> Any:
        """Return what tells of targets and outputs of a binary problem where both agree.

        Keras' own metric leaves out what is equal to the threshold, and knows none for a model with
        an output for each class.
        """

        def hits(targets: Any, outputs: Any) -> Any:
            chances = keras.ops.cast(self._linked(outputs), "float32")
            # Of two columns, the second is that of the positive class.
            predicted, truth = _last_column(chances) >= threshold, _last_column(targets) > 0
            return keras.ops.cast(predicted == truth, "float32")

        return hits

    def check(self, problem: str, predictions: Array) -> None:
        """Refuse what a classifier may not say.

        Parameters
        ----------
        problem : str
            Type of the problem.
        predictions : array of shape (samples, outputs)

        Raises
        ------
        TrialFailure
            When they are no probabilities.
        """
        if problem not in _CLASSES or not predictions.size:
            return
        values = predictions.astype(np.float64)
        low, high = values.min(), values.max()
        if low < -self.tolerance or high > 1 + self.tolerance:
            found = f"outputs from {low:.4g} to {high:.4g}"
        elif values.shape[1] > 1:
            sums = values.sum(axis=1)
            worst = sums[np.argmax(np.abs(sums - 1))]
            if abs(worst - 1) <= self.tolerance:
                return
            found = f"outputs of a sample that add up to {worst:.4g}"
        else:
            return
        end = "sigmoid" if problem == "binary" and self.units == 1 else "softmax"
        raise TrialFailure(
            "error",
            f"the model's outputs are no probabilities: {found}; end it with the activation "
            f"`{end}`, or compile it with a loss that has from_logits=True",
        )


def _last_column(tensor: Any) -> Any:
    return tensor[:, -1] if len(tensor.shape) > 1 else tensor


def _activation(link: str) -> Any:
    return {"sigmoid": keras.activations.sigmoid, "softmax": keras.activations.softmax}[link]


def single(outputs: Any) -> Any:
    """Return the one tensor of a model's outputs, which may stand in a list or a mapping.

    Raises
    ------
    TrialFailure
        When there are several.
    """
    tensors = keras.tree.flatten(outputs)
    if len(tensors) != 1:
        raise TrialFailure(
            "error", f"the model has {len(tensors)} outputs at once; one tensor is needed"
        )
    return tensors[0]


def answers_of(
    model: keras.Model, problem: str, outputs: int, samples: Array, *, keeps_loss: bool
) -> Answers:
    """Find out what a model answers with, and refuse what its problem can't use.

    Parameters
    ----------
    model : keras.Model
        Built.
    problem : str
        Type of the problem.
    outputs : int
        That the problem has.
    samples : array of float32
        As the model takes them, a few.
    keeps_loss : bool
        Whether the model is compiled, with the loss that it is or was trained with.
    """
    samples = samples[:_LOOKED_AT]
    raw = single(model(samples, training=False))
    units = int(raw.shape[-1]) if len(raw.shape) > 1 else 1
    pair = problem == "binary" and units == 2
    if len(raw.shape) > 2 or (units != outputs and not pair):
        needed = f"{outputs} outputs are needed" + " (or 2)" * (problem == "binary")
        raise TrialFailure(
            "error",
            f"the model gives {tuple(raw.shape[1:])} for a sample of shape {samples.shape[1:]}; "
            f"{needed}",
        )
    link, one_hot = "linear", False
    if keeps_loss:
        loss = _Loss(model, problem, samples, units)
        one_hot = loss.one_hot
        link = loss.link()
    exactness = _EXACTNESS.get(keras.backend.standardize_dtype(raw.dtype), _EXACTNESS["float32"])
    found = Answers(link, pair, units, one_hot, exactness)
    predictions = found.predictions(raw)
    if np.isfinite(predictions).all():
        found.check(problem, predictions)
    return found


class _Loss:
    """The loss of a compiled model, as one can ask it."""

    def __init__(self, model: keras.Model, problem: str, samples: Array, units: int) -> None:
        self._model, self._samples, self._units = model, samples[:2], units
        self._is_classifier = problem in _CLASSES
        self.one_hot = False
        if self._is_classifier and units > 1 and not self._takes_classes():
            each = np.eye(1, units, dtype=np.float32).repeat(2, axis=0)
            self.one_hot = math.isfinite(self._of(each, [np.linspace(0.1, 0.7, units)] * 2))

    def link(self) -> str:
        """Return what makes probabilities of the outputs that the loss takes."""
        if not self._takes_logits():
            return "linear"
        link = "softmax" if self._units > 1 and self._ignores_shifts() else "sigmoid"
        return "linear" if self._undoes(link) else link

    def _takes_logits(self) -> bool:
        own = type(self._model).compute_loss is keras.Model.compute_loss
        declared = list(_declared(self._model.loss)) if own else []
        if None not in declared and declared:
            return any(declared)
        if not self._is_classifier:
            return False
        if self._units > 1:
            return self._ignores_shifts()
        # A loss of probabilities ends at 0 and 1, or is undefined beyond.
        for target, outputs in ((1.0, (1.25, 1.5, 2.0)), (0.0, (-0.25, -0.5, -1.0))):
            losses = [self._of([[target]] * 2, [[output]] * 2) for output in outputs]
            if not losses[0] > losses[1] > losses[2]:
                return False
        return True

    def _takes_classes(self) -> bool:
        """Tell whether a class is an index to the loss: then outputs that change places count."""
        outputs = np.linspace(0.1, 0.7, self._units)
        swapped = outputs.copy()
        swapped[:2] = outputs[1::-1]
        codes = np.zeros(2, np.int32)
        first, second = (self._of(codes, [row] * 2) for row in (outputs, swapped))
        return math.isfinite(first) and not math.isclose(first, second, rel_tol=1e-5)

    def _ignores_shifts(self) -> bool:
        outputs = np.linspace(0.1, 0.7, self._units)
        target = self._target()
        here, shifted, scaled = (
            self._of(target, [row] * 2) for row in (outputs, outputs + 3, outputs * 2)
        )
        return math.isclose(here, shifted, rel_tol=1e-3) and not math.isclose(
            here, scaled, rel_tol=1e-3
        )

    def _target(self) -> Any:
        if self._is_classifier and not self.one_hot:
            return np.zeros(2, np.int32)
        return np.eye(1, self._units, dtype=np.float32).repeat(2, axis=0)

    def _of(self, targets: Any, outputs: Any) -> float:
        """Return the loss; NaN where it can't be computed, which the training will explain."""
        if not isinstance(targets, np.ndarray):
            targets = np.asarray(targets, np.float32)
        try:
            found = self._model.compute_loss(
                self._samples,
                keras.ops.convert_to_tensor(targets),
                self._packed(np.asarray(outputs, np.float32)),
                None,
                training=False,
            )
            self._model.reset_metrics()
            return float(found)
        except Exception:
            return math.nan

    def _packed(self, outputs: Any) -> Any:
        """Return outputs in the structure in which the model gives them."""
        structure = self._model(self._samples, training=False)
        return keras.tree.pack_sequence_as(structure, [keras.ops.convert_to_tensor(outputs)])

    def _undoes(self, link: str) -> bool:
        """Tell whether the outputs are probabilities already, and the loss goes back behind them.

        Keras does where it sees the activation. Only a graph shows all that it looks at.

        Raises
        ------
        TrialFailure
            When the loss takes such probabilities for logits.
        """
        target = self._target() if self._units > 1 else np.ones((2, 1), np.float32)
        target = keras.ops.convert_to_tensor(target)
        seen: list[bool] = []

        @tf.function(autograph=False)  # type: ignore[untyped-decorator]
        def losses(samples: Any) -> tuple[Any, Any]:
            outputs = self._model(samples, training=False)
            [tensor] = keras.tree.flatten(outputs)
            operation = getattr(getattr(tensor, "op", None), "type", "")
            seen.append(hasattr(tensor, "_keras_logits") or operation == _OPERATIONS[link])
            plain = keras.tree.pack_sequence_as(outputs, [tf.identity(tensor)])
            one, other = (
                self._model.compute_loss(samples, target, given, None, training=False)
                for given in (outputs, plain)
            )
            return one, other

        one, other = map(float, losses(keras.ops.convert_to_tensor(self._samples)))
        self._model.reset_metrics()
        if not any(seen):
            return False
        if math.isclose(one, other, rel_tol=1e-6):
            raise TrialFailure(
                "error",
                f"the model ends with the activation `{link}`, and its loss takes logits "
                "(from_logits=True); leave out one of the two",
            )
        return True


def _declared(loss: Any) -> Iterator[bool | None]:
    """Yield for each loss in `loss` whether it says that it takes logits; None if it doesn't."""
    if loss is None:
        return
    if isinstance(loss, Mapping) and "class_name" not in loss:
        yield from (found for one in loss.values() for found in _declared(one))
    elif isinstance(loss, list | tuple):
        yield from (found for one in loss for found in _declared(one))
    elif isinstance(loss, str) and loss in ("crossentropy", "ce"):
        yield False
    else:
        yield _says(keras.losses.get(loss))


def _says(loss: Any) -> bool | None:
    own = getattr(loss, "from_logits", None)
    if isinstance(own, bool):
        return own
    given = getattr(loss, "_fn_kwargs", {}).get("from_logits")
    if isinstance(given, bool):
        return given
    function = getattr(loss, "fn", loss)
    if isinstance(loss, keras.losses.Loss) and function is loss:
        return None
    if isinstance(function, functools.partial):
        # Its signature shows what was filled in by name; by place it is no longer there.
        names = list(inspect.signature(function.func).parameters)[: len(function.args)]
        filled = dict(zip(names, function.args, strict=False))
        if isinstance(filled.get("from_logits"), bool):
            return bool(filled["from_logits"])
    try:
        parameter = inspect.signature(function).parameters.get("from_logits")
    except (TypeError, ValueError):
        return None
    if parameter is not None and isinstance(parameter.default, bool):
        return parameter.default
    # Keras' own losses without it know no logits.
    module = getattr(function, "__module__", "") or ""
    return False if module.startswith("keras.") else None


def saved_link(model: keras.Model, loss: Any, problem: str, outputs: int) -> str:
    """Return what makes predictions of the outputs of a model that was saved with a loss.

    Parameters
    ----------
    model : keras.Model
        Is compiled here, for the questions.
    loss
        As its file has it.
    problem : str
        Type of the problem.
    outputs : int
        That it has.
    """
    try:
        found = keras.saving.deserialize_keras_object(loss)
        model.compile(loss=found)
    except (TypeError, ValueError, ImportError):
        # A loss of the user's own that isn't there; the outputs will tell.
        return "linear"
    samples = np.linspace(0, 1, 2 * math.prod(model.input_shape[1:]), dtype=np.float32)
    return _Loss(model, problem, samples.reshape(2, *model.input_shape[1:]), outputs).link()
