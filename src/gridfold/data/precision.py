"""Numbers whose differences are too small, beside them, for the 32 bit in which data are kept."""

from __future__ import annotations

import numpy as np

from gridfold import arrays
from gridfold.arrays import Array
from gridfold.errors import DataError

# Of the spread of a column, what may be lost in 32 bit.
_MOST_LOST = 1e-4
# A spread of less than this, beside the numbers, is what 64 bit themselves make of equal ones.
_ROUNDING = 1e-12


def lost_columns(samples: Array) -> Array:
    """Tell which columns would lose their differences in 32 bit.

    Parameters
    ----------
    samples : array of shape (samples, columns)
        Of any size, mapped into memory or not; NaN and infinite numbers count for nothing.

    Returns
    -------
    array of bool, shape (columns,)
    """
    low = np.full(samples.shape[1], np.inf)
    high, error = -low, np.zeros_like(low)
    with np.errstate(over="ignore", invalid="ignore"):
        for piece in arrays.pieces(samples):
            values = np.asarray(samples[piece], np.float64)
            values = np.where(np.isfinite(values), values, np.nan)
            low = np.fmin(low, np.fmin.reduce(values))
            high = np.fmax(high, np.fmax.reduce(values))
            error = np.fmax(error, np.fmax.reduce(np.abs(values - values.astype(np.float32))))
        spread = high - low
        # What is too large for 32 bit has an infinite error; it is refused as infinite.
        differs = spread > _ROUNDING * np.fmax(np.abs(low), np.abs(high))
        return np.asarray(differs & np.isfinite(error) & (error > _MOST_LOST * spread))


def origin_of(values: Array) -> float:
    """Return what to take off a column so that 32 bit can hold it; 0 where they can anyway.

    Points in time, in seconds since 1970, differ by less than the 128 that lie between two numbers
    of 32 bit there. The smallest one is taken off, in training and test samples alike: a shift,
    which scaling undoes.

    Parameters
    ----------
    values : array of float64, shape (samples,)
    """
    if not lost_columns(values[:, np.newaxis])[0]:
        return 0.0
    return float(np.min(values[np.isfinite(values)]))


def require_32_bit(samples: Array, what: str) -> None:
    """Refuse flat samples in which a number would lose its differences in 32 bit.

    Parameters
    ----------
    samples : array
    what : {"feature", "target"}

    Raises
    ------
    DataError
        Names the number, from 0, and its range.
    """
    if samples.ndim != 2 or samples.dtype.itemsize < 4 or samples.dtype == np.float32:
        return
    lost = np.flatnonzero(lost_columns(samples))
    if len(lost):
        values = np.asarray(samples[:, lost[0]], np.float64)
        finite = values[np.isfinite(values)]
        raise DataError(
            f"{what} {lost[0]} (from 0) has numbers from {finite.min():.17g} to "
            f"{finite.max():.17g}, whose differences 32 bit would lose; take a constant off"
            + f" (also {', '.join(map(str, lost[1:10]))})"
            * (len(lost) > 1)
        )
