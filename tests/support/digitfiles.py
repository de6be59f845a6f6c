"""Real digits as image files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from sklearn import datasets

DIGITS = datasets.load_digits()


PIXELS = (DIGITS.images * 15).astype(np.uint8)


def write_digits(folder: Path, count: int = 60) -> Path:
    """Write real digits as PNG files, a folder for each class."""
    for row in range(count):
        file = folder / str(DIGITS.target[row]) / f"{row:04}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(PIXELS[row]).save(file)
    return folder
