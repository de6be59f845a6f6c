"""Models in 64 bit, where rounding can't hide a sample that is lost or counted twice."""

import keras


def exact(hp, input_shape, outputs):
    _compute_in_64_bit()
    inputs = keras.Input(input_shape)
    x = keras.layers.Flatten()(inputs)
    penalty = keras.regularizers.L2(0.01)
    x = keras.layers.Dense(12, activation="tanh", kernel_regularizer=penalty)(x)
    return keras.Model(inputs, keras.layers.Dense(outputs, activation="softmax")(x))


def embedding(hp, input_shape, outputs):
    """Return a model of which some gradients come as slices."""
    _compute_in_64_bit()
    inputs = keras.Input(input_shape)
    words = keras.ops.cast(keras.ops.abs(inputs), "int32")
    x = keras.layers.Embedding(20, 3)(keras.layers.Flatten()(words))
    x = keras.layers.Flatten()(x)
    return keras.Model(inputs, keras.layers.Dense(outputs, activation="softmax")(x))


def _compute_in_64_bit():
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
