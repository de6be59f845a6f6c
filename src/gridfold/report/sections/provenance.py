"""The section on the provenance: where the numbers come from, and all settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import yaml

from gridfold.data.manifest import Manifest
from gridfold.report.input import BESIDE, ReportInput, ReportSection
from gridfold.requests import ReportRequest
from gridfold.store.model_card import ModelCard
from gridfold.study import Study
from gridfold.study.command import run_command
from gridfold.wording import MISSING, counted


def provenance(study: ReportInput) -> ReportSection:
    """Return where the numbers come from and how they are made again."""
    content = {
        "provenance": _origin(study.request, study.tables.trials, study.card, study.manifest),
        "command": study.request.command or run_command(study.request.files),
        "settings": _settings_text(study.study),
        "card_file": BESIDE.final_model.card_text,
        "dossier": {
            "REFORMS checklist": BESIDE.checklist("reforms"),
            "NeurIPS checklist": BESIDE.checklist("neurips"),
            "Crate (RO-Crate)": BESIDE.crate,
            "Metadata of the data (Croissant)": BESIDE.croissant,
        },
    }
    return ReportSection("provenance", "Provenance", "Provenance", content)


def _origin(
    request: ReportRequest,
    trials: pd.DataFrame,
    card: ModelCard,
    manifest: Manifest,
) -> dict[str, str]:
    """Return where the numbers come from.

    Parameters
    ----------
    request : ReportRequest
    trials : DataFrame
    card : ModelCard
    manifest : Manifest
    """
    study, environment = request.study, card.environment
    data, plan = study["data"], study["resampling"]
    source = data["source"] + (f" ({data['path']})" if data.get("path") else "")
    shape = " × ".join(map(str, manifest.sample_shape))
    test = card.test.samples if card.test else 0
    folds = f"{counted(plan['folds'], 'fold')} × " if "folds" in plan else ""
    commit = environment.git_commit or "not in a git repository"
    if commit.endswith("-dirty"):
        commit = f"{commit.removesuffix('-dirty')}, with changes that were not committed"
    return {
        "Study files": ", ".join(request.files),
        "Data": f"{source}: {counted(manifest.samples, 'sample')} of shape {shape}",
        "Data digest": manifest.digest,
        "Splits": (
            f"{plan['method']}, {folds}{counted(plan.get('repeats', 1), 'repeat')}: training "
            f"{_range(trials['n_train'])}, validation {_range(trials['n_validation'])} samples; "
            + (f"{counted(test, 'sample')} held out for the test" if test else "no test set")
        ),
        "Seeds": (
            f"splits {plan.get('seed', 'by time')}, test set {data['test_seed']}, training "
            f"{study['training']['seed']}"
            + (f", search {search}" if (search := _search_seed(study)) is not None else "")
        ),
        "Code": commit,
        "Versions": ", ".join(f"{k} {v}" for k, v in environment.packages.items())
        + f", python {environment.python}",
        "Machine of the final model": (
            f"{environment.processor}, {counted(environment.cores or 0, 'core')}, "
            f"{environment.platform}"
        ),
        "Final model": (
            f"{counted(card.training.epochs, 'epoch')} on "
            f"{counted(card.training.samples, 'sample')}, {card.created}"
        ),
    }


def _search_seed(study: Mapping[str, Any]) -> int | None:
    seed: int | None = study["search"]["strategy"].get("seed")
    return seed


def _range(sizes: pd.Series) -> str:
    known = sorted({int(size) for size in sizes if size > 0})
    if not known:
        return MISSING
    return f"{known[0]:,}" if len(known) == 1 else f"{known[0]:,} to {known[-1]:,}"


def _settings_text(study: Mapping[str, Any]) -> str:
    """Return the resolved study as YAML, in the order of the study model."""
    ordered = {name: study[name] for name in Study.model_fields if name in study}
    ordered["model"] = _given(ordered["model"])
    ordered["search"] = {
        **ordered["search"],
        "space": {name: _given(axis) for name, axis in ordered["search"]["space"].items()},
    }
    return yaml.safe_dump(ordered, sort_keys=False, allow_unicode=True, width=96)


def _given(section: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the forms and families that are not used."""
    return {key: value for key, value in section.items() if value is not None}
