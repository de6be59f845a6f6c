"""One value has one spelling, and ids and seeds follow from it alone."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridfold.canonical import canonical_json, derive_seed, digest, short_id, uniform

PLAIN = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**63),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(st.characters(exclude_categories=["Cs"])),
    ),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text("abc"), inner)),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("value", "same"),
    [
        (1, 1.0),
        (0.0, -0.0),
        (0, -0.0),
        (1e3, 1000),
        (1e22, 10**22),
        ((1, 2), [1, 2]),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({"a": {"x": 1.0}}, {"a": {"x": 1}}),
        ({1: "a"}, {"1": "a"}),
    ],
)
def test_equal_values_have_one_spelling(value: Any, same: Any) -> None:
    assert canonical_json(value) == canonical_json(same)


@pytest.mark.parametrize(
    ("value", "other"),
    [
        (True, 1),
        (False, 0),
        (None, "null"),
        ("1", 1),
        (0.1, 0.1 + 2**-55),
        ([1, 2], [2, 1]),
        ([], {}),
        ({"a": None}, {}),
        (2**53, 2**53 + 1),
    ],
)
def test_different_values_have_different_spellings(value: Any, other: Any) -> None:
    assert canonical_json(value) != canonical_json(other)


def test_the_spelling_is_compact_sorted_and_readable() -> None:
    assert canonical_json({"é": [1.0, 0.25], "a": None}) == '{"a":null,"é":[1,0.25]}'


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, [math.nan], {"a": math.inf}])
def test_what_is_not_finite_has_no_spelling(value: Any) -> None:
    with pytest.raises(ValueError, match="not a finite number"):
        canonical_json(value)


@pytest.mark.parametrize("value", [{1, 2}, b"ab", object(), [1j]])
def test_what_is_not_plain_has_no_spelling(value: Any) -> None:
    with pytest.raises(TypeError, match="no canonical form"):
        canonical_json(value)


def test_ids_are_written_down_here_because_stored_results_depend_on_them() -> None:
    value = {"units": 8, "rate": 0.1}
    assert canonical_json(value) == '{"rate":0.1,"units":8}'
    assert digest(value).startswith(short_id(value))
    assert short_id(value) == "1efb0212dde7"
    assert derive_seed(0, "a", 1) == 1717515066


@given(PLAIN)
def test_an_id_is_twelve_hex_digits(value: Any) -> None:
    assert len(short_id(value)) == 12
    assert set(short_id(value)) <= set("0123456789abcdef")


@given(st.lists(PLAIN, max_size=3))
def test_seeds_and_uniform_numbers_stay_in_their_range(parts: list[Any]) -> None:
    assert 0 <= derive_seed(*parts) < 2**31
    assert 0 <= uniform(*parts) < 1


def test_uniform_numbers_are_uniform() -> None:
    draws = [uniform(7, draw, "axis") for draw in range(2000)]
    tenths = [sum(int(u * 10) == tenth for u in draws) for tenth in range(10)]
    assert all(150 < count < 250 for count in tenths)


def test_each_part_of_a_seed_counts() -> None:
    seeds = {derive_seed(*parts) for parts in [(0, "a"), (1, "a"), (0, "b"), ("a", 0), (0, "a", 0)]}
    assert len(seeds) == 5
