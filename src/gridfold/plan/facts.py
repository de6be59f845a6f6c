"""A study's state and plan for programs: what `gridfold status`, `plan` and `show` give as JSON.

The keys are described in ``docs/command-line.md``; they may become more, and keep their meaning.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from gridfold.plan.budget_words import budget_facts
from gridfold.plan.left_out import is_cut
from gridfold.plan.measured import measured_correction
from gridfold.plan.plan import Plan
from gridfold.plan.status import (
    KnownConfiguration,
    answer_of,
    changes,
    running_jobs,
    stage_states,
    totals,
)
from gridfold.plan.trial_state import TrialState
from gridfold.plan.words import seconds_left
from gridfold.store.archives import packed_files
from gridfold.study.checks import table


def status_facts(plan: Plan) -> dict[str, Any]:
    """Return how far a study is, and its answer when it is finished."""
    states, changed, jobs = stage_states(plan), changes(plan), running_jobs(plan)
    found = answer_of(plan, states, changed)
    done, total = totals(states)
    if found is not None:
        state = "finished"
    elif jobs:
        state = "running"
    else:
        state = "stopped" if done else "not begun"
    return {
        "study": plan.study.study,
        "results": str(plan.paths.root),
        "state": state,
        "trials": {"done": done, "total": total},
        "stages": [
            {
                "stage": each.stage.name,
                "done": each.done,
                "total": each.total,
                "decided": each.is_decided,
                "left_out": each.left_out,
                **({} if each.decision is None else {"decision": asdict(each.decision)}),
            }
            for each in states
        ],
        "jobs": [
            {
                "job": name,
                "done": job.done,
                "failed": job.failed,
                "total": job.total,
                "running": sorted(job.running),
            }
            for name, job in jobs.items()
        ],
        "changed": changed,
        "cut_by_budget": is_cut(plan),
        "answer": None if found is None else found.facts(plan.paths),
    }


def plan_facts(plan: Plan) -> dict[str, Any]:
    """Return what the next run of a study would do."""
    states = stage_states(plan)
    done, total = totals(states)
    correction = measured_correction(plan)
    drawn = [] if plan.is_tuned else plan.configurations
    return {
        "study": plan.study.study,
        "files": [str(file) for file in plan.files],
        "command": plan.command,
        "results": str(plan.paths.root),
        "configurations": [
            {"id": c.id, "label": c.label, "epochs": c.epochs, "settings": c.settings}
            for c in drawn
        ],
        "duplicates": list(plan.expansion.duplicates),
        "splits": plan.splits,
        "stages": [
            {
                "stage": stage.name,
                "configurations": stage.max_configurations,
                "exact": stage.is_exact,
                "asynchronous": stage.is_asynchronous,
                "epochs": stage.epochs,
                "splits": len(stage.splits),
                "trials": stage.trials,
            }
            for stage in plan.all_stages
        ],
        "trials": {"done": done, "total": total},
        "seconds": seconds_left(plan, states, correction),
        "estimate": str(correction),
        "budget": budget_facts(plan, time.time(), correction),
        "changed": changes(plan),
        "notes": table.notes(plan.study.data),
    }


def configuration_facts(plan: Plan, found: Sequence[KnownConfiguration]) -> dict[str, Any]:
    """Return settings of a configuration and what is known of its trials, in each of its stages."""
    chosen = found[0].chosen
    return {
        "id": chosen.id,
        "label": chosen.label,
        "settings": chosen.settings,
        "trials": [
            {"stage": each.stage, "split": split, **trial_state(plan, each, split).plain()}
            for each in found
            for split in each.splits
        ],
    }


def trial_state(plan: Plan, configuration: KnownConfiguration, split: str) -> TrialState:
    """Return what is known of a trial of a configuration."""
    chosen = configuration.chosen
    folder = plan.paths.trial(chosen.id, split)
    if not folder.is_dir() and any(
        name.startswith(f"{chosen.id}/{split}/") for name in packed_files(plan.paths)
    ):
        return TrialState("packed", chosen.epochs)
    return TrialState.read(folder, chosen.epochs)
