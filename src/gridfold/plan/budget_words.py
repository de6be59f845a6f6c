"""What a budget allows and what is spent of it, as `gridfold plan` and `gridfold status` say it."""

from __future__ import annotations

import time
from typing import Any

from gridfold.plan.budget import BudgetOrder, BudgetView, Limit, begun_by_stage
from gridfold.plan.left_out import is_cut, left_out_trials
from gridfold.plan.measured import Correction
from gridfold.plan.plan import Plan
from gridfold.plan.stage_names import title_of
from gridfold.store.spending import Spending, SpentFolder
from gridfold.wording import counted, format_seconds


def budget_lines(plan: Plan, now: float | None = None) -> list[str]:
    """Return what of the budget is spent, and whether it has ended the search, in one sentence.

    Parameters
    ----------
    plan : Plan
    now : float, optional
        Unix time.

    Returns
    -------
    list of str
        Empty for a search without a budget.
    """
    budget = plan.study.search.budget
    if budget is None:
        return []
    limit = Limit.of(budget)
    meters = SpentFolder(plan.paths.spent).meters()
    spent = limit.spent(Spending.of(meters, time.time() if now is None else now))
    if not is_cut(plan):
        return [f"budget: {limit}, {spent} spent"]
    trials = len(left_out_trials(plan))
    what = f"{counted(trials, 'trial')} left out" if trials else "the search cut short"
    return [
        f"the budget ({limit}) has ended the search: {spent} spent, {what}; with a larger "
        "search.budget the same command goes on where it ended"
    ]


def fitting_lines(plan: Plan, now: float, correction: Correction) -> list[str]:
    """Return what of a search its budget allows, line by line; nothing without a budget.

    Parameters
    ----------
    plan : Plan
    now : float
        Unix time.
    correction : Correction
        Of the estimates.
    """
    view = planned_view(plan, now, correction)
    if view is None:
        return []
    spending, order = view.look(), view.order
    begun, decided = begun_by_stage(spending), view.decided()
    further = order.fitting(begun, decided, spending)
    rows, is_all, one = [], True, len(order.stages) == 1
    for stage in order.stages:
        most = decided.get(stage.name, stage.most)
        count = min(most, begun.get(stage.name, 0) + further[stage.name])
        is_all = is_all and count == most
        rows.append(f"{'' if one else title_of(stage.name)} {count:,} of {most:,}".strip())
    first = f"  budget          {order.limit}, of which {order.limit.spent(spending)} are spent"
    if order.limit.until is not None:
        first = (
            f"  budget          {order.limit}, {format_seconds(order.limit.until - now)} from now"
        )
        if order.limit.until <= now:
            first = f"  budget          {order.limit}, which is over"
    lines = [first]
    if is_all:
        return [*lines, "  fits            the whole search"]
    lines.append(f"  fits            configurations: {', '.join(rows)}")
    if not any(begun.get(s.name, 0) + further[s.name] for s in order.stages if s.explores):
        lines.append("  warning         not even one configuration fits; raise search.budget")
    return lines


def budget_facts(plan: Plan, now: float, correction: Correction) -> dict[str, Any] | None:
    """Return the budget of a search for programs; None where it has none.

    Parameters
    ----------
    plan, now, correction
        As of :func:`fitting_lines`.
    """
    view = planned_view(plan, now, correction)
    if view is None:
        return None
    spending = view.look()
    begun = begun_by_stage(spending)
    further = view.order.fitting(begun, view.decided(), spending)
    limit = view.order.limit
    return {
        "core_hours": limit.core_hours,
        "gpu_hours": limit.gpu_hours,
        "until": plan.study.search.budget.until if plan.study.search.budget else None,
        "spent_core_hours": spending.core_hours,
        "spent_gpu_hours": spending.gpu_hours,
        "fits": {name: begun.get(name, 0) + count for name, count in further.items()},
    }


def planned_view(plan: Plan, now: float, correction: Correction) -> BudgetView | None:
    """Return how much of the budget is left, as a run that began now would see it."""
    if plan.study.search.budget is None:
        return None
    return BudgetView(BudgetOrder.of(plan, now, correction), plan.paths, lambda: now)
