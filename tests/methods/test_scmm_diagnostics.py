from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
import torch

from affectrum.errors import ConfigError
from affectrum.methods.scmm.diagnostics import diagnose_soft_weights
from affectrum.methods.scmm.estimator import SCMM
from affectrum.methods.scmm.weights import soft_assignments
from affectrum.protocols.access import Access, Grant
from affectrum.windows import Windows


def drifting(
    n_subjects: int = 4, n_trials: int = 4, n_windows: int = 40
) -> tuple[Windows, np.ndarray]:
    """A random walk within each trial, a class pattern and an offset per subject."""
    rng = np.random.default_rng(0)
    pattern = rng.normal(size=(2, 8, 5))
    x, rows, y = [], [], []
    for subject in range(1, n_subjects + 1):
        of_subject = 0.5 * rng.normal(size=(8, 5))
        for trial in range(1, n_trials + 1):
            walk = 0.3 * rng.normal(size=(n_windows, 8, 5)).cumsum(axis=0)
            x.append(pattern[trial % 2] + of_subject + walk)
            y += [trial % 2] * n_windows
            rows += [
                {"subject": subject, "trial": trial, "window": w, "start_s": float(w)}
                for w in range(n_windows)
            ]
    windows = Windows.from_arrays(
        np.concatenate(x).astype(np.float32),
        pd.DataFrame(rows),
        sfreq=None,
        channels=[f"E{number}" for number in range(8)],
    )
    return windows, np.array(y)


def test_weights_fall_with_time_and_follow_class_and_subject() -> None:
    windows, y = drifting()
    found = diagnose_soft_weights(
        windows, y, upper_bound=0.5, sharpness=0.2, batch_size=128, n_batches=20
    )
    in_time = found.by_time.dropna()["mean_weight"].to_numpy()
    assert len(in_time) > 4
    assert (np.diff(in_time) < 0).all()
    table = found.by_relation.set_index(["relation", "classes"])["mean_weight"]
    assert table["same trial", "same class"] > table["same subject, other trial", "same class"]
    assert (
        table["same subject, other trial", "same class"]
        > table["same subject, other trial", "other class"]
    )
    assert table["other subject", "same class"] > table["other subject", "other class"]


def test_equal_to_a_count_pair_by_pair() -> None:
    windows, y = drifting(2, 2, 6)
    found = diagnose_soft_weights(
        windows,
        y,
        upper_bound=0.5,
        sharpness=0.3,
        scaling="column",
        batch_size=24,
        n_batches=1,
        time_edges_s=(0, 2, 100),
    )
    w = soft_assignments(torch.from_numpy(windows.x), 0.5, 0.3, scaling="column").double().numpy()
    table = windows.table
    near, far, other = [], [], []
    for i in range(24):
        for j in range(i + 1, 24):
            value = (w[i, j] + w[j, i]) / 2
            if table.subject[i] == table.subject[j] and table.trial[i] == table.trial[j]:
                (near if abs(table.start_s[i] - table.start_s[j]) < 2 else far).append(value)
            elif table.subject[i] != table.subject[j] and y[i] == y[j]:
                other.append(value)
    assert found.by_time["n_pairs"].tolist() == [len(near), len(far)]
    assert found.by_time["mean_weight"].tolist() == pytest.approx(
        [np.mean(near), np.mean(far)], rel=1e-5
    )
    assert found.by_time["sd_weight"].tolist() == pytest.approx(
        [np.std(near), np.std(far)], rel=1e-3
    )
    row = found.by_relation.query("relation == 'other subject' and classes == 'same class'")
    assert row["n_pairs"].item() == len(other)
    assert row["mean_weight"].item() == pytest.approx(np.mean(other), rel=1e-5)
    assert found.by_relation["n_pairs"].sum() == math.comb(24, 2)


def test_blocks_hold_the_neighbours_that_random_batches_lack() -> None:
    windows, y = drifting(6, 6, 60)
    options = {"upper_bound": 0.5, "sharpness": 0.2, "batch_size": 128, "n_batches": 10}
    random = diagnose_soft_weights(windows, y, **options)
    blocks = diagnose_soft_weights(windows, y, sampler="blocks", **options)
    assert blocks.share_of_neighbours > 4 * random.share_of_neighbours
    # by chance: 2 * 5 of the other 2159 windows start within 5 s in the same trial
    assert random.share_of_neighbours == pytest.approx(10 / 2159, rel=0.25)


def test_without_labels_and_as_json() -> None:
    windows, _ = drifting(2, 2, 10)
    found = diagnose_soft_weights(windows, upper_bound=0.5, sharpness=0.2, n_batches=2)
    assert set(found.by_relation["classes"]) == {"class not known"}
    text = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert text["by_time"][-1]["mean_weight"] is None
    assert text["batch_size"] == 40
    assert not text["simulated"]
    with pytest.raises(ConfigError, match="3 labels"):
        diagnose_soft_weights(windows, np.zeros(3, int), upper_bound=0.5, sharpness=0.2)


def test_the_method_diagnoses_its_source() -> None:
    windows, y = drifting(2, 4, 20)
    access = Access(protocol="p", classes=("a", "b"), source=Grant(windows, y))
    method = SCMM(width=16, pretrain_steps=2, finetune_epochs=1, search=0, device="cpu")
    before = method.diagnose(access, n_batches=3)
    after = method.fit(access).diagnose(access, n_batches=3, sampler="blocks")
    assert before.sampler == "random"
    assert after.sampler == "blocks"
    assert before.by_relation["mean_weight"].between(0, 0.5).all()
