"""How numbers, measures and labels are written in figures and in the report."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gridfold.problems import PROBLEM_KINDS, USUAL_THRESHOLD, Measure, threshold_in

MISSING = "–"

_MEASURE_NAMES = {
    "mse": "MSE",
    "rmse": "RMSE",
    "mae": "MAE",
    "r2": "R²",
    "mape": "MAPE",
    "roc_auc": "ROC AUC",
    "roc_auc_ovr": "ROC AUC (one against rest)",
    "f1": "F1",
    "f1_macro": "macro F1",
    "average_precision_ovr": "average precision (one against rest)",
    "matthews_correlation": "Matthews correlation",
    "cohen_kappa": "Cohen’s kappa",
    "brier_score": "Brier score",
    "top_3_accuracy": "top-3 accuracy",
    "top_5_accuracy": "top-5 accuracy",
}
_MOST_DECIMALS = 6


def measure_name(measure: str) -> str:
    """Return the name of a measure as people write it."""
    return _MEASURE_NAMES.get(measure, measure.replace("_", " "))


# Of two classes, measures that are about one of them; of several, means over the classes.
_OF_ONE_CLASS = ("roc_auc", "f1", "average_precision", "sensitivity")
_OVER_CLASSES = ("roc_auc_ovr", "f1_macro", "average_precision_ovr", "balanced_accuracy")


def of_classes(measure: str, names: Sequence[str] | None) -> str:
    """Return of which classes a measure is, in words; empty for measures that are of no class.

    Parameters
    ----------
    measure : str
    names : sequence of str or None
        Of the classes; of two, the positive one last. None for numbers.
    """
    if not names:
        return ""
    if measure in _OVER_CLASSES:
        return f"mean over the {len(names)} classes, each counting the same (macro)"
    if len(names) > 2:
        return ""
    if measure in _OF_ONE_CLASS:
        return f"positive class {shorten(names[-1], 40)}"
    return f"negative class {shorten(names[0], 40)}" if measure == "specificity" else ""


def direction(measure: str) -> str:
    """Return in words which end of a measure is the good one."""
    return "lower is better" if Measure.of(measure).lower_is_better else "higher is better"


def training_metric(study: Mapping[str, Any]) -> str:
    """Return the name of what is followed beside the loss while a resolved study trains."""
    name = measure_name(PROBLEM_KINDS[study["problem"]["type"]].metric)
    threshold = threshold_in(study["problem"])
    if threshold != USUAL_THRESHOLD:
        return f"{name} (threshold {threshold})"
    return name if study["data"]["scale_targets"] == "none" else f"{name} (scaled targets)"


def threshold_sentence(threshold: float, names: Sequence[str]) -> str:
    """Return from when on a sample is predicted as positive; empty at the usual threshold.

    Parameters
    ----------
    threshold : float
        ``problem.threshold``.
    names : sequence of str
        Of the classes, the positive one last.
    """
    if threshold == USUAL_THRESHOLD:
        return ""
    return (
        f"A sample is predicted as {shorten(names[-1], 40)} from a probability of {threshold} on."
    )


def half_width(mean: float, low: float | None, high: float | None) -> float:
    """Return what follows the ± of a confidence interval; NaN without one.

    The larger half: the other one may end early, at the limit of the measure's range.
    """
    if low is None or high is None:
        return math.nan
    return max(high - mean, mean - low)


def half_width_of(row: Mapping[Any, Any], measure: str) -> float:
    """Return what follows the ± of a row's mean; NaN where it has no interval.

    Parameters
    ----------
    row : mapping
        Of the table of configurations: with ``<measure>_mean``, ``_low`` and ``_high``.
    measure : str
    """
    return half_width(row[f"{measure}_mean"], row[f"{measure}_low"], row[f"{measure}_high"])


def decimals_of(rows: Sequence[Mapping[Any, Any]], measure: str) -> int:
    """Return how many decimals of the means in these rows are worth showing.

    Parameters
    ----------
    rows : sequence of mapping
        As :func:`half_width_of` takes them.
    measure : str
    """
    return decimals(
        [half_width_of(row, measure) for row in rows], [row[f"{measure}_mean"] for row in rows]
    )


def decimals(uncertainties: Iterable[float | None], values: Iterable[float | None]) -> int:
    """Return how many decimals are worth showing; negative to round to tens and more.

    Two significant digits of the typical uncertainty, as metrology does it; without any
    uncertainty, four significant digits of the largest value.
    """
    known = sorted(u for u in uncertainties if u is not None and math.isfinite(u) and u > 0)
    if known:
        return 1 - math.floor(math.log10(known[len(known) // 2]))
    largest = max((abs(v) for v in values if v is not None and math.isfinite(v)), default=0.0)
    return 3 - math.floor(math.log10(largest)) if largest else 3


def number(value: float | None, places: int, *, signed: bool = False) -> str:
    """Return a number with `places` decimals, of :func:`decimals`; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return MISSING
    if places > _MOST_DECIMALS:
        text = f"{value:.3g}"
    elif places < 0:
        text = f"{round(value, places):,.0f}"
    else:
        text = f"{value:,.{places}f}"
    if not text.strip("-0.,"):
        # Nothing is left of it, so nothing of its sign.
        return text.lstrip("-")
    # A proper minus sign is as wide as the plus sign, so that columns stay aligned.
    return ("+" if signed and value > 0 else "") + text.replace("-", "−")


def p_value(value: float | None) -> str:
    """Return a p-value with the digits that mean something."""
    if value is None or not math.isfinite(value):
        return MISSING
    if value < 0.001:
        return "< 0.001"
    return f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def percent(fraction: float) -> str:
    """Return a fraction such as a confidence level in percent."""
    return f"{100 * fraction:.4g}%"


def format_seconds(seconds: float) -> str:
    """Return a duration as people say it: ``45 s``, ``12 min``, ``3.5 h``, ``2.1 days``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    if seconds < 2 * 86400:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.1f} days"


def duration(seconds: float | None) -> str:
    """Return a duration, with decimals below ten seconds."""
    if seconds is None or not math.isfinite(seconds):
        return MISSING
    return f"{seconds:.2g} s" if seconds < 10 else format_seconds(seconds)


def amount(value: float | None) -> str:
    """Return a quantity such as core-hours with two digits that matter."""
    if value is None or not math.isfinite(value):
        return MISSING
    if 0 < value < 0.01:
        return "< 0.01"
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def memory(megabytes: float | None) -> str:
    """Return an amount of memory: ``640 MB``, ``1.9 GB``."""
    if megabytes is None or not math.isfinite(megabytes):
        return MISSING
    return f"{megabytes:.0f} MB" if megabytes < 1000 else f"{megabytes / 1000:.1f} GB"


def counted(number_of: int, noun: str, plural: str = "") -> str:
    """Return ``1 split`` or ``5 splits``; `plural` where it isn't the noun with an s."""
    return f"{number_of:,} {noun if number_of == 1 else plural or f'{noun}s'}"


def listed(items: Iterable[str]) -> str:
    """Return ``a, b and c``."""
    *rest, last = items
    return f"{', '.join(rest)} and {last}" if rest else last


def first_of(items: Iterable[str], most: int) -> str:
    """Return the first `most` items and how many others there are: ``a, b and 1,234 more``."""
    texts = list(items)
    more = f" and {len(texts) - most:,} more" * (len(texts) > most)
    return f"{', '.join(texts[:most])}{more}"


def shorten(text: str, limit: int) -> str:
    """Return `text` in one printable line of at most `limit` characters, cut in the middle.

    The ends of a label are what tells configurations apart.
    """
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if len(line) <= limit:
        return line
    head = (limit - 1) // 2
    return f"{line[:head]}…{line[len(line) - (limit - 1 - head) :]}"


def markdown_text(text: str) -> str:
    """Return `text` for Markdown: no markup, no HTML, no cell, on one line."""
    escaped = re.sub(r"[\\`*\[\]<>{}|&~$]|(?<!\w)_|_(?!\w)", r"\\\g<0>", text)
    return "".join(character if character.isprintable() else " " for character in escaped)
