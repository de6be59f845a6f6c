"""The answer of a finished study in one line."""

from __future__ import annotations

import math

from gridfold.paths import StudyPaths
from gridfold.records import read_record
from gridfold.wording import counted, half_width


def answer(paths: StudyPaths) -> str:
    """Return best configuration, mean with interval, test score, and where the report is.

    Raises
    ------
    FileNotFoundError
        When the study is not finished.
    DamagedRecord
        When its records can't be read.
    """
    best = read_record(paths.tables / "best.json")
    card = read_record(paths.final / "card.json")
    count = f"{best['configurations']} configurations"
    if "tried" in best:
        count = f"{best['tried']} configurations, {best['configurations']} compared in full"
    text = f"Best of {count}: {best['label']} ({best['config_id']})"
    text += f"; {best['measure']} {best['mean']:.4f}"
    if best["low"] is not None:
        half = half_width(best["mean"], best["low"], best["high"])
        text += f" ± {half:.4f} ({best['confidence']:.0%} CI over {best['n_splits']} splits)"
    test = card["test"]
    if test:
        text += f"; held-out test {test['score']:.4f} "
        if math.isfinite(test["low"]):
            text += f"[{test['low']:.4f}, {test['high']:.4f}] "
        text += f"on {counted(test['samples'], 'sample')}"
    return f"{text}\nReport: {paths.report}"
