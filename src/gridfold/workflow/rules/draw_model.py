"""The rule `draw_model` draws the inside of the final model."""

from __future__ import annotations

from gridfold.data.dataset import mapped, mapped_features
from gridfold.data.manifest import Manifest
from gridfold.figures import architecture, model, study
from gridfold.final.inside import Inside
from gridfold.jobs.script import RuleJob
from gridfold.store.model_card import ModelCard
from gridfold.tables import trials


def run(job: RuleJob) -> None:
    """Do the work of a job of the rule."""
    inside = Inside.load(job.input("inside"))
    importance = trials.read_table(job.input("importance"))
    drawings = model.draw_model(
        inside,
        importance,
        ModelCard.read(job.input("card")),
        features=mapped_features(job.input("features")),
        targets=mapped(job.input("targets")),
        manifest=Manifest.read(job.input("manifest")),
    )
    study.save_all(drawings, job.output("architecture_svg").parent)
    layers = architecture.layers_table(inside.layers)
    trials.write(job.output("layers_table"), layers)
    trials.write(job.output("feature_importance_table"), importance)
