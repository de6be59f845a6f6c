"""Tables for LaTeX: booktabs, nothing else needed, everything escaped."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from gridfold.problems import Measure
from gridfold.statistics.result import Comparison
from gridfold.store.model_card import ModelCard
from gridfold.store.selection import Selection
from gridfold.wording import (
    counted,
    decimals,
    direction,
    half_width,
    measure_name,
    number,
    percent,
    threshold_sentence,
)

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"{\char34}",
    "±": r"$\pm$",
    "−": r"$-$",
    "×": r"$\times$",
    "²": r"\textsuperscript{2}",
    "–": "--",
    "…": r"\dots{}",
    "’": "'",
    "“": "``",
    "”": "''",
}
_LEVELS = ((0.001, "***"), (0.01, "**"), (0.05, "*"))


def escape(text: str) -> str:
    """Return `text` so that LaTeX prints it, whatever stands in it.

    Letters of Latin-1 stay as they are; control characters become spaces; what pdfLaTeX has no
    letter for becomes its code point, as in ``[U+1F600]``.
    """
    return "".join(_escaped(character) for character in text)


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if not character.isprintable():
        return " "
    return character if ord(character) < 256 else f"[U+{ord(character):04X}]"


def stars(p: float) -> str:
    """Return the stars of a p-value: ``*`` up to 0.05, ``**`` up to 0.01, ``***`` up to 0.001."""
    if not math.isfinite(p):
        return ""
    return next((mark for level, mark in _LEVELS if p <= level), "")


def ranking_table(
    name: str,
    configurations: pd.DataFrame,
    comparison: Comparison,
    best: Selection,
    card: ModelCard,
    rows: int,
) -> str:
    """Return the best configurations as a LaTeX table.

    Parameters
    ----------
    name : str
        Of the study.
    configurations : DataFrame
    comparison : Comparison
    best : Selection
    card : ModelCard
    rows : int
        Most configurations.
    """
    shown = configurations.head(rows).merge(
        comparison.comparisons[["config_id", "p_any_pair", "effect_size"]],
        on="config_id",
        how="left",
    )
    measure = best.measure
    halves = [
        half_width(*(row[f"{measure}_{end}"] for end in ("mean", "low", "high")))
        for _, row in shown.iterrows()
    ]
    places = decimals(halves, shown[f"{measure}_mean"])
    tested = bool(shown["p_any_pair"].notna().any())
    heading = [r"\#", "Configuration", escape(_capital(measure_name(measure)))]
    heading += ["Difference", "$p$", "$d_z$"] if tested else []
    heading += ["Weights"]
    lines = [
        r"% Needs \usepackage{booktabs}. Written by gridfold export.",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_caption(shown, comparison, configurations, best, card, tested)}}}",
        rf"\label{{tab:{name}}}",
        rf"\begin{{tabular}}{{rl{'r' * (len(heading) - 2)}}}",
        r"\toprule",
        f"{' & '.join(heading)} \\\\",
        r"\midrule",
    ]
    for (_, row), half in zip(shown.iterrows(), halves, strict=True):
        cells = [str(row["rank"]), escape(str(row["label"])), _mean(row, measure, half, places)]
        if tested:
            cells += [
                _signed(row["difference"], places) + _superscript(row["p_any_pair"]),
                _p(row["p_any_pair"]),
                _plain(row["effect_size"], 2),
            ]
        lines.append(f"{' & '.join([*cells, escape(format(row['parameters'], ','))])} \\\\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _mean(row: Any, measure: str, half: float, places: int) -> str:
    mean = _plain(row[f"{measure}_mean"], places)
    return f"{mean} $\\pm$ {_plain(half, places)}" if math.isfinite(half) else mean


def _plain(value: float, places: int) -> str:
    return escape(number(value, places))


def _signed(value: float, places: int) -> str:
    text = number(value, places, signed=True)
    return f"${text.replace('−', '-')}$" if math.isfinite(value) else "--"


def _superscript(p: float) -> str:
    return f"$^{{{stars(p)}}}$" if stars(p) else ""


def _p(p: float) -> str:
    if not math.isfinite(p):
        return "--"
    return "$<$ 0.001" if p < 0.001 else f"{p:.3f}"


def _caption(
    shown: pd.DataFrame,
    comparison: Comparison,
    configurations: pd.DataFrame,
    best: Selection,
    card: ModelCard,
    tested: bool,
) -> str:
    measure, level = best.measure, percent(best.confidence)
    which = f"The best {len(shown)} of {len(configurations):,} configurations"
    if len(shown) == len(configurations):
        which = f"All {counted(len(shown), 'configuration')}"
    text = f"{which} by {measure_name(measure)} ({direction(measure)})"
    if best.n_splits < 2:
        text += ", on one split, so that there are neither intervals nor tests."
    else:
        low, high = Measure.of(measure).range
        cut = ", cut at the measure’s range" if math.isfinite(low) or math.isfinite(high) else ""
        text += (
            f": mean over n = {best.n_splits} splits ± the longer half of its {level} confidence"
            f" interval (Student’s t, corrected for shared training samples: Nadeau and Bengio, "
            f"2003{cut})."
        )
    if (shown["n_failed"] > 0).any():
        text += " Configurations with failed trials come last and are not tested."
    if tested:
        text += (
            " Difference, p and Cohen’s d_z refer to the first row; d_z, of the paired "
            "differences, is above 0 where the first row is better. p is two-sided, of the "
            "corrected resampled t-test with variances moderated by those of all pairs (Smyth, "
            "2004), Bonferroni-adjusted for all pairs of "
            f"{len(comparison.comparisons):,} configurations, since the first row was picked by "
            f"these scores. {_about_stars(shown)}"
        )
    if Measure.of(measure).of_classes and card.threshold is not None:
        text += f" {threshold_sentence(card.threshold, card.data.classes or [])}"
    test = card.test
    if test and test.has_interval:
        places = decimals([test.score - test.low], [test.score])
        text += (
            f" On the held-out test set (n = {test.samples:,}) the first row scores "
            f"{number(test.score, places)} [{number(test.low, places)}, "
            f"{number(test.high, places)}]."
        )
    return escape(text)


def _about_stars(shown: pd.DataFrame) -> str:
    used = {stars(p) for p in shown["p_any_pair"]} - {""}
    if not used:
        return "No difference in this table is significant at 0.05."
    marks = [f"{mark} p ≤ {level:g}" for level, mark in reversed(_LEVELS) if mark in used]
    return f"{', '.join(marks)}.".replace("≤", "up to")
