from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from affectrum.errors import ConfigError
from affectrum.methods import make_method
from affectrum.methods.baselines import arms, linear
from affectrum.protocols import Access, Grant, make_folds
from affectrum.windows import Windows

CLASSES = ("negative", "neutral", "positive")


def simple_windows(
    n_subjects: int = 3, n_trials: int = 9, n_windows: int = 6, seed: int = 0, corpus: str = "A"
) -> Windows:
    """Classes in the order 0 1 2 0 1 2 ...; the signal holds nothing."""
    rng = np.random.default_rng(seed)
    rows = [
        {
            "corpus": corpus,
            "subject": s,
            "trial": t + 1,
            "emotion": CLASSES[t % 3],
            "window": w,
            "start_s": float(w),
        }
        for s in range(1, n_subjects + 1)
        for t in range(n_trials)
        for w in range(n_windows)
    ]
    x = rng.standard_normal((len(rows), 3, 4)).astype(np.float32)
    return Windows.from_arrays(
        x, pd.DataFrame(rows), sfreq=128.0, channels=("Fz", "Cz", "Pz"), kind="features", recipe="t"
    )


def access_of(windows: Windows, y: np.ndarray | None = None, **others: Any) -> Access:
    if y is None:
        y = windows.table["emotion"].map({c: i for i, c in enumerate(CLASSES)}).to_numpy(np.int64)
    return Access(
        protocol="leave-one-subject-out", classes=CLASSES, source=Grant(windows, y), **others
    )


def separable(n: int = 300, n_classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = np.arange(n) % n_classes
    means = 3 * rng.standard_normal((n_classes, 8))
    return rng.standard_normal((n, 8)) + means[y], y


# ---------------------------------------------------------------------------- rows and arms


def test_thinning_keeps_every_trial_and_its_share() -> None:
    groups = np.repeat([5, 1, 9], [100, 200, 100])
    kept = arms.thin(groups, 40)
    assert len(kept) == 40
    assert (np.diff(kept) > 0).all()
    assert {g: int((groups[kept] == g).sum()) for g in (5, 1, 9)} == {5: 10, 1: 20, 9: 10}
    np.testing.assert_array_equal(arms.thin(groups, None), np.arange(400))
    np.testing.assert_array_equal(arms.thin(groups, 400), np.arange(400))


def test_windows_without_class_and_empty_artefacts_are_left_out_of_training() -> None:
    windows = simple_windows(n_subjects=1)
    x = windows.x.copy()
    x[0] = np.nan
    marked = np.zeros(len(windows), dtype=bool)
    marked[0] = True
    windows = windows.with_x(x).with_column("artefact", marked)
    y = np.tile([0, 1, 2], len(windows) // 3)
    y[5] = -1
    rows = arms.labelled_rows(access_of(windows, y), "source", "svm")
    assert len(rows.y) == len(windows) - 2
    method = make_method("logistic").fit(access_of(windows, y))
    scores = method.predict_proba(windows)
    np.testing.assert_allclose(scores[0], 1 / 3)  # nothing can be said about an empty window
    assert np.isfinite(scores).all()


def test_not_finite_windows_without_mark_are_refused() -> None:
    windows = simple_windows(n_subjects=1)
    x = windows.x.copy()
    x[3, 0, 0] = np.inf
    with pytest.raises(ConfigError, match="not finite"):
        make_method("svm").fit(access_of(windows.with_x(x)))


def test_both_joins_source_and_calibration() -> None:
    windows, own = simple_windows(), simple_windows(n_subjects=1, corpus="B")
    y = np.zeros(len(own), dtype=np.int64)
    access = access_of(windows, calibration=Grant(own, y))
    rows = arms.labelled_rows(access, "both", "svm")
    assert len(rows.y) == len(windows) + len(own)
    # trial 1 of both corpora are two trials
    assert len(np.unique(rows.groups)) == 3 * 9 + 9
    np.testing.assert_array_equal(rows.x[-len(own) :], own.x)


def test_the_source_model_is_shared_between_folds() -> None:
    parts = [simple_windows(seed=1), simple_windows(seed=2, corpus="B")]
    folds = make_folds(parts, "cross-corpus/zero-shot", source="A", target="B", classes=CLASSES)
    method = make_method("svm", arm="source")
    prints = [method.pretrain_fingerprint(fold.access) for fold in folds]
    assert len(folds) == 3
    assert len(dict.fromkeys(prints)) == 1
    shared = method.pretrain(folds[0].access)
    for fold in folds:
        own = method.clone().fit(fold.access).predict_proba(fold.test)
        quick = method.clone().fit(fold.access, pretrained=shared).predict_proba(fold.test)
        np.testing.assert_array_equal(own, quick)
    other = make_method("svm", arm="source", C=0.5)
    with pytest.raises(ConfigError, match="other source windows, settings or seed"):
        other.fit(folds[0].access, pretrained=shared)
    assert make_method("svm", arm="both").pretrain_fingerprint(folds[0].access) is None


# ---------------------------------------------------------------------------- most frequent


def test_most_frequent_gives_the_training_frequencies() -> None:
    windows = simple_windows(n_subjects=1)
    y = np.repeat([0, 1, 2], [4, 30, 20])
    scores = make_method("most-frequent").fit(access_of(windows, y)).predict_proba(windows)
    np.testing.assert_allclose(scores, np.tile([4 / 54, 30 / 54, 20 / 54], (54, 1)))


# ---------------------------------------------------------------------------- linear


@pytest.mark.parametrize("n_classes", [2, 3, 4])
@pytest.mark.parametrize("name", ["svm", "logistic"])
def test_linear_models_agree_with_scikit_learn(name: str, n_classes: int) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    x, y = separable(n_classes=n_classes)
    x[:, 3] = x[:, 3] * 1000 + 5
    # inputs are float32 here; give scikit-learn the same ones
    x = x.astype(np.float32).astype(np.float64)
    method = make_method(name).fit_arrays(x, y, [str(i) for i in range(n_classes)])
    solver = LinearSVC(dual=False) if name == "svm" else LogisticRegression(max_iter=1000)
    oracle = make_pipeline(StandardScaler(), solver).fit(x, y)
    ours = method.scores_of_arrays(x)
    np.testing.assert_array_equal(ours.argmax(axis=1), oracle.predict(x))
    if name == "logistic":
        np.testing.assert_allclose(ours, oracle.predict_proba(x), atol=1e-4)
    else:
        margins = oracle.decision_function(x)
        margins = np.stack([-margins, margins], axis=1) if n_classes == 2 else margins
        np.testing.assert_allclose(ours, softmax(margins / method.temperature_, axis=1), atol=1e-4)
    assert method.converged_


def test_trial_folds_keep_trials_whole_and_classes_in_each_fold() -> None:
    y = np.repeat([0, 1, 0, 1, 0, 1, 1], 4)
    groups = np.repeat(np.arange(7), 4)
    folds = linear.trial_folds(y, groups, 3)
    assert folds is not None
    assert all(len(np.unique(folds[groups == g])) == 1 for g in range(7))
    for fold in range(3):
        assert (np.unique(y[folds == fold]) == [0, 1]).all()
        assert (np.unique(y[folds != fold]) == [0, 1]).all()
    assert linear.trial_folds(y[:8], groups[:8], 3) is None  # one trial of each class


def test_svm_temperature_comes_from_held_out_trials() -> None:
    """Trials that differ more than classes: margins on trained trials are far too sure."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(24), 20)
    y = groups % 3
    x = rng.standard_normal((480, 12)) + 2 * rng.standard_normal((24, 12))[groups]
    honest = make_method("svm").fit_arrays(x, y, CLASSES, groups)
    naive = make_method("svm").fit_arrays(x, y, CLASSES, None)  # every window its own trial
    assert honest.calibrated_
    assert honest.temperature_ > 3 * naive.temperature_
    new_groups = np.repeat(np.arange(24), 20)
    new = rng.standard_normal((480, 12)) + 2 * rng.standard_normal((24, 12))[new_groups]

    def loss(method: Any) -> float:
        scores = method.scores_of_arrays(new)
        return -float(np.log(scores[np.arange(480), new_groups % 3]).mean())

    assert loss(honest) < loss(naive)


def test_svm_without_spare_trials_says_that_it_is_not_calibrated() -> None:
    x, y = separable()
    method = make_method("svm").fit_arrays(x, y, CLASSES, y)
    assert not method.calibrated_
    assert method.temperature_ == 1.0
    assert not make_method("svm", calibrate=False).fit_arrays(x, y, CLASSES).calibrated_


@pytest.mark.parametrize("name", ["svm", "logistic"])
def test_a_class_never_seen_gets_no_probability(name: str) -> None:
    x, y = separable(n_classes=2)
    method = make_method(name).fit_arrays(x, np.where(y == 1, 2, 0), CLASSES)
    scores = method.scores_of_arrays(x)
    assert (scores[:, 1] == 0).all()
    np.testing.assert_allclose(scores.sum(axis=1), 1)
    only = make_method(name).fit_arrays(x, np.full(len(y), 2), CLASSES)
    np.testing.assert_array_equal(only.scores_of_arrays(x), np.tile([0.0, 0.0, 1.0], (len(x), 1)))


def test_constant_features_do_no_harm() -> None:
    x, y = separable()
    x[:, 0] = 7.25
    x[:, 1] = 0.0
    scores = make_method("logistic").fit_arrays(x, y, CLASSES).scores_of_arrays(x)
    assert np.isfinite(scores).all()
    assert (scores.argmax(axis=1) == y).mean() > 0.9


def test_a_solver_that_stops_early_says_so_and_does_not_warn() -> None:
    x, y = separable()
    assert not make_method("logistic", max_iter=1).fit_arrays(x, y, CLASSES).converged_


# ---------------------------------------------------------------------------- position


def test_position_knows_a_shared_order_and_nothing_else() -> None:
    windows = simple_windows()
    fold = make_folds(windows, "leave-one-subject-out", classes=CLASSES)[0]
    method = make_method("position", trials=0.2).fit(fold.access)
    truth = (fold.test.table["trial"].to_numpy(dtype=int) - 1) % 3
    assert (method.predict(fold.test) == truth).all()
    # the same windows with other values: the signal does not matter
    other = fold.test.with_x(np.zeros_like(fold.test.x))
    np.testing.assert_array_equal(method.predict_proba(fold.test), method.predict_proba(other))


def test_position_equals_the_plain_kernel_sum() -> None:
    windows = simple_windows(n_subjects=2, n_windows=3)
    table = windows.table
    table["start_s"] = table["window"] * 40.0
    windows = windows.with_table(table)
    y = np.random.default_rng(1).integers(0, 3, len(windows))
    method = make_method("position", trials=1.5, seconds=50.0, prior=0.01)
    method.fit(access_of(windows, y))
    asked = windows.select([0, 7, 20])
    frequencies = np.bincount(y, minlength=3) / len(y)
    for row, scores in zip(
        asked.table.to_dict("records"), method.predict_proba(asked), strict=True
    ):
        votes = 0.01 * frequencies
        for other, label in zip(table.to_dict("records"), y, strict=True):
            gap = (row["trial"] - other["trial"]) / 1.5
            seconds = (row["start_s"] - other["start_s"]) / 50.0
            votes[label] += np.exp(-0.5 * gap**2 - 0.5 * seconds**2)
        np.testing.assert_allclose(scores, votes / votes.sum())


def test_position_without_known_order_gives_frequencies() -> None:
    windows = simple_windows()
    table = windows.table
    table["trial"] = pd.array([pd.NA] * len(table), dtype="Int64")
    windows = windows.with_table(table)
    y = np.arange(len(windows)) % 2
    method = make_method("position").fit(access_of(windows, y))
    np.testing.assert_allclose(method.predict_proba(windows)[:, :2], 0.5)
    assert method.position_known_ == 0


def test_position_compares_within_the_session_number() -> None:
    one = simple_windows(n_subjects=1)
    two = one.with_column("session", np.full(len(one), 2))
    both = Windows.concatenate([one, two])
    y = np.concatenate([np.zeros(len(one)), np.ones(len(two))]).astype(np.int64)
    method = make_method("position").fit(access_of(both, y))
    assert (method.predict(one) == 0).all()
    assert (method.predict(two) == 1).all()
    third = one.with_column("session", np.full(len(one), 3))  # unknown: all sessions count
    np.testing.assert_allclose(method.predict_proba(third)[:, 0], 0.5)


# ---------------------------------------------------------------------------- scikit-learn


@pytest.mark.parametrize("name", ["most-frequent", "svm", "logistic", "mlp"])
def test_x_y_use_follows_scikit_learn(name: str) -> None:
    from sklearn.base import clone
    from sklearn.model_selection import GroupKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler

    x, y = separable()
    labels = np.array(["calm", "glad", "sad"])[y]
    options = {"epochs": 5, "device": "cpu"} if name == "mlp" else {}
    model = make_method(name, **options).as_sklearn()
    copy = clone(model)
    assert copy.get_params() == model.get_params() == {"method": name, **options}
    scores = cross_val_score(
        make_pipeline(MinMaxScaler(), copy), x, labels, cv=3, error_score="raise"
    )
    assert scores.mean() > (0.3 if name == "most-frequent" else 0.8)
    grouped = cross_val_score(copy, x, labels, groups=np.arange(300) // 30, cv=GroupKFold(5))
    assert len(grouped) == 5
    fitted = model.fit(x, labels)
    assert list(fitted.classes_) == ["calm", "glad", "sad"]
    assert fitted.predict(x).dtype.kind in "UO"
    np.testing.assert_allclose(fitted.predict_proba(x).sum(axis=1), 1)


def test_scikit_learn_parameters_can_be_searched() -> None:
    from sklearn.model_selection import GridSearchCV

    x, y = separable()
    search = GridSearchCV(make_method("logistic").as_sklearn(), {"C": [0.01, 1.0]}, cv=3)
    search.fit(x, y)
    assert search.best_params_["C"] in (0.01, 1.0)
    assert search.best_params_["C"] == search.best_estimator_.model_.config.C


def test_methods_that_need_more_than_x_y_say_so() -> None:
    from affectrum.methods.baselines.sklearn_api import MethodClassifier

    x, y = separable()
    for name in ("position", "scmm"):
        with pytest.raises(ConfigError, match="does not learn from"):
            MethodClassifier(name).fit(x, y)
    with pytest.raises(ConfigError, match="received \\(300, 8\\) and \\(4,\\)"):
        MethodClassifier("svm").fit(x, y[:4])


def test_windows_of_another_shape_are_refused() -> None:
    windows = simple_windows()
    method = make_method("logistic").fit(access_of(windows))
    with pytest.raises(ConfigError, match=r"shape \(3, 4\).*received \(3, 2\)"):
        method.predict_proba(windows.with_x(windows.x[:, :, :2]))


# ---------------------------------------------------------------------------- networks


def test_the_mlp_learns_and_leaves_the_global_generator_alone() -> None:
    import torch

    x, y = separable()
    before = torch.get_rng_state()
    method = make_method("mlp", epochs=20, device="cpu").fit_arrays(x, y, CLASSES)
    assert torch.equal(before, torch.get_rng_state())
    assert (method.scores_of_arrays(x).argmax(axis=1) == y).mean() > 0.95
    assert len(method.history_) == 20
    assert method.history_[-1]["loss"] < method.history_[0]["loss"]
    assert method.scores_of_arrays(x[:0]).shape == (0, 3)


def test_from_scratch_is_scmm_with_pretraining_off() -> None:
    windows = simple_windows(n_subjects=1)
    access = access_of(windows)
    common = {"finetune_epochs": 2, "width": 8, "device": "cpu"}
    scratch = make_method("scmm-scratch", **common).fit(access).predict_proba(windows)
    scmm = make_method("scmm", pretraining=False, **common).fit(access).predict_proba(windows)
    np.testing.assert_array_equal(scratch, scmm)
    with pytest.raises(ConfigError, match="pretraining"):
        make_method("scmm-scratch", pretraining=True)


def test_arm_and_finetune_on_are_one_setting() -> None:
    method = make_method("scmm-scratch", arm="both")
    assert method.config.finetune_on == method.config.arm == "both"
    assert method.clone(arm="source").label == "scmm-scratch [source]"
    assert method.set_params(arm="calibration").get_params()["finetune_on"] == "calibration"


def test_the_autoencoder_pretrains_on_reconstruction_alone() -> None:
    windows = simple_windows()
    access = access_of(windows)
    method = make_method(
        "denoising-autoencoder",
        pretrain_steps=60,
        pretrain_batch=32,
        finetune_epochs=1,
        width=8,
        device="cpu",
    )
    pretrained = method.pretrain(access)
    assert pretrained is not None
    assert method.pretrain_fingerprint(access) == pretrained.fingerprint
    assert method.pretrain_fingerprint(access) != make_method("scmm").pretrain_fingerprint(access)
    fitted = method.fit(access, pretrained=pretrained)
    assert fitted.predict_proba(windows).shape == (len(windows), 3)
