"""Several studies for programs: what `gridfold index` and `compare` give as JSON.

The keys are described in ``docs/command-line.md``; they may become more, and keep their meaning.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from gridfold.finished.comparison import StudyComparison, conclusion
from gridfold.finished.study import FinishedStudy, StudyState
from gridfold.store.answer import Answer


def index_facts(states: Iterable[StudyState]) -> dict[str, Any]:
    """Return the studies of a results folder."""
    return {
        "studies": [
            {
                "study": state.name,
                "results": str(state.paths.root),
                "trials": {"done": state.done, "known": state.known},
                "running_jobs": state.running,
                "answer": state.answer and state.answer.facts(state.paths),
            }
            for state in states
        ]
    }


def comparison_facts(
    reference: FinishedStudy, comparisons: Sequence[StudyComparison]
) -> dict[str, Any]:
    """Return how studies compare with the first one."""
    return {
        "reference": reference.name,
        "measure": reference.measure,
        "confidence": reference.best.confidence,
        "studies": [_study(study) for study in (reference, *(c.study for c in comparisons))],
        "comparisons": [
            {
                "study": found.study.name,
                "conclusion": conclusion(found, reference),
                "test": found.test and asdict(found.test),
                "splits": found.splits and asdict(found.splits),
                "obstacles": found.obstacles,
            }
            for found in comparisons
        ],
    }


def _study(study: FinishedStudy) -> dict[str, Any]:
    answer = Answer(study.best, study.card)
    return {
        "study": study.name,
        "results": str(study.paths.root),
        "answer": answer.facts(study.paths),
    }
