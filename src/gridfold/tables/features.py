"""The table of what each feature is worth to the final model."""

from __future__ import annotations

from gridfold.tables.trials import Column

FEATURE_COLUMNS = (
    Column("feature", "string", "", "Its name; `feature_<i>`, from 0, where the source has none"),
    Column("kind", "string", "", "number, or category, whose features of 0 and 1 go together"),
    Column(
        "importance",
        "float",
        "as the measure",
        "What the test score loses, in the mean over shuffles, when its values are shuffled; "
        "about 0 where the model does without it",
    ),
    Column("sd", "float", "as the measure", "Standard deviation of that loss over the shuffles"),
    Column("shuffles", "int", "", "Shuffles of its values on which the measure is defined"),
    Column("samples", "int", "samples", "Test samples in each shuffle"),
)
