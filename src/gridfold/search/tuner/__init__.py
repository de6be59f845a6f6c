"""Keras Tuner or Optuna chooses the configurations of such a search."""
