"""The model of the study: a function of hyperparameters, as Keras Tuner calls it."""

import keras


def build_model(hp, input_shape, outputs):
    """Return a Keras model for samples of `input_shape`, with `outputs` units at its end.

    It is compiled with the `training` section of the study; one that is compiled here keeps its
    own optimiser and loss. What `hp` is asked for may be an axis of the search space.
    """
    inputs = keras.Input(input_shape)
    tensor = keras.layers.Flatten()(inputs)
    for _ in range(hp.Int("layers", 1, 4, default=1)):
        tensor = keras.layers.Dense(hp.Int("units", 4, 512, default=32), activation="relu")(tensor)
        tensor = keras.layers.Dropout(hp.Float("dropout", 0.0, 0.9, default=0.0))(tensor)
    return keras.Model(inputs, keras.layers.Dense(outputs, activation="softmax")(tensor))
