"""CORAL, DANN and DAN: closed forms, planted shifts, and what they may not look at."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from affectrum.errors import AccessError, ConfigError, LabelError
from affectrum.methods import make_method
from affectrum.methods.baselines.alignment import coral_matrix
from affectrum.methods.baselines.neural import seeded
from affectrum.methods.dann.network import FeatureClassifier
from affectrum.protocols import Access, Grant, grants_of, make_folds
from affectrum.scaling import Scaler
from affectrum.training.loop import ClassifierSettings, make_adam, train_classifier
from affectrum.windows import Windows

CLASSES = ("negative", "positive")
ADAPTIVE = ("coral-svm", "dann", "dan")
SMALL: dict[str, dict[str, Any]] = {
    "coral-svm": {},
    "dann": {"hidden": (16, 8), "discriminator": 8, "epochs": 40, "batch_size": 64},
    "dan": {"hidden": (16, 8), "epochs": 40, "batch_size": 64},
}


def method_of(name: str, **overrides: Any) -> Any:
    device = {} if name == "coral-svm" else {"device": "cpu"}
    return make_method(name, **{**SMALL[name], **device, **overrides})


def windows_of(x: np.ndarray, y: np.ndarray, corpus: str, n_subjects: int = 2) -> Windows:
    """Five windows per trial; `y` alternates by trial."""
    n_trials = len(x) // 5 // n_subjects
    place = np.arange(len(x))
    table = pd.DataFrame(
        {
            "corpus": corpus,
            "subject": place // (5 * n_trials) + 1,
            "trial": place // 5 % n_trials + 1,
            "emotion": [CLASSES[k] for k in y],
            "window": place % 5,
            "start_s": (place % 5).astype(float),
        }
    )
    return Windows.from_arrays(
        x[:, :, None].astype(np.float32),
        table,
        sfreq=128.0,
        channels=("Fz", "Cz", "Pz", "Oz")[: x.shape[1]],
        kind="features",
        recipe="t",
    )


def labels(n: int) -> np.ndarray:
    return np.arange(n) // 5 % 2


def access_of(source: np.ndarray, target: np.ndarray, **others: Any) -> Access:
    y = labels(len(source))
    return Access(
        protocol="cross-corpus/unsupervised",
        classes=CLASSES,
        source=Grant(windows_of(source, y, "A"), y.astype(np.int64)),
        unlabelled=Grant(windows_of(target, labels(len(target)), "B")),
        **others,
    )


def accuracy(method: Any, x: np.ndarray) -> float:
    y = labels(len(x))
    return float((method.predict(windows_of(x, y, "B")) == y).mean())


# ------------------------------------------------------------------------------------ closed form


def test_coral_is_its_closed_form_where_both_covariances_share_their_axes() -> None:
    """Two features with variances 1 and correlation r: axes (1, 1) and (1, -1), values 1 +- r."""
    axes = np.array([[1.0, 1.0], [1.0, -1.0]]) / np.sqrt(2)

    def sample(r: float) -> np.ndarray:
        # four points per axis whose covariance (divisor n - 1) is exactly the wanted one
        points = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]]) * np.sqrt(3 / 4)
        return points * np.sqrt([1 + r, 1 - r]) @ axes

    ridge = 0.5
    ratio = [(1 + 0.2 + ridge) / (1 - 0.6 + ridge), (1 - 0.2 + ridge) / (1 + 0.6 + ridge)]
    expected = axes @ np.diag(np.sqrt(ratio)) @ axes.T
    np.testing.assert_allclose(coral_matrix(sample(-0.6), sample(0.2), ridge), expected, atol=1e-12)


def test_after_coral_the_source_has_the_target_s_covariance() -> None:
    rng = np.random.default_rng(0)
    source = rng.standard_normal((500, 4)) @ rng.standard_normal((4, 4))
    target = rng.standard_normal((400, 4)) @ rng.standard_normal((4, 4))
    source, target = source - source.mean(axis=0), target - target.mean(axis=0)
    moved = source @ coral_matrix(source, target, 1e-10)
    np.testing.assert_allclose(np.cov(moved.T), np.cov(target.T), rtol=1e-6, atol=1e-8)
    # equal domains: nothing moves
    np.testing.assert_allclose(coral_matrix(source, source, 1.0), np.eye(4), atol=1e-12)


def test_without_alignment_it_is_the_plain_svm() -> None:
    rng = np.random.default_rng(1)
    source, target = rng.standard_normal((200, 3)), rng.standard_normal((100, 3))
    access = access_of(source, target)
    plain = make_method("svm", arm="source").fit(access)
    mine = method_of("coral-svm", alignment="none").fit(access)
    windows = windows_of(target, labels(100), "B")
    # seeds differ by the method's name, but nothing random is drawn
    np.testing.assert_allclose(
        mine.predict_proba(windows), plain.predict_proba(windows), rtol=1e-12
    )


@pytest.mark.parametrize("name", ["dann", "dan"])
def test_without_adaptation_it_is_the_plain_network(name: str) -> None:
    """Weight 0 leaves cross-entropy on the source: the same weights as the plain loop's."""
    rng = np.random.default_rng(2)
    source, target = rng.standard_normal((150, 3)), rng.standard_normal((80, 3))
    access = access_of(source, target)
    method = method_of(name, adaptation_weight=0.0, epochs=5, weight_decay=0.0, seed=4)
    seen: list[int] = []
    original = method._fit_rows

    def spy(rows: Any, n_classes: int, **options: Any) -> None:
        seen.append(options["seed"])
        original(rows, n_classes, **options)

    method._fit_rows = spy
    method.fit(access)
    with seeded(seen[0]):
        network = FeatureClassifier(3, 1, method.config.hidden, 2)
    x = torch.from_numpy(Scaler().fit(access.source.windows.x).transform(access.source.windows.x))
    adam = make_adam(list(network.parameters()), learning_rate=1e-3)
    settings = ClassifierSettings(
        epochs=5, batch_size=64, max_steps=2000, learning_rate=1e-3, schedule="cosine"
    )
    y = torch.from_numpy(access.source.y)
    train_classifier(network, x, y, [adam], settings, seed=seen[0])
    for key, value in network.named_parameters():
        np.testing.assert_allclose(
            method.network_.get_parameter(key).detach(), value.detach(), atol=1e-7, err_msg=key
        )


# ---------------------------------------------------------------------------------- planted shifts


def mixed(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The class lies in a direction that the target's mixing of features has turned."""
    rng = np.random.default_rng(seed)
    y = 2.0 * labels(800) - 1
    noise = np.array([0.5, 3.0])

    def domain(mixing: np.ndarray, offset: float) -> np.ndarray:
        z = rng.standard_normal((800, 2)) * noise
        z[:, 0] += y
        return z @ mixing + offset

    # symmetric mixing: what recolouring by covariances can undo
    return domain(np.eye(2), 0.0), domain(np.array([[1.0, 0.9], [0.9, 1.0]]), 5.0)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_coral_undoes_a_planted_mixing(seed: int) -> None:
    source, target = mixed(seed)
    access = access_of(source, target)
    scores = {
        kind: accuracy(method_of("coral-svm", alignment=kind, ridge=1e-3).fit(access), target)
        for kind in ("none", "mean", "standardise", "coral")
    }
    assert scores["none"] < 0.6  # the offset alone decides
    assert scores["coral"] > 0.8
    assert scores["coral"] > scores["mean"] + 0.1
    assert scores["coral"] > scores["standardise"] + 0.1


def shortcut(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Feature 0 tells the class in both domains; feature 1 tells it better, but not in the target.

    There it lies elsewhere and says nothing, so that what is alike in both domains is feature 0.
    """
    rng = np.random.default_rng(seed)
    y = 2.0 * labels(800) - 1
    source, target = rng.standard_normal((2, 800, 3))
    source[:, 0] += 1.5 * y
    target[:, 0] += 1.5 * y
    source[:, 1] += 2 * y
    target[:, 1] += 3.0
    return source, target


@pytest.mark.parametrize(("name", "epochs"), [("dann", 40), ("dan", 15)])
def test_what_differs_between_domains_is_given_up(name: str, epochs: int) -> None:
    source, target = shortcut(0)
    access = access_of(source, target)
    plain, adapted = (
        accuracy(
            method_of(name, standardise="source", epochs=epochs, adaptation_weight=weight).fit(
                access
            ),
            target,
        )
        for weight in (0.0, 1.0)
    )
    assert plain < 0.65  # the shortcut
    assert adapted > 0.8
    # the best that feature 0 allows is Phi(1.5) = 0.933


# ------------------------------------------------------------------------ what is (not) looked at


def emotion_windows(corpus: str, seed: int, n_subjects: int = 3) -> Windows:
    x = np.random.default_rng(seed).standard_normal((n_subjects * 40, 3))
    y = labels(len(x))
    x[:, 0] += y
    return windows_of(x, y, corpus, n_subjects)


def fold_of(use: str, target: Windows) -> Any:
    """The fold that tests subject 1 of the target."""
    options = {"calibration_trials": 4} if use == "calibration" else {}
    folds = make_folds(
        [emotion_windows("A", 1), target],
        "cross-corpus/unsupervised",
        source="A",
        target="B",
        classes=list(CLASSES),
        target_use=use,
        **options,
    )
    return next(fold for fold in folds if fold.subject == "1")


def learnt(method: Any) -> list[np.ndarray]:
    arrays, _ = method.state()
    return [np.asarray(arrays[key]) for key in sorted(arrays)]


def quick(name: str) -> Any:
    return method_of(name, **({} if name == "coral-svm" else {"epochs": 2}))


@pytest.mark.parametrize("use", ["others", "calibration"])
@pytest.mark.parametrize("name", ADAPTIVE)
def test_test_signals_move_nothing_and_granted_ones_do(name: str, use: str) -> None:
    target = emotion_windows("B", 2)
    table = target.table
    mine = table["subject"] == 1
    first = table["trial"] <= 4
    tested = (mine if use == "others" else mine & ~first).to_numpy()
    shown = (~mine if use == "others" else mine & first).to_numpy()
    before = learnt(quick(name).fit(fold_of(use, target).access))

    x = target.x.copy()
    x[tested] = 100 * x[tested] + 7
    same = learnt(quick(name).fit(fold_of(use, target.with_x(x)).access))
    for one, other in zip(before, same, strict=True):
        np.testing.assert_array_equal(one, other)

    x = target.x.copy()
    x[shown] = 3 * x[shown] + np.arange(3)[None, :, None]
    moved = learnt(quick(name).fit(fold_of(use, target.with_x(x)).access))
    assert any((one != other).any() for one, other in zip(before, moved, strict=True))


@pytest.mark.parametrize("use", ["others", "calibration", "test"])
@pytest.mark.parametrize("name", ADAPTIVE)
def test_labels_of_the_target_move_nothing(name: str, use: str) -> None:
    target = emotion_windows("B", 2)
    swapped = target.table.assign(
        emotion=target.table["emotion"].map(dict(zip(CLASSES, CLASSES[::-1], strict=True)))
    )
    other = Windows.from_arrays(
        target.x, swapped, sfreq=128.0, channels=target.channels, kind="features", recipe="t"
    )
    first, second = fold_of(use, target), fold_of(use, other)
    assert ("transductive" in first.protocol) == (use == "test")
    for one, two in zip(
        learnt(quick(name).fit(first.access)), learnt(quick(name).fit(second.access)), strict=True
    ):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("name", ADAPTIVE)
def test_they_are_refused_where_no_target_signals_are_granted(name: str) -> None:
    assert not type(method_of(name)).supports("cross-corpus/zero-shot")
    assert not type(method_of(name)).supports("cross-corpus/calibrated")
    assert "target_unlabelled" in grants_of("cross-corpus/unsupervised")
    fold = make_folds(
        [emotion_windows("A", 1), emotion_windows("B", 2)],
        "cross-corpus/zero-shot",
        source="A",
        target="B",
        classes=list(CLASSES),
    )[0]
    with pytest.raises(AccessError, match="cross-corpus/unsupervised"):
        quick(name).fit(fold.access)
    with pytest.raises(ConfigError, match="'arm'"):
        method_of(name, arm="calibration")


@pytest.mark.parametrize("name", ADAPTIVE)
def test_artefact_windows_are_left_out_and_other_holes_are_refused(name: str) -> None:
    rng = np.random.default_rng(5)
    source, target = rng.standard_normal((100, 3)), rng.standard_normal((50, 3))
    clean = access_of(source, target)
    x = np.concatenate([target, np.full((10, 3), 0.0)])
    windows = windows_of(x, labels(60), "B")
    x = windows.x.copy()
    x[50:] = np.nan
    with pytest.raises(ConfigError, match="unlabelled target features that are not finite"):
        quick(name).fit(replace(clean, unlabelled=Grant(windows.with_x(x))))
    marked = windows.table.assign(artefact=np.arange(60) >= 50)
    holed = Windows.from_arrays(
        x, marked, sfreq=128.0, channels=windows.channels, kind="features", recipe="t"
    )
    method = quick(name).fit(replace(clean, unlabelled=Grant(holed)))
    _, meta = method.state()
    assert meta["facts"]["aligned_to"]["n_rows"] == 50
    assert meta["facts"]["aligned_to"]["roles"] == ["unlabelled"]
    json.dumps(meta, allow_nan=False)
    assert method._target is None  # a fitted method holds no windows
    empty = Grant(holed.select(marked["artefact"].to_numpy()))
    with pytest.raises(LabelError, match="0 usable unlabelled"):
        quick(name).fit(replace(clean, unlabelled=empty))


def test_source_validation_windows_are_standardised_as_the_source() -> None:
    """The kept epoch is the best on them, although the network standardises as the target."""
    source, target = emotion_windows("A", 1), emotion_windows("B", 2)
    target = target.with_x(20 * target.x + 50)
    fold = make_folds(
        [source, target],
        "cross-corpus/unsupervised",
        source="A",
        target="B",
        classes=list(CLASSES),
        selection="validation",
    )[0]
    held = fold.access.validation
    assert held is not None
    method = method_of("dann", epochs=4)
    found: list[float] = []

    def observer(epoch: int, n_epochs: int, predict: Any) -> None:
        network = method.network_
        z = torch.from_numpy(method._source_scaler.transform(held.windows.x))
        guess = network.layers(z)[1].argmax(dim=1).numpy()
        found.append(np.mean([(guess == held.y)[held.y == k].mean() for k in np.unique(held.y)]))

    method.fit(fold.access, observer=observer)
    predict, truth = method._held_out() or (None, None)
    assert predict is not None
    kept = np.mean([(predict() == truth)[truth == k].mean() for k in np.unique(truth)])
    assert kept == pytest.approx(max(found))
