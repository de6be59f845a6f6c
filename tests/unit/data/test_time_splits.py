"""Windows and splits by time, compared with what brute force finds."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from damages import DAMAGES
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import datasets
from studies import tiny_study

from gridfold.arrays import Windows
from gridfold.data.dataset import Dataset, mapped_features, prepare, verify
from gridfold.data.manifest import Manifest
from gridfold.data.splits import FINAL, Split, check, make_splits
from gridfold.data.time_splits import share_time
from gridfold.errors import DataError
from gridfold.final.inputs import ModelInputs
from gridfold.paths import array_file, manifest_file
from gridfold.plan.stages import confirming_plan
from gridfold.requests import SplitsRequest
from gridfold.study import Study
from gridfold.training import preprocessing
from gridfold.typed_json import DamagedRecord


def measurements(rows: int = 60, stations: int = 2) -> pd.DataFrame:
    """Return real numbers as if measured at stations, day by day, in an order that mixes them."""
    values = datasets.load_diabetes(as_frame=True).frame
    table = values[["bmi", "bp", "target"]].head(rows * stations).copy()
    table["station"] = np.arange(len(table)) % stations
    table["day"] = (np.datetime64("2024-01-01") + np.arange(len(table)) // stations).astype(str)
    return table.sample(frac=1, random_state=0).reset_index(drop=True)


def prepared(table: pd.DataFrame, folder: Path, **options: Any) -> Dataset:
    file = folder / "measurements.csv"
    table.to_csv(file, index=False)
    data = {
        "source": "csv",
        "path": str(file),
        "targets": ["target"],
        "time": "day",
        "groups": "station",
        "sequence": {"length": 4, "horizon": 2, "stride": 1},
        **options,
    }
    study = Study.model_validate(tiny_study(data=data, problem={"type": "regression"}))
    return prepare(study.data.model_dump(), "regression")


def load(table: pd.DataFrame, folder: Path, **options: Any) -> Dataset:
    prepared(table, folder, **options).save(folder / "data")
    return Dataset.load(folder / "data")


def request(method: str, **options: Any) -> SplitsRequest:
    test_fraction = options.pop("test_fraction", 0.2)
    study = Study.model_validate(tiny_study(resampling={"method": method, **options}))
    return SplitsRequest(
        study.resampling.model_dump(), test_fraction, test_seed=0, classification=False
    )


# -- windows --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("length", "horizon", "stride"), [(4, 2, 1), (1, 1, 1), (5, 1, 3)])
def test_windows_are_those_that_brute_force_finds(
    tmp_path: Path, length: int, horizon: int, stride: int
) -> None:
    table = measurements(rows=20)
    sequence = {"length": length, "horizon": horizon, "stride": stride}
    dataset = load(table, tmp_path, sequence=sequence)
    days = sorted(table["day"].unique())
    expected, targets, spans = [], [], []
    for station in (0, 1):
        series = table[table["station"] == station].sort_values("day")
        start = 0
        while start + length + horizon <= len(series):
            window = series.iloc[start : start + length]
            target = series.iloc[start + length + horizon - 1]
            expected.append(window[["bmi", "bp", "target"]].to_numpy(np.float32))
            targets.append(target["target"])
            spans.append([days.index(window["day"].iloc[0]), days.index(target["day"])])
            start += stride
    np.testing.assert_array_equal(dataset.features, np.stack(expected))
    np.testing.assert_array_equal(dataset.targets[:, 0], targets)
    np.testing.assert_array_equal(dataset.spans, spans)


def test_rows_of_windows_are_kept_once(tmp_path: Path) -> None:
    table = measurements(rows=60)
    lonely = table.head(3).assign(station=7, day=["2025-01-01", "2025-01-02", "2025-01-03"])
    dataset = load(pd.concat([table, lonely]), tmp_path, sequence={"length": 20})
    assert dataset.features.shape == (2 * (60 - 20), 20, 3)
    # Not the last row of a series, which no window reaches, nor a series that is too short.
    assert np.load(tmp_path / "data" / "features.npy").shape == (2 * 59, 3)
    assert isinstance(dataset.features, Windows)
    assert isinstance(dataset.features.rows, np.memmap)


def test_windows_are_the_same_data_as_an_array_of_them(tmp_path: Path) -> None:
    windows = load(measurements(), tmp_path)
    copied = replace(windows, features=np.ascontiguousarray(windows.features[:]))
    copied.save(tmp_path / "copied")
    verify(tmp_path / "copied")
    # As earlier versions kept them.
    (tmp_path / "copied" / "starts.npy").unlink()
    file = manifest_file(tmp_path / "copied")
    manifest = Manifest.read(file)
    checksums = {n: c for n, c in (manifest.checksums or {}).items() if n != "starts"}
    replace(manifest, checksums=checksums).write(file)
    found = Dataset.verified(tmp_path / "copied")
    assert isinstance(found.features, np.memmap)
    np.testing.assert_array_equal(found.features, windows.features)
    # Without checksums, data are what their digest is of.
    replace(manifest, checksums=None).write(file)
    assert verify(tmp_path / "copied").digest == windows.digest
    for name in ("starts", "features"):
        DAMAGES["one bit"](array_file(tmp_path / "data", name), tmp_path)
        with pytest.raises(DamagedRecord, match=f"{name}.npy is damaged"):
            mapped_features(array_file(tmp_path / "data", "features"))


def test_some_windows_are_those_of_all(tmp_path: Path) -> None:
    everything, some = load(measurements(), tmp_path), load(measurements(), tmp_path, subset=30)
    assert len(some.features) == 30
    places = np.sort(np.random.default_rng(0).permutation(len(everything.features))[:30])
    np.testing.assert_array_equal(some.features, everything.features[places])
    np.testing.assert_array_equal(some.targets, everything.targets[places])


def test_a_window_never_reaches_from_one_series_into_another(tmp_path: Path) -> None:
    table = measurements(rows=12, stations=3)
    table["bmi"] = table["station"]
    features = load(table, tmp_path).features
    assert (features[..., 0] == features[:, :1, 0]).all()


@pytest.mark.parametrize(
    ("column", "value", "complaint"),
    [
        ("target", np.inf, r"\(inf of target\) in 1 row \(57\); fill them: windows count rows"),
        (
            "target",
            np.nan,
            r"target has 1 missing values, .* row 57; fill them: windows count rows",
        ),
        ("bmi", np.inf, r"infinite features, the first at row 57 \(columns bmi\); fill them"),
        ("weight", -2.0, r"sample weight -2 at row 57"),
    ],
)
def test_what_is_wrong_with_a_window_is_said_of_a_row_of_the_table(
    tmp_path: Path, column: str, value: float, complaint: str
) -> None:
    table = measurements().assign(weight=1.0)
    table = table.sort_values("day")
    # Of the last day: the target of a window, and in none.
    last, rest = table.iloc[[-1]].assign(**{column: value}), table.iloc[:-1]
    mixed = pd.concat([rest.iloc[:57], last, rest.iloc[57:]])
    options: dict[str, Any] = {"features": ["bmi", "bp"], "weight": "weight"}
    with pytest.raises(DataError, match=complaint):
        load(mixed, tmp_path, **options)


def test_an_infinite_value_is_refused_where_missing_ones_are_filled(tmp_path: Path) -> None:
    table = measurements()
    table.loc[[4, 9], "bp"] = [np.nan, np.inf]
    missing = {"numbers": "mean"}
    with pytest.raises(
        DataError, match=r"1 samples with infinite features, .* row 9 .*; fill them$"
    ):
        load(table, tmp_path, missing=missing)


def daily(steps: Any) -> pd.DataFrame:
    """Return measurements of one series with these steps in time, in days."""
    days = np.cumsum(np.r_[0, steps]).astype(int)
    times = np.datetime64("2023-12-20") + days
    values = np.arange(len(times), dtype=float)
    return pd.DataFrame({"day": times.astype(str), "station": 0, "bmi": values, "target": values})


def gaps_told(table: pd.DataFrame, folder: Path, **options: Any) -> list[str]:
    description = prepared(table, folder, **options).description
    assert description is not None
    return [note for note in description.notes if " gap" in note]


WEEKENDS = np.resize([1, 1, 1, 1, 3], 99)
# Every other one a quarter of the usual, as events come.
UNEVEN = np.resize([4, 1, 4, 1, 9], 99)
ONE_GAP = np.r_[np.ones(49), 12, np.ones(49)]


@pytest.mark.parametrize("written", ["%Y-%m-%d", "%Y%m%d", "days", "parquet"])
def test_windows_that_reach_across_a_gap_are_told(tmp_path: Path, written: str) -> None:
    table = daily(ONE_GAP)
    times = pd.to_datetime(table["day"])
    options: dict[str, Any] = {}
    if written == "parquet":
        table["day"] = times.dt.tz_localize("Europe/Vienna")
        table.to_parquet(tmp_path / "measurements.parquet")
        options = {"source": "parquet", "path": str(tmp_path / "measurements.parquet")}
    elif written == "days":
        table["day"] = (times - times.min()).dt.days
    else:
        table["day"] = times.dt.strftime(written)
    # A window and its target, six rows, lie across one step in five places.
    assert gaps_told(table, tmp_path, **options) == [
        "1 gap in time, the longest of 12 times the usual step between rows; windows count rows, "
        "not time, and 5 of 95 reach across a gap (data.sequence): fill the gaps, or name the "
        "stretches between them as series (data.groups)"
    ]
    # As the message says.
    stretches = table.assign(station=np.arange(100) >= 50)
    if written == "parquet":
        stretches.to_parquet(tmp_path / "measurements.parquet")
    assert not gaps_told(stretches, tmp_path, **options)


@pytest.mark.parametrize(
    "times",
    [
        daily(np.ones(99))["day"],
        daily(WEEKENDS)["day"],
        daily(UNEVEN)["day"],
        pd.Series(pd.date_range("2000-01-01", periods=100, freq="MS").strftime("%Y%m")),
        pd.Series(pd.date_range("2000-01-01", periods=100, freq="MS").strftime("%Y-%m-%d")),
        pd.Series(pd.date_range("2023-12-30", periods=100, freq="h").strftime("%Y%m%d%H")),
        pd.Series(np.arange(1900, 2000)),
        pd.Series(1958 + np.arange(100) / 12),
    ],
    ids=["days", "weekdays", "uneven", "YYYYMM", "months", "YYYYMMDDHH", "years", "parts of years"],
)
def test_times_without_gaps_are_not_told(tmp_path: Path, times: pd.Series) -> None:
    assert not gaps_told(daily(np.ones(99)).assign(day=times), tmp_path)


def test_a_column_of_a_window_is_scaled_alike_at_all_places(tmp_path: Path) -> None:
    dataset = load(measurements(), tmp_path)
    fitted = preprocessing.fit({"normalise": "standard"}, dataset, np.arange(len(dataset.features)))
    assert fitted.scaling.center.shape == (3,)
    scaled = fitted.apply(dataset.features)
    np.testing.assert_allclose(scaled.reshape(-1, 3).mean(axis=0), 0, atol=1e-5)


def test_windows_may_hold_gaps_and_categories(tmp_path: Path) -> None:
    table = measurements()
    table["wind"] = np.where(table["bp"] > 0, "north", "south")
    table.loc[::7, "bmi"] = np.nan
    dataset = load(table, tmp_path, missing={"numbers": "mean"})
    missing = {"numbers": "mean", "categories": "own", "indicator": False}
    rows = np.arange(50)
    fitted = preprocessing.fit({"normalise": "standard", "missing": missing}, dataset, rows)
    features = fitted.apply(dataset.features)
    assert features.shape[1:] == (4, 5) == fitted.shape(dataset.features.shape[1:])
    assert np.isfinite(features).all()
    ModelInputs.of(dataset, fitted).save(tmp_path / "preprocessing.json")
    model_inputs = ModelInputs.load(tmp_path / "preprocessing.json")
    inputs, ends = model_inputs.from_table(table), model_inputs.last_rows(table)
    # Two more windows at each end than have a target.
    assert len(inputs) == len(ends) == len(features) + 2 * 2
    np.testing.assert_array_equal(inputs[:55], fitted.encode(dataset.features)[:55])
    assert table.loc[ends[0], "day"] == "2024-01-04"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda t: t.assign(station=1), "has the same time as another one of its series"),
        (lambda t: t.assign(day="soon"), r"day \(data\.time\) has 'soon' in row 0"),
        (lambda t: t.head(3), "longest series has . rows, a window with its target needs 6"),
    ],
)
def test_rows_without_an_order_are_refused(tmp_path: Path, change: Any, complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        load(change(measurements()), tmp_path)


# -- splits ---------------------------------------------------------------------------------------


def known_times(dataset: Dataset, rows: Any) -> set[int]:
    """Return every point in time that these samples know, targets included."""
    assert dataset.spans is not None
    return {
        time for row in rows for time in range(dataset.spans[row, 0], dataset.spans[row, 1] + 1)
    }


@pytest.mark.parametrize("method", ["blocked", "forward"])
@pytest.mark.parametrize(("length", "horizon", "stride", "gap"), [(4, 2, 1, 0), (6, 1, 4, 2)])
def test_no_point_in_time_is_known_on_both_sides(
    tmp_path: Path, method: str, length: int, horizon: int, stride: int, gap: int
) -> None:
    sequence = {"length": length, "horizon": horizon, "stride": stride}
    dataset = load(measurements(), tmp_path, sequence=sequence)
    splits = make_splits(dataset, request(method, folds=3, gap=gap))
    pairs = [(split.training, split.validation) for split in splits.by_name.values()]
    pairs.append((splits.by_name[FINAL].training, splits.test))
    assert len(splits.by_name) == 3 + 1
    for one, other in pairs:
        ours, theirs = known_times(dataset, one), known_times(dataset, other)
        assert not ours & theirs
        if theirs:
            assert min(abs(a - b) for a in ours for b in theirs) > gap


@pytest.mark.parametrize("method", ["blocked", "forward"])
def test_stages_have_splits_by_time_of_their_own(tmp_path: Path, method: str) -> None:
    search = {
        "space": {"mlp.units": [4, 8]},
        "explore": {"training_fraction": 0.5},
        "confirm": {"folds": 4},
    }
    plan = {"method": method, "folds": 3}
    study = Study.model_validate(tiny_study(search=search, resampling=plan))
    dataset = load(measurements(), tmp_path)
    asked = replace(
        request(method, folds=3), training_fractions=(0.5,), confirm=confirming_plan(study)
    )
    splits = make_splits(dataset, asked)
    search_splits = {f"r0f{fold}" for fold in range(3)}
    reduced = {f"{name}@0.5" for name in search_splits}
    confirming = {f"c0f{fold}" for fold in range(4)}
    assert set(splits.by_name) == {*search_splits, *reduced, *confirming, FINAL}
    for name in search_splits:
        whole, half = splits.by_name[name], splits.by_name[f"{name}@0.5"]
        assert set(half.training) < set(whole.training)
        np.testing.assert_array_equal(half.validation, whole.validation)
    seen = {split.digest for name, split in splits.by_name.items() if name in search_splits}
    for name in confirming:
        split = splits.by_name[name]
        assert split.digest not in seen
        known = known_times(dataset, split.training)
        assert not known & known_times(dataset, split.validation)


def test_forward_validates_only_with_what_comes_later(tmp_path: Path) -> None:
    dataset = load(measurements(), tmp_path)
    splits = make_splits(dataset, request("forward", folds=3))
    folds = [split for name, split in splits.by_name.items() if name != FINAL]
    for split in folds:
        assert max(known_times(dataset, split.training)) < min(
            known_times(dataset, split.validation)
        )
    for earlier, later in pairwise(folds):
        assert set(earlier.training) < set(later.training)
    assert dataset.spans is not None
    assert (
        dataset.spans[splits.test, 1].min() > dataset.spans[splits.by_name[FINAL].training, 1].max()
    )


def test_blocked_validates_every_sample_once_and_each_block_is_one_stretch(tmp_path: Path) -> None:
    dataset = load(measurements(), tmp_path)
    splits = make_splits(dataset, request("blocked", folds=4))
    folds = [split for name, split in splits.by_name.items() if name != FINAL]
    together = np.sort(np.concatenate([split.validation for split in folds]))
    np.testing.assert_array_equal(together, splits.by_name[FINAL].training)
    assert dataset.spans is not None
    ends = [dataset.spans[split.validation, 1] for split in folds]
    assert all(a.max() < b.min() for a, b in pairwise(ends))


@pytest.mark.parametrize("method", ["blocked", "forward"])
def test_without_times_the_order_of_the_samples_counts(method: str) -> None:
    study = Study.model_validate(
        tiny_study(data={"source": "diabetes"}, problem={"type": "regression"})
    )
    dataset = prepare(study.data.model_dump(), "regression")
    splits = make_splits(dataset, request(method, folds=4, gap=3))
    np.testing.assert_array_equal(splits.test, np.arange(442 - len(splits.test), 442))
    for split in splits.by_name.values():
        if split.validation.size:
            assert (np.diff(split.validation) == 1).all()
            assert np.abs(split.training[:, None] - split.validation).min() == 4


def test_check_refuses_samples_that_know_the_same_time(tmp_path: Path) -> None:
    dataset = load(measurements(), tmp_path)
    splits = make_splits(dataset, request("blocked", folds=3))
    split = splits.by_name["r0f1"]
    lost = np.setdiff1d(splits.by_name[FINAL].training, np.r_[split.training, split.validation])
    bad = Split(np.union1d(split.training, lost[:1]), split.validation)
    with pytest.raises(DataError, match="r0f1: samples of both parts know the same point in time"):
        check(splits.__class__(splits.test, splits.by_name | {"r0f1": bad}), dataset, "blocked")


def test_more_folds_than_points_in_time_are_refused(tmp_path: Path) -> None:
    dataset = load(measurements(rows=12), tmp_path)
    with pytest.raises(DataError, match=r"^14 samples can't be split as"):
        make_splits(dataset, request("blocked", folds=30))


spans = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 5)), max_size=8)


@settings(deadline=None, max_examples=300)
@given(one=spans, other=spans)
def test_shared_times_are_found_like_by_comparing_all_pairs(one: Any, other: Any) -> None:
    table = np.array([(first, first + more) for first, more in [*one, *other]]).reshape(-1, 2)
    rows = np.arange(len(table))
    expected = any(max(a, c) <= min(a + b, c + d) for a, b in one for c, d in other)
    assert share_time(table, rows[: len(one)], rows[len(one) :]) == expected
