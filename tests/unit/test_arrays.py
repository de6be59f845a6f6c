"""Windows of rows behave as the array of their copies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridfold.arrays import Array, Windows, pieces


def copies(rows: Array, starts: Array, length: int) -> Array:
    """Return the windows as an array, one copied after another."""
    return np.stack([rows[start : start + length] for start in starts])


@st.composite
def tables(draw: st.DrawFn) -> tuple[Array, Array, int]:
    """Return rows, the first rows of windows, and the length of these."""
    length, columns = draw(st.integers(1, 5)), draw(st.integers(1, 3))
    rows = draw(st.integers(length, 40))
    starts = draw(st.sets(st.integers(0, rows - length), min_size=1))
    numbers = np.arange(rows * columns, dtype=np.float32).reshape(rows, columns)
    return numbers, np.array(sorted(starts)), length


@given(tables(), st.data())
def test_windows_are_indexed_as_an_array_of_them(
    table: tuple[Array, Array, int], data: st.DataObject
) -> None:
    found, expected = Windows(*table), copies(*table)
    assert (found.shape, found.ndim, found.size) == (expected.shape, expected.ndim, expected.size)
    assert (len(found), found.dtype) == (len(expected), expected.dtype)
    indices: list[Any] = [
        data.draw(st.integers(-len(expected), len(expected) - 1)),
        data.draw(st.slices(len(expected))),
        np.array(data.draw(st.lists(st.integers(0, len(expected) - 1)), label="some"), np.int64),
        np.array(data.draw(st.lists(st.booleans(), min_size=len(found), max_size=len(found)))),
        (..., 0),
        (slice(None), -1),
        (slice(1, None), slice(None), [0]),
    ]
    for index in indices:
        np.testing.assert_array_equal(found[index], expected[index])
    np.testing.assert_array_equal(np.concatenate([found[p] for p in pieces(found, 3)]), expected)


@given(tables())
def test_windows_become_an_array_when_somebody_needs_one(table: tuple[Array, Array, int]) -> None:
    found, expected = Windows(*table), copies(*table)
    np.testing.assert_array_equal(np.asarray(found), expected)
    assert np.asarray(found, np.float64).dtype == np.float64
    copied = np.array(found)
    copied[:] = -1
    np.testing.assert_array_equal(found[:], expected)
    assert float(np.mean(found)) == pytest.approx(expected.mean())


def test_windows_of_one_series_become_an_array_without_a_copy() -> None:
    rows = np.zeros((1000, 2), np.float32)
    view = np.asarray(Windows(rows, np.arange(10, 900, 3), 100))
    assert np.shares_memory(view, rows)
    assert view.shape == (297, 100, 2)


@settings(max_examples=200)
@given(tables(), st.data())
def test_a_part_of_windows_has_no_rows_but_theirs(
    table: tuple[Array, Array, int], data: st.DataObject
) -> None:
    rows, starts, length = table
    chosen = np.array(sorted(data.draw(st.sets(st.sampled_from(range(len(starts))), min_size=1))))
    part = Windows(*table).part(chosen)
    np.testing.assert_array_equal(part[:], copies(*table)[chosen])
    used = {row for start in starts[chosen] for row in range(start, start + length)}
    np.testing.assert_array_equal(part.rows, rows[sorted(used)])
    assert part.nbytes == part.rows.nbytes
