"""Which of several objectives dominates, and on which front a point lies."""

from __future__ import annotations

import numpy as np
import pytest

from gridfold.objectives import COSTS, column_of, dominates, front_numbers, sign_of


def slowly(points: list[list[float]]) -> list[int]:
    """Return the fronts by their definition: peel off what nothing left dominates."""
    number = [0] * len(points)
    left = set(range(len(points)))
    front = 0
    while left:
        front += 1
        free = {i for i in left if not any(dominates(points[j], points[i]) for j in left)}
        for i in free:
            number[i] = front
        left -= free
    return number


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("levels", [3, 1000])
def test_fronts_are_those_of_their_definition(count: int, levels: int) -> None:
    random = np.random.default_rng(count * levels)
    points = random.integers(0, levels, (60, count)).astype(float).tolist()
    assert front_numbers(points) == slowly(points)


def test_equal_points_lie_on_the_same_front() -> None:
    assert front_numbers([[1, 1], [1, 1], [0, 1], [0, 2]]) == [1, 1, 2, 1]
    assert front_numbers([]) == []


def test_costs_are_better_when_lower_and_have_columns() -> None:
    assert {sign_of(name) for name in COSTS} == {-1}
    assert (sign_of("accuracy"), sign_of("log_loss")) == (1, -1)
    assert [column_of(n) for n in ("accuracy", "parameters")] == ["accuracy", "total_parameters"]
