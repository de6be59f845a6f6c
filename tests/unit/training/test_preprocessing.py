"""Scaling: fitted on what it is given, applied to anything, undone exactly."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import datasets

from gridfold.training.preprocessing import UNCHANGED, fit_affine

WINE = datasets.load_wine().data.astype(np.float32)
DIGITS = datasets.load_digits().images[..., np.newaxis].astype(np.float32)
KINDS = ["none", "standard", "minmax", "global"]


def test_none_leaves_everything_as_it_is() -> None:
    fitted = fit_affine("none", WINE)
    assert fitted is UNCHANGED
    np.testing.assert_array_equal(fitted.apply(WINE), WINE)


def test_standard_gives_each_feature_mean_0_and_sd_1() -> None:
    scaled = fit_affine("standard", WINE).apply(WINE)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(scaled.std(axis=0), 1, rtol=1e-3)


def test_minmax_takes_each_feature_to_0_and_1() -> None:
    scaled = fit_affine("minmax", WINE).apply(WINE)
    np.testing.assert_allclose(scaled.min(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(scaled.max(axis=0), 1, atol=1e-5)


def test_global_has_one_mean_and_sd_for_all_pixels() -> None:
    fitted = fit_affine("global", DIGITS)
    assert fitted.scale.size == fitted.center.size == 1
    scaled = fitted.apply(DIGITS)
    assert scaled.mean() == pytest.approx(0, abs=1e-4)
    assert scaled.std() == pytest.approx(1, rel=1e-4)
    assert scaled.mean(axis=0).std() > 0.1, "pixels keep their differences"


@pytest.mark.parametrize("kind", ["standard", "minmax"])
def test_each_pixel_is_a_feature(kind: str) -> None:
    assert fit_affine(kind, DIGITS).scale.shape == (8, 8, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_other_samples_are_scaled_with_what_was_fitted(kind: str) -> None:
    training, validation = WINE[:100], WINE[100:]
    fitted = fit_affine(kind, training)
    expected = (validation - fitted.center) * fitted.scale
    np.testing.assert_array_equal(fitted.apply(validation), expected)
    if kind != "none":
        assert not np.allclose(fitted.scale, fit_affine(kind, validation).scale, rtol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_a_constant_feature_stays_finite(kind: str) -> None:
    values = np.column_stack([WINE[:, 0], np.full(len(WINE), 7.0)])
    fitted = fit_affine(kind, values)
    assert np.isfinite(fitted.apply(values)).all()
    np.testing.assert_allclose(fitted.invert(fitted.apply(values)), values, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_undoing_gives_back_the_user_s_units(kind: str) -> None:
    fitted = fit_affine(kind, WINE)
    np.testing.assert_allclose(fitted.invert(fitted.apply(WINE)), WINE, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_become_32_bit_numbers(kind: str) -> None:
    pixels = datasets.load_digits().images.astype(np.uint8)
    assert fit_affine(kind, pixels).apply(pixels).dtype == np.float32


def test_large_offsets_lose_no_precision_in_the_fit() -> None:
    # Years: in 32 bit the variance around a mean of 2000 would drown.
    years = np.float32(2000) + np.arange(10, dtype=np.float32).reshape(-1, 1) / 8
    fitted = fit_affine("standard", years)
    assert 1 / fitted.scale.item() == pytest.approx(np.std(np.arange(10) / 8), rel=1e-6)


@pytest.mark.parametrize("kind", ["standard", "minmax", "global"])
def test_large_offsets_lose_no_precision_in_the_map(kind: str) -> None:
    values = 2.0**20 + np.arange(64, dtype=np.float32).reshape(-1, 1)
    scaled = fit_affine(kind, values).apply(values)
    np.testing.assert_allclose(np.diff(scaled[:, 0]), scaled[1, 0] - scaled[0, 0], rtol=1e-5)
