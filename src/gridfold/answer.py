"""The answer of a finished study in one line."""

from __future__ import annotations

import json

from gridfold.paths import StudyPaths
from gridfold.wording import half_width


def answer(paths: StudyPaths) -> str:
    """Return best configuration, mean with interval, test score, and where the report is.

    Raises
    ------
    FileNotFoundError
        When the study is not finished.
    """
    best = json.loads((paths.tables / "best.json").read_text())
    card = json.loads((paths.final / "card.json").read_text())
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
        text += (
            f"; held-out test {test['score']:.4f} "
            f"[{test['low']:.4f}, {test['high']:.4f}] on {test['samples']} samples"
        )
    return f"{text}\nReport: {paths.report}"
