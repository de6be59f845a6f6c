"""The `final` section: what is made of the selected configuration; no trial is trained anew."""

from __future__ import annotations

from pydantic import Field

from gridfold.study.sections.base import Section


class Final(Section):
    """What is made of the selected configuration, besides the model trained on all samples."""

    ensemble: bool = Field(
        False,
        description="Also keep its models of all splits, whose mean is an ensemble with a test "
        "score of its own.",
    )
    loadable: bool = Field(
        True,
        description="Refuse a model of your own code that can't be loaded from its file, in the "
        "first trial; `false` trains it all the same, but nobody can use the saved model.",
    )
