"""How much each axis matters: the share of its main effect in the variance of the mean scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from gridfold.arrays import Array, Scores
from gridfold.statistics.intervals import holm
from gridfold.tables.axes import is_logarithmic, is_ordered, sorted_values
from gridfold.tables.trials import Column

IMPORTANCE_COLUMNS = (
    Column("scope", "string", "", "Configurations that were looked at: those with the axes below"),
    Column("n_configurations", "int", "", "Complete configurations among them"),
    Column(
        "axis",
        "string",
        "",
        "Axis, or `model` where there are several families; axes that move together as one",
    ),
    Column("share", "float", "", "Its main effect's share of the variance of the mean scores"),
    Column("p_value", "float", "", "F-test of this main effect, Holm-adjusted within the scope"),
    Column("rest", "float", "", "Share of interactions and noise, the same in the whole scope"),
)
_FEWEST_CONFIGURATIONS = 4
# The degree of the curve through the scores over a numeric axis: more where there is more to fit.
_DEGREE, _HIGHER_DEGREE, _MANY_CONFIGURATIONS = 2, 4, 50


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
    An analysis of variance of the configurations' mean scores with main effects alone: the values
    of an axis without order as groups, numbers as a curve of second degree (of fourth with 50 and
    more configurations). The share of an axis is the variance of its effect over the
    configurations, less what noise adds to that on average, over the variance of the scores; on a
    full grid it is epsilon squared (Kelley, 1935). So an axis without any effect has a share of 0
    on average, and what no main effect explains, interactions and noise, is shown as what it is.
    """
    column = f"{measure}_mean"
    complete = configurations[(configurations["n_failed"] == 0) & configurations[column].notna()]
    tables = []
    for scope, members, names in _scopes(complete, space):
        scores = members[column].to_numpy(float)
        if len(members) < _FEWEST_CONFIGURATIONS or not np.isfinite(scores).all():
            continue
        found = _main_effects(scores, _terms(members, names, space))
        if found is not None:
            found.insert(0, "scope", scope)
            found.insert(1, "n_configurations", len(members))
            tables.append(found.sort_values("share", ascending=False, kind="stable"))
    if not tables:
        return pd.DataFrame(columns=[c.name for c in IMPORTANCE_COLUMNS])
    return pd.concat(tables, ignore_index=True)


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


def _terms(members: pd.DataFrame, names: list[str], space: Mapping[str, Any]) -> dict[str, Array]:
    """Return the columns of the design that each axis has; of axes that move together, once."""
    together: dict[tuple[int, ...], list[str]] = {}
    for name in names:
        together.setdefault(_pattern(members[name]), []).append(name)
    return {
        " + ".join(axes): _columns(members[axes[0]], space.get(axes[0], {}))
        for axes in together.values()
    }


def _pattern(values: pd.Series) -> tuple[int, ...]:
    """Return what is the same for axes that move together: which configurations share a value.

    Where none do, as in a random search, the order of the values, in either direction.
    """
    codes, known = pd.factorize(values, sort=True)
    if len(known) == len(values):
        return min(tuple(codes), tuple(len(codes) - 1 - codes))
    return tuple(pd.factorize(values)[0])


def _columns(values: pd.Series, axis: Mapping[str, Any]) -> Array:
    known = sorted_values(values, axis)
    if not is_ordered(values, axis):
        return pd.get_dummies(values.astype(str), drop_first=True).to_numpy(float)
    scale = np.log if is_logarithmic(known, axis) else np.asarray
    low, high = scale(float(known[0])), scale(float(known[-1]))
    place = 2 * (scale(values.to_numpy(float)) - low) / (high - low) - 1
    degree = _DEGREE if len(values) < _MANY_CONFIGURATIONS else _HIGHER_DEGREE
    curve = np.polynomial.legendre.legvander(place, min(degree, len(known) - 1))
    return np.asarray(curve[:, 1:])


def _main_effects(scores: Scores, terms: Mapping[str, Array]) -> pd.DataFrame | None:
    """Return share and p-value of each term; None where nothing is left to tell noise by."""
    from scipy import special

    centred = scores - scores.mean()
    parts = [part - part.mean(axis=0) for part in terms.values()]
    design = np.column_stack(parts)
    # The pseudo-inverse also serves where terms repeat each other.
    covariance = np.linalg.pinv(design.T @ design, rcond=1e-9, hermitian=True)
    effects = covariance @ design.T @ centred
    rank = int(np.linalg.matrix_rank(design))
    freedom = len(scores) - 1 - rank
    total, least = float(centred @ centred), np.square(_resolution(scores))
    # Scores that are equal up to rounding have no variance to share out.
    if freedom < 1 or total <= len(scores) * least:
        return None
    noise = max(float(np.square(centred - design @ effects).sum()) / freedom, least)
    rows, start = [], 0
    for name, part in zip(terms, parts, strict=True):
        own = slice(start, start + part.shape[1])
        start = own.stop
        found, spread = effects[own], covariance[own, own]
        # What noise alone adds to the variance of an estimated effect.
        chance = noise * float(np.trace(part.T @ part @ spread))
        share = (float(np.square(part @ found).sum()) - chance) / total
        f = float(found @ np.linalg.pinv(spread, hermitian=True) @ found) / part.shape[1] / noise
        rows.append((name, max(0.0, share), float(special.fdtrc(part.shape[1], freedom, f))))
    table = pd.DataFrame(rows, columns=["axis", "share", "p_value"])
    # All main effects together explain the adjusted R squared; chance may promise single ones more.
    explained = max(0.0, 1 - noise * (len(scores) - 1) / total)
    promised = float(table["share"].sum())
    if promised > explained:
        table["share"] *= explained / promised
    return table.assign(p_value=holm(table["p_value"]), rest=1 - table["share"].sum())


def _resolution(scores: Scores) -> float:
    """Return what scores that are equal may differ by: means of 32-bit numbers."""
    return float(np.finfo(np.float32).eps * np.abs(scores).max())
