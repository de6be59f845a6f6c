"""After the study: predictions for raw samples, export, and the ensemble of the split models."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from finalmodels import save
from recorded import selected
from sklearn import metrics
from workbench import prepare_bench

from gridfold.errors import DataError
from gridfold.final import fit
from gridfold.final.ensemble import fit_ensemble
from gridfold.final.inference import FinalModel, NotReady
from gridfold.paths import FinalModelPaths
from gridfold.plan.job_requests import JobRequests


def test_an_unfinished_study_has_no_model(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match="has no final model; run the study first"):
        FinalModel.load(tmp_path)


def test_a_model_predicts_at_the_threshold_that_it_was_judged_at(tmp_path: Path) -> None:
    threshold = 0.3
    bench = prepare_bench(
        tmp_path,
        {
            "study": "tumours",
            "data": {"source": "breast_cancer", "normalise": "standard", "subset": 150},
            "problem": {
                "type": "binary",
                "positive": "malignant",
                "threshold": threshold,
                "measures": ["sensitivity", "cohen_kappa"],
            },
            "model": {"mlp": {"units": 4}},
            "training": {"epochs": 4, "learning_rate": 0.01},
            "resampling": {"method": "kfold", "folds": 2},
            "final": {"ensemble": True},
        },
    )
    bench.train(bench.work(), bench.work(split="r0f1"))
    (configuration,) = bench.plan.configurations
    selection = selected(configuration.id, configuration.label, final_epochs=4)
    paths, request = bench.plan.paths, JobRequests(bench.plan).ensemble()
    files = paths.final_model
    together = fit_ensemble(request, selection, paths, 0)
    names = list(together.members)
    together.save(
        [str(files.member(name)) for name in names],
        [str(files.member_preprocessing(name)) for name in names],
        str(tmp_path / "ensemble.json"),
    )
    result = fit.fit_final(request, selection, paths, 0, together.scores)
    kinds = ("model", "preprocessing", "card", "card_text", "inside", "importance")
    result.save(
        {kind: str(getattr(files, kind)) for kind in kinds}
        | {"predictions": str(files.test_predictions)}
    )
    test = bench.splits.test
    np.save(tmp_path / "rows.npy", np.load(paths.data / "features.npy")[test])
    truth = np.load(paths.data / "targets.npy")[test]
    for ensemble, told in ((False, result.card.test), (True, together.scores.test)):
        answer = FinalModel.load(paths.root, ensemble=ensemble).predict(tmp_path / "rows.npy")
        positive = answer["p(malignant)"] >= threshold
        assert ((answer["prediction"] == "malignant") == positive).all()
        assert not (positive == (answer["p(malignant)"] >= 0.5)).all()
        assert told is not None
        assert told.score == pytest.approx(metrics.accuracy_score(truth, positive))
        recall = metrics.recall_score(truth, positive)
        assert told.further["sensitivity"].score == pytest.approx(recall)
        # Wilson's interval, and the bootstrap.
        for found in (told, told.further["sensitivity"], told.further["cohen_kappa"]):
            assert found.low <= found.score <= found.high
    # What a feature is worth is lost of the very score.
    known = pd.read_parquet(files.importance)
    share = known["importance"] * len(truth) * known["shuffles"]
    np.testing.assert_allclose(share, share.round(), atol=1e-6)
    said = "A sample is predicted as malignant from a probability of 0.3 on."
    assert said in files.card_text.read_text()
    # A card of an earlier version knows no threshold.
    card = json.loads(files.card.read_text())
    assert card.pop("threshold") == threshold
    del card["checksum"]
    files.card.write_text(json.dumps(card))
    answer = FinalModel.load(paths.root).predict(tmp_path / "rows.npy")
    assert ((answer["prediction"] == "malignant") == (answer["p(malignant)"] >= 0.5)).all()


def test_several_outputs_come_back_in_their_units(tmp_path: Path) -> None:
    bench = prepare_bench(
        tmp_path,
        {
            "study": "outputs",
            "data": {"source": "linnerud", "scale_targets": "minmax"},
            "problem": {"type": "multi_output"},
            "model": {"mlp": {"units": 8}},
            "training": {"epochs": 2},
            "resampling": {"method": "kfold", "folds": 2},
            "final": {"ensemble": True},
        },
    )
    bench.train(bench.work(), bench.work(split="r0f1"))
    (configuration,) = bench.plan.configurations
    selection = selected(configuration.id, configuration.label, final_epochs=2)
    request = JobRequests(bench.plan).ensemble()
    folder = tmp_path / "final"
    together = fit_ensemble(request, selection, bench.plan.paths, 0)
    members = [str(folder / "ensemble" / f"{name}.keras") for name in together.members]
    together.save(members, [f"{file[:-6]}.json" for file in members], str(folder / "e.json"))
    result = fit.fit_final(request, selection, bench.plan.paths, 0, together.scores)
    save(result, FinalModelPaths(folder))
    raw = np.load(bench.plan.paths.data / "features.npy")
    np.savez(tmp_path / "raw.npz", x=raw, other=raw)
    units = np.load(bench.plan.paths.data / "targets.npy")
    for ensemble in (False, True):
        answer = FinalModel.load(folder, ensemble=ensemble).predict(tmp_path / "raw.npz")
        assert list(answer) == ["Weight", "Waist", "Pulse"]
        assert (answer.mean() / units.mean(axis=0)).between(0.5, 2).all()
    test = result.predictions
    scaled = np.stack(test["prediction"].to_list())
    scaling = result.card.output_scaling
    expected = scaled / np.array(scaling.scale) + np.array(scaling.center)
    single = FinalModel.load(folder).predict(tmp_path / "raw.npz")
    np.testing.assert_allclose(single.to_numpy()[test["sample"]], expected, rtol=1e-4)
    np.savez(tmp_path / "two.npz", a=raw, b=raw)
    with pytest.raises(DataError, match=r"name one with --array: a, b"):
        FinalModel.load(folder).predict(tmp_path / "two.npz")
