"""Data for `scaling.yaml`: 80,000 samples of 200 numbers in 10 classes, the same in every run."""

import numpy as np

SAMPLES, FEATURES, CLASSES = 80_000, 200, 10


def load():
    """Return made-up data; only their size matters to a study of speed."""
    random = np.random.default_rng(0)
    features = random.standard_normal((SAMPLES, FEATURES), dtype=np.float32)
    teacher = random.standard_normal((FEATURES, CLASSES), dtype=np.float32)
    noise = random.standard_normal((SAMPLES, CLASSES), dtype=np.float32)
    targets = np.argmax(features @ teacher + 4 * noise, axis=1)
    return {"features": features, "targets": targets}
