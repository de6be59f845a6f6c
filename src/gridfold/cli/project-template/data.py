"""The data of the study: one function that returns arrays, samples first."""

from sklearn.datasets import load_wine


def load_data():
    """Return features and targets; replace this with your own data.

    A mapping with `features` and `targets`, and optionally `groups` (samples of one group are never
    separated), `test_features` and `test_targets`. Classes may be numbers or text.
    """
    wine = load_wine()
    return {"features": wine.data, "targets": wine.target_names[wine.target]}
