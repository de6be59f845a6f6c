"""How much each axis matters: fANOVA and PED-ANOVA of optuna, where the axes are defined."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from gridfold.tables.trials import Column

IMPORTANCE_COLUMNS = (
    Column("scope", "string", "", "Configurations that were looked at: those with the axes below"),
    Column("n_configurations", "int", "", "Complete configurations among them"),
    Column("axis", "string", "", "Axis, or `model` where there are several families"),
    Column("fanova", "float", "", "Share of the variance of the mean scores (fANOVA); sum 1"),
    Column("ped_anova", "float", "", "Share in what sets the best tenth apart (PED-ANOVA); sum 1"),
)
_FEWEST_CONFIGURATIONS = 4
_TREES = 64


def importance(
    configurations: pd.DataFrame, space: Mapping[str, Any], measure: str
) -> pd.DataFrame:
    """Return the importance of each axis for the mean score.

    A conditional axis has a value in some configurations only. It is judged among those, in a
    scope of its own, together with all axes that are defined throughout that scope; filling in
    values where there are none would make importance up.

    Parameters
    ----------
    configurations : DataFrame
    space : mapping
        The axes, as in the study.
    measure : str
        The ranking measure.

    Returns
    -------
    DataFrame
        :data:`IMPORTANCE_COLUMNS`; scopes with too few configurations, without differences or
        without an axis that varies are left out.

    Notes
    -----
    fANOVA: Hutter et al. (2014), a random forest with a fixed seed. PED-ANOVA: Watanabe et al.
    (2023). Both describe the configurations of this study and the ranges of its axes.
    """
    column = f"{measure}_mean"
    complete = configurations[(configurations["n_failed"] == 0) & configurations[column].notna()]
    rows = []
    for scope, members, names in _scopes(complete, space):
        if len(members) < _FEWEST_CONFIGURATIONS or members[column].nunique() < 2:
            continue
        found = _evaluate(members, names, space, measure)
        rows += [
            {
                "scope": scope,
                "n_configurations": len(members),
                "axis": name,
                "fanova": found["fanova"][name],
                "ped_anova": found["ped_anova"][name],
            }
            for name in sorted(names, key=lambda n: -found["fanova"][n])
        ]
    return pd.DataFrame(rows, columns=[c.name for c in IMPORTANCE_COLUMNS])


def _scopes(
    complete: pd.DataFrame, space: Mapping[str, Any]
) -> Iterator[tuple[str, pd.DataFrame, list[str]]]:
    """Yield each set of configurations in which some axis is defined, and what varies in it."""
    names = ["model", *(name for name in space if name in complete and name != "model")]
    seen = set()
    for name in names:
        defined = complete[name].notna()
        key = tuple(defined)
        if key in seen or not defined.any():
            continue
        seen.add(key)
        members = complete[defined]
        varying = [n for n in names if members[n].notna().all() and members[n].nunique() > 1]
        if varying:
            yield _scope_name(complete, members, name), members, varying


def _scope_name(complete: pd.DataFrame, members: pd.DataFrame, name: str) -> str:
    if len(members) == len(complete):
        return "all configurations"
    families = members["model"].unique()
    if len(families) == 1 and len(members) == (complete["model"] == families[0]).sum():
        return f"model = {families[0]}"
    return f"configurations with {name}"


def _evaluate(
    members: pd.DataFrame, names: list[str], space: Mapping[str, Any], measure: str
) -> dict[str, dict[str, float]]:
    import optuna
    from optuna import importance as evaluators

    from gridfold.statistics.optuna_parameter import Parameter, optuna_direction

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    parameters = {name: Parameter.of(members[name], space.get(name, {})) for name in names}
    distributions = {name: parameter.distribution for name, parameter in parameters.items()}
    study = optuna.create_study(direction=optuna_direction(measure))
    for _, row in members.iterrows():
        params = {name: parameter.value(row[name]) for name, parameter in parameters.items()}
        study.add_trial(
            optuna.trial.create_trial(
                params=params, distributions=distributions, value=float(row[f"{measure}_mean"])
            )
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        methods = {
            "fanova": evaluators.FanovaImportanceEvaluator(n_trees=_TREES, seed=0),
            "ped_anova": evaluators.PedAnovaImportanceEvaluator(),
        }
    return {
        key: _shares(method.evaluate(study, params=names), names) for key, method in methods.items()
    }


def _shares(found: Mapping[str, float], names: list[str]) -> dict[str, float]:
    total = sum(max(0.0, float(found[name])) for name in names)
    return {name: max(0.0, float(found[name])) / total if total else 0.0 for name in names}
