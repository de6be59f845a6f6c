"""After the study: predictions for raw samples, export, and the ensemble of the split models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from finalmodels import save
from recorded import selected
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
