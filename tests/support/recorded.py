"""Records of finished studies, with what a test does not care about made up."""

from __future__ import annotations

from typing import Any

from gridfold.environment.versions import Environment
from gridfold.store.model_card import (
    CrossValidation,
    FinalTraining,
    HeldOutScore,
    ModelCard,
    ModelData,
    OutputScaling,
    SelectedConfiguration,
)
from gridfold.store.selection import Selection


def selected(
    config_id: str, label: str = "a label", measure: str = "accuracy", final_epochs: int = 1
) -> Selection:
    """Return the selection of a configuration that nothing was compared with."""
    return Selection(
        config_id=config_id,
        label=label,
        measure=measure,
        confidence=0.95,
        mean=0.5,
        sd=None,
        low=None,
        high=None,
        n_splits=1,
        final_epochs=final_epochs,
        configurations=1,
    )


def model_card(
    best: Selection,
    settings: dict[str, Any],
    data_digest: str,
    test: HeldOutScore | None,
) -> ModelCard:
    """Return a card of the selected configuration, trained on a machine that nobody has."""
    return ModelCard(
        study="a study",
        created="2026-01-02T03:04:05+00:00",
        configuration=SelectedConfiguration(best.config_id, best.label, settings),
        cross_validation=CrossValidation.of(best),
        training=FinalTraining(
            samples=50, epochs=best.final_epochs, final_loss=0.1, fit_seconds=2.5
        ),
        test=test,
        data=ModelData(data_digest, [4], None, ["output 0"]),
        output_scaling=OutputScaling(undone_by_the_model=True, center=[0.0], scale=[1.0]),
        environment=Environment(
            python="3.12.1",
            packages={"gridfold": "0.1.0", "keras": "3.15.0"},
            platform="Linux",
            processor="A processor",
            cores=8,
            host="secret-host",
            git_commit="abcdef123456-dirty",
        ),
    )
