"""Comparisons: against published examples, SciPy, scikit-posthocs and simulated studies."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import scikit_posthocs
from scipy import integrate, stats

from gridfold.requests import SummaryRequest
from gridfold.statistics.intervals import mean_interval, paired_p_value
from gridfold.statistics.moderated import NO_PRIOR, PairedTest
from gridfold.statistics.pairwise import (
    compare_with_selected,
    paired_effects,
    smallest_wilcoxon_p,
    wilcoxon_obstacle,
)
from gridfold.statistics.ranks import effective_blocks, mean_ranks, rank_test
from gridfold.statistics.scientific import scientific_values
from gridfold.statistics.scored import Scored
from gridfold.statistics.summary import summarise

Floats = npt.NDArray[np.float64]

# Demšar (2006), table 6: AUC of C4.5, with m, with cf, and with both, on 14 data sets. Of voting,
# 0.975 is printed twice, with ranks 2 and 3.
DEMSAR = pd.DataFrame(
    [
        (0.763, 0.768, 0.771, 0.798),
        (0.599, 0.591, 0.590, 0.569),
        (0.954, 0.971, 0.968, 0.967),
        (0.628, 0.661, 0.654, 0.657),
        (0.882, 0.888, 0.886, 0.898),
        (0.936, 0.931, 0.916, 0.931),
        (0.661, 0.668, 0.609, 0.685),
        (0.583, 0.583, 0.563, 0.625),
        (0.775, 0.838, 0.866, 0.875),
        (1.000, 1.000, 1.000, 1.000),
        (0.940, 0.962, 0.965, 0.962),
        (0.619, 0.666, 0.614, 0.669),
        (0.972, 0.981, 0.9751, 0.975),
        (0.957, 0.978, 0.946, 0.970),
    ],
    columns=["C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf"],
)


def scored(scores: Floats, *, folds: int, repeats: int = 1, measure: str = "accuracy") -> Scored:
    """Return scores of shape (splits, configurations) as those of a study, best first."""
    names = [f"r{r}f{f}" for r in range(repeats) for f in range(folds)]
    table = pd.DataFrame(scores, index=names).rename(columns=str)
    return Scored(table, 1 / (folds - 1), measure, 0.95, repeats)


def paired_effect(
    differences: npt.ArrayLike, ratio: float, confidence: float, least: float = 0.0
) -> tuple[float, float, float]:
    """Return the effect size of one pair, of which no other pair says anything."""
    values = np.asarray(differences, float)
    found = PairedTest(NO_PRIOR, ratio, least, 1).differences(
        values[:, None], np.zeros(len(values))
    )
    d, low, high = (float(part[0]) for part in paired_effects(found, 1, confidence))
    return d, low, high


def correlated(studies: int, folds: int, repeats: int, configurations: int, seed: int) -> Floats:
    """Return scores of equally good configurations: shape (studies, splits, configurations).

    Gaussian, correlated between splits as Nadeau & Bengio (2003) assume: by the share of the
    samples that are validated, 1 / folds.
    """
    random, rho = np.random.default_rng(seed), 1 / folds
    common = random.normal(size=(studies, 1, configurations)) * math.sqrt(rho)
    own = random.normal(size=(studies, folds * repeats, configurations)) * math.sqrt(1 - rho)
    return np.asarray(common + own)


# -- ranks: Demšar's example ----------------------------------------------------------------------


def test_ranks_friedman_and_critical_difference_are_those_of_demsar() -> None:
    test = rank_test(DEMSAR, len(DEMSAR), 0.05)
    assert list(test.ranks.values()) == pytest.approx([3.143, 2.000, 2.893, 1.964], abs=5e-4)
    assert test.chi_square == pytest.approx(9.28, abs=5e-3)
    assert test.f == pytest.approx(3.69, abs=5e-3)
    assert test.critical_difference == pytest.approx(1.25, abs=5e-3)
    # "The critical value for α = 0.10 ... CD is 1.12."
    assert rank_test(DEMSAR, 14, 0.10).critical_difference == pytest.approx(1.12, abs=5e-3)


def test_without_ties_friedmans_test_is_that_of_scipy() -> None:
    scores = np.random.default_rng(0).normal(size=(12, 5))
    found = rank_test(pd.DataFrame(scores), 12, 0.05)
    expected = stats.friedmanchisquare(*scores.T)
    assert (found.chi_square, found.p_value) == pytest.approx((expected.statistic, expected.pvalue))


def test_p_values_of_pairs_are_those_of_scikit_posthocs() -> None:
    found = rank_test(DEMSAR, 14, 0.05).pair_p_values()
    expected = scikit_posthocs.posthoc_nemenyi_friedman(DEMSAR)
    np.testing.assert_allclose(found.to_numpy(), expected.to_numpy(), atol=2e-3)


def test_a_pair_further_apart_than_the_critical_difference_is_significant_and_no_other() -> None:
    test = rank_test(DEMSAR, 14, 0.10)
    ranks = np.array(list(test.ranks.values()))
    apart = np.abs(ranks[:, None] - ranks) > test.critical_difference
    assert (test.pair_p_values().to_numpy() < 0.10).tolist() == apart.tolist()
    assert apart.any()


def test_the_largest_score_has_rank_1_and_ties_share_theirs() -> None:
    assert mean_ranks(np.array([[0.9, 0.7, 0.7, 0.8]])).tolist() == [1, 3.5, 3.5, 2]


def test_where_ranks_can_not_differ_enough_the_test_says_so() -> None:
    wide = pd.DataFrame(np.tile(np.arange(10.0), (5, 1)))
    assert not rank_test(wide, 1 / (1 / 5 + 1 / 4), 0.05).can_separate
    assert rank_test(DEMSAR, 14, 0.05).can_separate


# -- the table ------------------------------------------------------------------------------------


def test_the_table_has_a_row_for_each_configuration_in_their_order() -> None:
    scores = np.array([[0.9, 0.7, 0.8], [0.8, 0.9, 0.6], [0.9, 0.8, 0.7]])
    table = compare_with_selected(scored(scores, folds=3), {"0": "a", "1": "b", "2": "c"})
    assert table["rank"].tolist() == [1, 2, 3]
    assert table["config_id"].tolist() == ["0", "1", "2"]
    assert table["label"].tolist() == ["a", "b", "c"]
    assert table["mean_rank"].tolist() == pytest.approx([4 / 3, 2, 8 / 3])
    # The selected one is better on two of three splits, and on all.
    assert table["superiority"].tolist()[1:] == pytest.approx([2 / 3, 1])
    itself = table.iloc[0][["difference_low", "p_value", "effect_size", "superiority"]]
    assert itself.isna().all()
    without = compare_with_selected(scored(np.empty((3, 0)), folds=3), {})
    assert list(without.columns) == [*table.columns, "chosen"]


def test_the_table_has_effects_ties_and_the_p_value_of_all_pairs() -> None:
    scores = np.array([[0.9, 0.9, 0.8], [0.8, 0.6, 0.6], [0.9, 0.7, 0.6], [0.7, 0.6, 0.8]])
    several = scored(scores, folds=4)
    table = compare_with_selected(several, {"0": "a", "1": "b", "2": "c"})
    assert table["superiority"][1] == pytest.approx(3.5 / 4), "a tie is half a win"
    moderated = several.test.differences(scores, scores[:, 0])
    d, low, high = paired_effects(moderated, -1, 0.95)
    row = table.loc[1, ["effect_size", "effect_low", "effect_high"]]
    assert row.tolist() == pytest.approx([d[1], low[1], high[1]])
    assert d[1] == pytest.approx(
        (scores[:, 0] - scores[:, 1]).mean() / moderated.variance[1] ** 0.5
    )
    # Three configurations make three pairs.
    np.testing.assert_allclose(table["p_any_pair"][1:], np.minimum(3 * table["p_value"][1:], 1))


# -- Wilcoxon: only where it has a say ------------------------------------------------------------


@pytest.mark.parametrize("splits", range(2, 10))
def test_the_smallest_p_value_is_the_one_that_scipy_gives_when_every_split_agrees(
    splits: int,
) -> None:
    expected = stats.wilcoxon(np.arange(1, splits + 1), method="exact").pvalue
    assert smallest_wilcoxon_p(splits) == pytest.approx(expected)


def test_no_p_value_is_above_one() -> None:
    assert smallest_wilcoxon_p(0) == 1


def test_five_splits_can_not_reach_significance_and_six_can_with_one_comparison() -> None:
    assert "0.0625, above 0.05" in wilcoxon_obstacle(5, 1, 1, 0.05)
    assert wilcoxon_obstacle(6, 1, 1, 0.05) == ""
    assert "2 comparisons adjust to 0.0625" in wilcoxon_obstacle(6, 1, 2, 0.05)
    assert "independent" in wilcoxon_obstacle(100, 10, 1, 0.05)


def test_where_it_has_no_say_there_is_no_p_value_at_all() -> None:
    random = np.random.default_rng(0)
    few, many = (
        compare_with_selected(scored(random.normal(size=(n, 3)), folds=n), dict.fromkeys("012", ""))
        for n in (5, 10)
    )
    assert few["wilcoxon_p"].isna().all()
    assert many["wilcoxon_p"].notna().tolist() == [False, True, True]


def test_its_p_values_are_those_of_scipy_adjusted() -> None:
    scores = np.random.default_rng(1).normal([1, 0, 0.5], size=(10, 3))
    found = compare_with_selected(scored(scores, folds=10), dict.fromkeys("012", ""))
    alone = sorted(stats.wilcoxon(scores[:, 0], scores[:, i]).pvalue for i in (1, 2))
    assert sorted(found["wilcoxon_p"].dropna()) == pytest.approx(
        [2 * alone[0], max(2 * alone[0], alone[1])]
    )


# -- effect sizes ---------------------------------------------------------------------------------


def test_the_effect_is_mean_over_standard_deviation() -> None:
    d, _, _ = paired_effect([1, 2, 3, 4, 5], 0.25, 0.95)
    assert d == pytest.approx(3 / math.sqrt(2.5))


def test_its_limits_are_noncentralities_at_which_t_would_just_be_surprising() -> None:
    differences = np.random.default_rng(2).normal(0.7, 1, 12)
    d, low, high = paired_effect(differences, 0, 0.95)
    t, _ = stats.ttest_1samp(differences, 0)
    assert t == pytest.approx(d * math.sqrt(12))

    def chance_below(noncentrality: float) -> float:
        # (Z + noncentrality) / sqrt(V / 11) < t, integrated over the chi-square V.
        value, _ = integrate.quad(
            lambda v: stats.norm.cdf(t * math.sqrt(v / 11) - noncentrality) * stats.chi2.pdf(v, 11),
            0,
            np.inf,
        )
        return float(value)

    assert chance_below(low * math.sqrt(12)) == pytest.approx(0.975, abs=1e-4)
    assert chance_below(high * math.sqrt(12)) == pytest.approx(0.025, abs=1e-4)


def test_its_interval_holds_the_true_effect_as_often_as_it_promises() -> None:
    random, hits = np.random.default_rng(3), []
    for _ in range(300):
        _, low, high = paired_effect(random.normal(0.5, 1, 10), 0, 0.95)
        hits.append(low <= 0.5 <= high)
    assert np.mean(hits) == pytest.approx(0.95, abs=0.035)


def test_it_excludes_0_exactly_where_the_corrected_test_finds_a_difference() -> None:
    random, outcomes = np.random.default_rng(4), set()
    for shift in np.linspace(0, 3, 30):
        differences = random.normal(shift, 1, 8)
        _, low, high = paired_effect(differences, 1 / 7, 0.95)
        significant = paired_p_value(differences, np.zeros(8), 1 / 7) < 0.05
        assert significant == (low > 0 or high < 0)
        outcomes.add(significant)
    assert outcomes == {True, False}


@pytest.mark.parametrize("differences", [[], [1.0], [2.0, 2.0, 2.0]])
def test_without_spread_there_is_no_effect_size(differences: list[float]) -> None:
    assert all(map(math.isnan, paired_effect(differences, 0.25, 0.95)))


@pytest.mark.parametrize("more", [1, 2, -3])
def test_differences_that_are_equal_up_to_rounding_have_a_finite_effect(more: int) -> None:
    right = np.array([36, 34, 32])
    difference = (right + more) / 40 - right / 40
    assert np.ptp(difference) < 1e-15
    least = 2 / 12 / 40**2
    d, low, high = paired_effect(difference, 1 / 2, 0.95, least)
    assert d == pytest.approx(more / 40 / math.sqrt(least))
    assert low < d < high
    # Without a resolution nothing can be said, and nothing fails.
    paired_effect(difference, 1 / 2, 0.95)


def table_of(scores: dict[str, list[float]], measure: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the tables of trials and configurations of a study with these scores by split."""
    trials = pd.DataFrame(
        {
            "config_id": config,
            "split": f"r0f{fold}",
            "label": config,
            "model": "mlp",
            "status": "finished",
            "epochs_trained": 1,
            "best_epoch": 1,
            "n_train": 80,
            "n_validation": 20,
            "parameters": 1,
            "fit_seconds": 1.0,
            measure: score,
        }
        for config, values in scores.items()
        for fold, score in enumerate(values)
    )
    return trials, summarise(trials, SummaryRequest(measure, 0.95))


def test_splits_without_a_score_are_in_no_comparison() -> None:
    nan = math.nan
    trials, configurations = table_of(
        {"a": [0.9, nan, 0.8, 0.85, nan], "b": [0.7, nan, 0.75, 0.6, nan]}, "roc_auc"
    )
    found = Scored.of(trials, configurations, "roc_auc", 0.95)
    assert list(found.scores.index) == ["r0f0", "r0f2", "r0f3"]
    assert found.undefined == ("r0f1", "r0f4")
    table = compare_with_selected(found, {"a": "a", "b": "b"})
    assert table["mean_rank"].tolist() == [1, 2]
    assert table["n_splits"].tolist() == [3, 3]


def test_one_configuration_without_a_score_on_a_split_does_not_spoil_the_ranks() -> None:
    scores = np.array([[0.9, 0.8], [math.nan, 0.7], [0.6, 0.7]])
    assert mean_ranks(scores).tolist() == [1.5, 1.5]
    assert np.isnan(mean_ranks(scores[1:2])).all()


def test_one_more_right_on_each_split_is_no_proof() -> None:
    best = [19 / 20, 18 / 20, 17 / 20, 18 / 20]
    other = [score - 1 / 20 for score in best]
    trials, configurations = table_of({"a": best, "b": other}, "accuracy")
    found = Scored.of(trials, configurations, "accuracy", 0.95)
    row = compare_with_selected(found, {"a": "a", "b": "b"}).iloc[1]
    assert 0.001 < row["p_value"] == configurations["p_value"].iloc[1]
    assert row["difference_low"] < -0.05 < row["difference_high"]


@pytest.mark.parametrize("measure", ["accuracy", "mse"])
def test_effects_are_positive_where_the_selected_configuration_is_better(measure: str) -> None:
    sign = 1 if measure == "accuracy" else -1
    scores = np.random.default_rng(5).normal([2 * sign, 0], 0.5, size=(6, 2))
    row = compare_with_selected(scored(scores, folds=6, measure=measure), {"0": "a", "1": "b"})
    assert row["effect_size"].iloc[1] > 0
    assert row["superiority"].iloc[1] == 1
    assert np.sign(row["difference"].iloc[1]) == -sign
    assert row["mean_rank"].tolist() == [1, 2]


# -- the paired test under the null: 10 x 10 folds ------------------------------------------------


def test_for_repeated_folds_it_is_the_test_of_bouckaert_and_frank() -> None:
    """Their equation for r x k folds: t = mean / sqrt((1/(rk) + n2/n1) var), rk - 1 degrees."""
    x = np.random.default_rng(6).normal(0.2, 1, 100)
    t = x.mean() / math.sqrt((1 / 100 + 1 / 9) * x.var(ddof=1))
    expected = 2 * stats.t.sf(abs(t), 99)
    assert paired_p_value(x, np.zeros(100), 1 / 9) == pytest.approx(expected)


def test_of_ten_times_ten_folds_one_in_twenty_is_wrong() -> None:
    scores = correlated(2000, 10, 10, 2, seed=7)
    wrong = np.mean([paired_p_value(a, b, 1 / 9) < 0.05 for a, b in scores.transpose(0, 2, 1)])
    assert 0.03 <= wrong <= 0.07


def test_intervals_of_ten_times_ten_folds_cover_what_they_promise() -> None:
    scores = correlated(2000, 10, 10, 1, seed=8)[:, :, 0]
    intervals = [mean_interval(s, 1 / 9, 0.95) for s in scores]
    assert 0.93 <= np.mean([i.low <= 0 <= i.high for i in intervals]) <= 0.97


def fold_errors(x: Floats, y: Floats, repeats: int, random: np.random.Generator) -> Floats:
    """Return the MSE of a regression on each of `x` (features, samples) in repeats x 10 folds."""
    samples, errors = len(y), []
    for _ in range(repeats):
        folds = random.permutation(samples).reshape(10, -1)
        for part in folds:
            rest = np.setdiff1d(np.arange(samples), part)
            slope = (x[:, rest] @ y[rest]) / np.square(x[:, rest]).sum(axis=1)
            errors.append(np.square(y[part] - slope[:, None] * x[:, part]).mean(axis=1))
    return np.array(errors)


def test_two_equally_good_learners_are_rarely_told_apart() -> None:
    """Real learners on real splits: regressions on either of two exchangeable features."""
    random = np.random.default_rng(9)
    wrong, plain_wrong = [], []
    for _ in range(300):
        x = random.normal(size=(2, 100))
        y = x.sum(axis=0) + random.normal(size=100)
        errors = fold_errors(x, y, 10, random)
        p, plain = (paired_p_value(*errors.T, ratio) for ratio in (1 / 9, 0))
        wrong.append(p < 0.05)
        plain_wrong.append(plain < 0.05)
    assert np.mean(wrong) <= 0.07
    assert np.mean(plain_wrong) > 0.2


# -- many comparisons with a reference that was picked --------------------------------------------


@pytest.mark.parametrize(("folds", "repeats"), [(10, 10), (5, 1)])
def test_only_the_correction_for_all_pairs_survives_that_the_best_was_picked(
    folds: int, repeats: int
) -> None:
    holm_wrong, strict_wrong = [], []
    for study in correlated(100, folds, repeats, 16, seed=10):
        best_first = study[:, np.argsort(-study.mean(axis=0))]
        table = compare_with_selected(
            scored(best_first, folds=folds, repeats=repeats),
            {str(i): "" for i in range(16)},
        )
        holm_wrong.append((table["p_holm"] < 0.05).any())
        strict_wrong.append((table["p_any_pair"] < 0.05).any())
    assert np.mean(holm_wrong) > 0.08
    assert np.mean(strict_wrong) <= 0.07


@pytest.mark.parametrize(("folds", "repeats"), [(10, 10), (5, 1), (5, 3)])
def test_rank_tests_allow_for_shared_training_samples(folds: int, repeats: int) -> None:
    wrong, plain_wrong = [], []
    for study in correlated(200, folds, repeats, 5, seed=11):
        data = scored(study, folds=folds, repeats=repeats)
        blocks = effective_blocks(len(study), data.ratio)
        wrong.append(rank_test(data.scores, blocks, 0.05).p_value < 0.05)
        plain_wrong.append(rank_test(data.scores, len(study), 0.05).p_value < 0.05)
    assert np.mean(wrong) <= 0.07
    assert np.mean(plain_wrong) > 0.15


# -- value by value -------------------------------------------------------------------------------


def values(role: str = "scientific") -> pd.DataFrame:
    """Return the best at each value of two axes in a study of 2 x 2 configurations."""
    scores = np.array(
        [[0.90, 0.85, 0.80, 0.70], [0.92, 0.84, 0.83, 0.71], [0.91, 0.86, 0.79, 0.75]]
    )
    table = pd.DataFrame(
        {
            "config_id": list("0123"),
            "label": list("abcd"),
            "model": "mlp",
            "mlp.units": [8, 4, 8, 4],
            "training.learning_rate": [0.1, 0.1, 0.01, 0.01],
            "accuracy_mean": scores.mean(axis=0),
            "accuracy_low": 0.0,
            "accuracy_high": 1.0,
        }
    )
    space = {
        "mlp.units": {"grid": [4, 8], "role": "scientific"},
        "training.learning_rate": {"grid": [0.01, 0.1], "role": role},
    }
    return scientific_values(scored(scores, folds=3), table, space)


def test_each_scientific_value_is_represented_by_its_best_over_the_nuisance_axes() -> None:
    found = values(role="nuisance")
    assert found["axis"].unique().tolist() == ["mlp.units"]
    assert found["value"].tolist() == ["4", "8"]
    assert found["config_id"].tolist() == ["1", "0"]
    assert found["n_configurations"].tolist() == [2, 2]
    assert found["difference"].tolist() == pytest.approx([-0.06, 0])
    assert found["p_any_pair"].isna().tolist() == [False, True]


def test_nuisance_axes_are_not_asked_about_and_scientific_ones_all_are() -> None:
    assert set(values()["axis"]) == {"mlp.units", "training.learning_rate"}
