"""Writes the reference of all tables, `docs/tables.md`, from the descriptions of the columns."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

from gridfold.atomic import write_text
from gridfold.baselines.comparison import BASELINE_COLUMNS
from gridfold.baselines.fitting import BASELINE_FIT_COLUMNS
from gridfold.figures.architecture import LAYER_COLUMNS
from gridfold.figures.misclassified import MISTAKE_COLUMNS
from gridfold.figures.scaling import SCALING_COLUMNS
from gridfold.problems import MEASURES, PROBLEM_KINDS, depends_on_threshold
from gridfold.search.budget import LEFT_OUT_COLUMNS
from gridfold.search.nested import NESTED_COLUMNS
from gridfold.search.racing import RACE_COLUMNS
from gridfold.search.tables import SEARCH_COLUMNS
from gridfold.statistics.classes import CLASS_COLUMNS
from gridfold.statistics.front import PARETO_COLUMNS
from gridfold.statistics.importance import IMPORTANCE_COLUMNS
from gridfold.statistics.pairwise import COMPARISON_COLUMNS
from gridfold.statistics.scientific import SCIENTIFIC_COLUMNS
from gridfold.statistics.summary import CONFIGURATION_COLUMNS, WISH_COLUMNS
from gridfold.tables.features import FEATURE_COLUMNS
from gridfold.tables.jobs import JOB_COLUMNS
from gridfold.tables.trials import (
    COST_COLUMNS,
    EPOCH_COLUMNS,
    PREDICTION_COLUMNS,
    STUDY_COLUMNS,
    TRIAL_COLUMNS,
    Column,
)

FILE = Path("docs/tables.md")
REPAIR = "uv run python -m gridfold.reference.tables"

_AXES = Column(
    "<section>.<name>",
    "any",
    "",
    "One for each axis, as `mlp.units`; empty where the configuration has no such axis; lists, "
    "mappings and null are text",
)
_ID = Column("id", "string", "", "Name of the sample, where samples have one")
_FEATURES = Column(
    "<feature>",
    "any",
    "",
    "As read, by its name (`feature_<i>`, from 0, without one); only where samples are rows of "
    "numbers",
)
_MEASURES = Column("<measure>", "float", "", "One for each measure, on the validation part")
_METRICS = Column(
    "<metric>, val_<metric>",
    "float",
    "",
    "For each metric that your function has compiled into its model, on both parts",
)
_MONITOR = Column("val_<measure>", "float", "", "The measure that early stopping looks at")
_SUMMARIES = (
    Column("<measure>_mean", "float", "", "Mean over the splits"),
    Column("<measure>_sd", "float", "", "Standard deviation over the splits"),
    Column(
        "<measure>_low, <measure>_high",
        "float",
        "",
        "Confidence interval of the mean, corrected for shared training samples and cut at the "
        "measure's range",
    ),
)
_SECTIONS: tuple[tuple[str, str, tuple[Column, ...]], ...] = (
    (
        "`tables/trials.csv`, `tables/trials.parquet`",
        "One row for each trial of the study, failed ones included, in the order of the study's\n"
        "configurations and splits.",
        (*TRIAL_COLUMNS, *COST_COLUMNS, *STUDY_COLUMNS, _AXES, _MEASURES),
    ),
    (
        "`tables/configurations.csv`, `tables/configurations.parquet`",
        "One row for each configuration, the selected one first.",
        (*CONFIGURATION_COLUMNS, *WISH_COLUMNS, _AXES, *_SUMMARIES),
    ),
    (
        "`tables/pareto.csv`, `tables/pareto.parquet`",
        "One row for each configuration, the selected one first; only of a study with\n"
        "[several objectives](searching.md#several-objectives), constraints or a rule.",
        PARETO_COLUMNS,
    ),
    (
        "`tables/comparisons.csv`, `tables/comparisons.parquet`",
        "One row for each configuration without a failed trial: how it compares with the selected\n"
        "one, which stands first. How each figure is made: [statistics](statistics.md).",
        COMPARISON_COLUMNS,
    ),
    (
        "`tables/baselines.csv`, `tables/baselines.parquet`",
        "One row for each [baseline](statistics.md#baselines), the best first: how it compares\n"
        "with the selected configuration. Not where `report.baselines` is false.",
        (*BASELINE_COLUMNS, *_SUMMARIES),
    ),
    (
        "`tables/baseline_fits.csv`, `tables/baseline_fits.parquet`",
        "One row for each baseline and split, and one for the test set.",
        (*BASELINE_FIT_COLUMNS, _MEASURES),
    ),
    (
        "`tables/scientific.csv`, `tables/scientific.parquet`",
        "The best configuration at each value of each scientific axis.",
        SCIENTIFIC_COLUMNS,
    ),
    (
        "`tables/importance.csv`, `tables/importance.parquet`",
        "How much each axis matters, in each set of configurations in which it is defined.",
        IMPORTANCE_COLUMNS,
    ),
    (
        "`tables/jobs.csv`, `tables/jobs.parquet`",
        "One row for each training job that trained something, failed ones included: what it\n"
        "asked for and what it used. Jobs of earlier versions of the study are in it as long as\n"
        "their shard is.",
        JOB_COLUMNS,
    ),
    (
        "`tables/epochs.parquet`",
        "One row for each trained epoch of each trial: the learning curves.",
        (*EPOCH_COLUMNS, _METRICS, _MONITOR),
    ),
    (
        "`tables/best_predictions.parquet`",
        "What the selected configuration predicts for samples it was not trained on: one row for\n"
        "each sample of each validation part.",
        PREDICTION_COLUMNS,
    ),
    (
        "`final/test_predictions.parquet`",
        "What the final model predicts for the held-out test set.",
        PREDICTION_COLUMNS[2:],
    ),
    (
        "`tables/search.csv`, `tables/search.parquet`",
        "One row for each configuration of each stage; only of a [search in stages](searching.md).",
        SEARCH_COLUMNS,
    ),
    (
        "`tables/race.csv`, `tables/race.parquet`",
        "One row for each configuration that a [race](searching.md) has left behind.",
        RACE_COLUMNS,
    ),
    (
        "`tables/search_trials.parquet`",
        "As `tables/trials.parquet`, for all stages of a search and with `stage` before the other\n"
        "columns. A trial that several stages have trained stands in it several times.",
        (SEARCH_COLUMNS[0],),
    ),
    (
        "`tables/left_out.csv`, `tables/left_out.parquet`",
        "One row for each configuration of each stage that is not complete; only of a search with\n"
        "a [budget](searching.md#budget).",
        LEFT_OUT_COLUMNS,
    ),
    (
        "`tables/nested.csv`, `tables/nested.parquet`",
        "One row for each outer fold; only with\n"
        "[`resampling.outer`](statistics.md#nested-cross-validation).",
        (*NESTED_COLUMNS, _AXES, _MEASURES),
    ),
    (
        "`tables/scaling.csv`, `tables/scaling.parquet`",
        "One row for each configuration of a study that compares world sizes.",
        SCALING_COLUMNS,
    ),
    (
        "`tables/layers.csv`",
        "One row for each layer of the final model, those of models inside it after its own row.",
        LAYER_COLUMNS,
    ),
    (
        "`tables/feature_importance.csv`, `final/importance.parquet`",
        "One row for each feature of a table, the most important one first; no rows for other\n"
        "data, and without a test set.",
        FEATURE_COLUMNS,
    ),
    (
        "`tables/classes.csv`, `tables/classes.parquet`",
        "One row for each class and part of the samples: out of fold (each sample once, with\n"
        "several repeats as the first predicts it), and the held-out test set.",
        CLASS_COLUMNS,
    ),
    (
        "`tables/misclassified.csv`",
        "One row for each misclassified sample, the most confident mistakes of each part first.",
        (*MISTAKE_COLUMNS, _ID, _FEATURES),
    ),
    (
        "`shards/<shard>.<table>.parquet`",
        "What one training job writes: `trials`, `epochs` and `predictions` of its shard, with\n"
        "the columns above; its trials have no label, model and axes yet.",
        (),
    ),
)


def columns_markdown() -> str:
    """Return the reference of all tables as Markdown."""
    lines = [
        "# Tables",
        "",
        f"<!-- Generated from the columns of tables in src/gridfold by `{REPAIR}`. -->",
        "",
        "All files lie below `results/<study>/`. Every table is written as Parquet, which keeps",
        "the types; those for readers also as CSV, where a missing value is an empty cell. A text",
        "in a CSV table that a spreadsheet would take for a formula (it begins with `=`, `+`, `-`,",
        "`@`, a tab or a line end, and is no number) has an apostrophe in front, so that it stays",
        "text; Parquet has it as it is. So it is with the CSV files of `gridfold predict`.",
    ]
    for title, text, columns in _SECTIONS:
        lines += ["", f"## {title}", "", text]
        if columns:
            lines += ["", *_table(columns)]
    lines += ["", "## Measures", "", *_measures()]
    return "\n".join(lines) + "\n"


def _table(columns: Iterable[Column]) -> list[str]:
    lines = ["| Column | Type | Unit | Meaning |", "| --- | --- | --- | --- |"]
    for column in columns:
        # Else Markdown takes r<repeat> for a tag.
        meaning = column.meaning.replace("<", "&lt;")
        lines.append(f"| `{column.name}` | {column.type} | {column.unit} | {meaning} |")
    return lines


def _thresholded() -> list[str]:
    kind = "binary"
    return [n for n in PROBLEM_KINDS[kind].all_measures if depends_on_threshold(kind, n)]


def _measures() -> list[str]:
    lines = [
        "Every trial is scored with all measures that fit its problem. Tables and the report show",
        "those without a star; one with a star (*) where the study names it, in",
        "`problem.measures` or `problem.measure`, for which nothing is trained again. Measures of",
        "predicted classes depend on [`problem.threshold`](measures.md#the-threshold) in binary",
        f"problems: {', '.join(f'`{name}`' for name in _thresholded())}.",
        "",
        "| Measure | Meaning | Range | Better | Problems |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, measure in MEASURES.items():
        low, high = measure.range
        reach = f"from {low:g}" if high == math.inf else f"{low:g} to {high:g}"
        if low == -math.inf:
            reach = f"up to {high:g}"
        better = "lower" if measure.lower_is_better else "higher"
        problems = ", ".join(
            p + ("" if name in kind.measures else "*")
            for p, kind in PROBLEM_KINDS.items()
            if name in kind.all_measures
        )
        lines.append(f"| `{name}` | {measure.meaning} | {reach} | {better} | {problems} |")
    return lines


if __name__ == "__main__":
    write_text(FILE, columns_markdown())
