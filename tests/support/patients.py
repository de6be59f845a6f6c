"""A table as a clinic may have it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn import datasets

NUMBERS = ["mean radius", "mean texture", "mean area"]


WORDS = ["ward", "grade"]


def patients() -> pd.DataFrame:
    """Return real tumours with missing values put in and columns of categories made of others."""
    table = datasets.load_breast_cancer(as_frame=True).frame
    random = np.random.default_rng(0)
    result = table[NUMBERS].copy()
    result["ward"] = np.array(["north", "east", "south", "west"])[
        pd.qcut(table["mean smoothness"], 4, labels=False)
    ]
    result["grade"] = pd.cut(table["mean concavity"], 3, labels=[1, 2, 3]).astype(int)
    result["patient"] = [f"p{i:03}" for i in range(len(table))]
    result["clinic"] = np.arange(len(table)) // 10
    result["importance"] = random.uniform(0.5, 2, len(table))
    result["outcome"] = np.where(table["target"] == 1, "benign", "malignant")
    for column in (*NUMBERS, "ward"):
        result.loc[random.random(len(table)) < 0.1, column] = np.nan
    return result


ROLES: dict[str, Any] = {
    "targets": ["outcome"],
    "id": "patient",
    "groups": "clinic",
    "weight": "importance",
    "categories": WORDS,
    "missing": {"numbers": "median", "indicator": True},
}
