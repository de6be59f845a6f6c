"""How well each class is told from the others: the table of classes, and intervals of its areas."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from scipy import stats
from sklearn import metrics

from gridfold.arrays import Array
from gridfold.tables.predictions import PredictedSamples
from gridfold.tables.trials import Column

CLASS_COLUMNS = (
    Column("part", "string", "", "Samples: out of fold, or held-out test set"),
    Column("class", "string", "", "Name of the class"),
    Column("samples", "int", "samples", "Of this class"),
    Column("others", "int", "samples", "Of all other classes"),
    Column("roc_auc", "float", "", "Area under the ROC curve, this class against the others"),
    Column("roc_auc_low", "float", "", "Confidence interval (DeLong); empty where the area is 1"),
    Column("roc_auc_high", "float", "", "Its other end"),
    Column("average_precision", "float", "", "Precision averaged over recall; chance is the share"),
    Column("precision", "float", "", "Share of this class among samples predicted so"),
    Column("recall", "float", "", "Share predicted so among samples of this class"),
    Column("f1", "float", "", "Harmonic mean of precision and recall"),
)


def class_table(parts: list[PredictedSamples], names: list[str], confidence: float) -> pd.DataFrame:
    """Return the scores of each class, one against the rest.

    Parameters
    ----------
    parts : list of PredictedSamples
    names : list of str
        Of the classes.
    confidence : float
        Level of the intervals.

    Returns
    -------
    DataFrame
        :data:`CLASS_COLUMNS`; of a binary problem both classes. Cells are empty where a part has
        no sample of a class, or none of any other.
    """
    rows = []
    for part in parts:
        precision, recall, f1, _ = metrics.precision_recall_fscore_support(
            part.truth, part.predicted, labels=np.arange(len(names)), zero_division=np.nan
        )
        for code, name in enumerate(names):
            own = part.truth == code
            area, low, high, average = [math.nan] * 4
            if 0 < own.sum() < len(own):
                score = part.chances[:, code].astype(np.float64)
                area, low, high = rank_area(own, score, confidence)
                average = float(metrics.average_precision_score(own, score))
            cells = (part.name, name, int(own.sum()), int((~own).sum()), area, low, high, average)
            rows.append((*cells, precision[code], recall[code], f1[code]))
    return pd.DataFrame(rows, columns=[column.name for column in CLASS_COLUMNS])


def rank_area(own: Array, score: Array, confidence: float) -> tuple[float, float, float]:
    """Return the area under the ROC curve and its confidence interval.

    DeLong, DeLong & Clarke-Pearson (1988), by ranks as in Sun & Xu (2014), on the logit scale so
    that the interval stays in [0, 1] (Pepe, 2003, section 5.2).

    Parameters
    ----------
    own : array of bool
        Which samples are of the class; some and not all.
    score : array of float64
        The larger, the more of this class.
    confidence : float

    Returns
    -------
    area, low, high : float
        Without an interval (NaN) where the classes are wholly apart: no errors, no variance.
    """
    positive, negative = score[own], score[~own]
    m, n = len(positive), len(negative)
    together = stats.rankdata(np.concatenate([positive, negative]))
    # For each sample, the share of the other kind that it is ranked rightly against.
    above = (together[:m] - stats.rankdata(positive)) / n
    below = 1 - (together[m:] - stats.rankdata(negative)) / m
    area = float(above.mean())
    if min(m, n) < 2 or not 0 < area < 1:
        return area, math.nan, math.nan
    spread = math.sqrt(above.var(ddof=1) / m + below.var(ddof=1) / n) / (area * (1 - area))
    reach = float(stats.norm.ppf((1 + confidence) / 2)) * spread
    logit = math.log(area / (1 - area))
    low, high = (1 / (1 + math.exp(-(logit + side * reach))) for side in (-1, 1))
    return area, low, high
