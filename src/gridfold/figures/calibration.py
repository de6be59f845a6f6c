"""The figure of calibration: how often what is predicted with some confidence comes true."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from scipy import stats
from sklearn.metrics import brier_score_loss

from gridfold.arrays import Array
from gridfold.figures.style import BLUE, GREY, Drawing, message, page_width
from gridfold.tables.predictions import PredictedSamples, repeats_note
from gridfold.wording import counted, percent, shorten

_BINS = 10
_DRAWS = 200


@dataclass(frozen=True)
class Reliability:
    """Confidence against what came true, in bins of equal width that hold any samples.

    Attributes
    ----------
    confidence, share, low, high : array of float64
        Mean confidence of each bin, the share that came true, and its confidence interval.
    counts : array of int64
    error : float
        Expected calibration error: the mean distance of both, weighted by counts.
    of_chance : float
        What the error of these samples would be on average if each chance were the true one.
    """

    confidence: Array
    share: Array
    low: Array
    high: Array
    counts: Array
    error: float
    of_chance: float


def reliability(came_true: Array, chance: Array, level: float) -> Reliability:
    """Compare predicted chances with what came true.

    Expected calibration error: Naeini et al. (2015). It is above 0 for a perfectly calibrated
    model, too, the more so the fewer samples there are; how far is found from 200 draws in which
    each sample comes true with its predicted chance (seed 0). Intervals: Wilson (1927).

    Parameters
    ----------
    came_true : array of bool
    chance : array of float in [0, 1]
    level : float
        Confidence level of the intervals.
    """
    chance = np.clip(chance.astype(np.float64), 0, 1)
    # The bins of scikit-learn's `calibration_curve`, which keeps their counts to itself.
    bins = np.searchsorted(np.linspace(0, 1, _BINS + 1)[1:-1], chance)
    counts, came, sums = (np.bincount(bins, w, _BINS) for w in (None, came_true, chance))
    held = counts > 0
    counts = counts[held]
    share, confidence = came[held] / counts, sums[held] / counts
    intervals = [
        stats.binomtest(round(s * n), int(n)).proportion_ci(level, "wilson")
        for s, n in zip(share, counts, strict=True)
    ]
    error = float(np.abs(came - sums).sum() / len(chance))
    random = np.random.default_rng(0)
    of_chance = [
        np.abs(np.bincount(bins, random.random(len(chance)) < chance, _BINS) - sums).sum()
        for _ in range(_DRAWS)
    ]
    low, high = np.array([[i.low, i.high] for i in intervals]).T
    return Reliability(
        confidence, share, low, high, counts, error, float(np.mean(of_chance)) / len(chance)
    )


def draw_calibration(parts: list[PredictedSamples], names: list[str], level: float) -> Drawing:
    """Draw a reliability diagram for each part of the samples, with the samples in each bin.

    Of two classes, the chance of the second against how often it is true; of more, the chance of
    the predicted class against how often it is right (Guo et al., 2017).

    Parameters
    ----------
    parts : list of PredictedSamples
    names : list of str
        Of the classes.
    level : float
        Confidence level of the intervals.
    """
    if not parts or not all(part.are_probabilities for part in parts):
        text = "The outputs of the model are no probabilities, so they can't be calibrated."
        if not parts:
            text = "The selected configuration has no predictions."
        return Drawing(message(text), "Calibration.", text)
    figure = Figure(figsize=(page_width() if len(parts) > 1 else 5.4, 5.6), layout="constrained")
    grid = figure.subplots(2, len(parts), squeeze=False, sharex=True, height_ratios=[3, 1])
    of_class = shorten(names[1], 30) if len(names) == 2 else ""
    sentences = []
    for part, (upper, lower) in zip(parts, grid.T, strict=True):
        came_true, chance = _pair(part, len(names))
        found = reliability(came_true, chance, level)
        _draw_reliability(upper, lower, found)
        _label(upper, lower, of_class)
        score = f"ECE {found.error:.3f} (by chance {found.of_chance:.3f})"
        if of_class:
            brier = brier_score_loss(came_true, np.clip(chance, 0, 1), pos_label=1)
            score += f", Brier score {brier:.3f}"
        # One line of both is wider than a panel.
        upper.set_title(f"{part.title}:\n{score}", loc="left")
        sentences.append(_alt(part, found))
    grid[0, 0].set_ylabel(f"share that is {of_class}" if of_class else "share of right answers")
    grid[1, 0].set_ylabel("samples")
    alt = "Reliability diagram. " + " ".join(sentences)
    return Drawing(figure, _caption(parts, of_class, level), alt)


def _pair(part: PredictedSamples, classes: int) -> tuple[Array, Array]:
    if classes == 2:
        return part.truth == 1, part.chances[:, 1]
    return part.predicted == part.truth, part.confidence


def _draw_reliability(upper: Axes, lower: Axes, found: Reliability) -> None:
    upper.plot([0, 1], [0, 1], color=GREY, lw=1, ls="--", zorder=1)
    upper.vlines(found.confidence, found.share, found.confidence, color=BLUE, lw=5, alpha=0.25)
    upper.errorbar(
        found.confidence,
        found.share,
        [np.maximum(found.share - found.low, 0), np.maximum(found.high - found.share, 0)],
        color=BLUE,
        marker="o",
        ms=5,
        lw=1.4,
        elinewidth=1.1,
        capsize=2,
    )
    lower.bar(found.confidence, found.counts, width=0.05, color=BLUE, alpha=0.7, lw=0)
    for x, count in zip(found.confidence, found.counts, strict=True):
        lower.annotate(
            f"{count:,}", (x, count), (0, 1.5), textcoords="offset points", ha="center", fontsize=7
        )


def _label(upper: Axes, lower: Axes, of_class: str) -> None:
    upper.set(xlim=(-0.02, 1.03), ylim=(-0.02, 1.03))
    lower.set_yscale("symlog", linthresh=1)
    high = lower.get_ylim()[1]
    # Room for the number above the highest bar.
    lower.set(ylim=(0, high * 3), yticks=[])
    lower.yaxis.set_minor_locator(NullLocator())
    lower.spines["left"].set_visible(False)
    lower.grid(False)
    lower.set_xlabel(f"predicted chance of {of_class}" if of_class else "confidence")


def _caption(parts: list[PredictedSamples], of_class: str, level: float) -> str:
    if of_class:
        what = f"How often a sample is {of_class}, against the chance predicted for it"
    else:
        what = "How often the predicted class is right, against the confidence in it"
    return (
        f"{what}, in {_BINS} bins of equal width, at the mean of each; dashed is perfect. Bars are "
        f"{percent(level)} confidence intervals (Wilson). Below, the samples in each bin, on a "
        "logarithmic scale. ECE: expected calibration error, the mean distance from the dashed "
        "line weighted by samples; “by chance” is what a perfectly calibrated model would show on "
        f"as many samples.{repeats_note(parts)}"
    )


def _alt(part: PredictedSamples, found: Reliability) -> str:
    worst = int(np.argmax(np.abs(found.share - found.confidence) * found.counts))
    over = found.confidence[worst] > found.share[worst]
    return (
        f"{part.title[0].upper()}{part.title[1:]}: expected calibration error {found.error:.3f} "
        f"over {counted(len(found.counts), 'bin')}, {found.of_chance:.3f} by chance alone; "
        "what adds most to it is too "
        f"{'much' if over else 'little'} confidence at {found.confidence[worst]:.2f}, where "
        f"{percent(round(float(found.share[worst]), 3))} of "
        f"{counted(int(found.counts[worst]), 'sample')} came true."
    )
