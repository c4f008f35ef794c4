"""What every registered method must keep, whatever it does inside."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from affectrum.errors import AccessError, ConfigError
from affectrum.methods import make_method, method_info, method_names, restore_method
from affectrum.methods.registry import get_method_class
from affectrum.protocols import Access, Grant, make_folds
from affectrum.windows import Windows

METHODS = method_names()
# Small enough for a test: a few steps on a few windows.
QUICK: dict[str, dict[str, Any]] = {
    "scmm": {
        "pretrain_steps": 3,
        "pretrain_batch": 8,
        "search": 0,
        "finetune_epochs": 2,
        "width": 8,
        "device": "cpu",
    },
    "scmm-scratch": {"finetune_epochs": 2, "width": 8, "device": "cpu"},
    "denoising-autoencoder": {
        "pretrain_steps": 3,
        "pretrain_batch": 8,
        "finetune_epochs": 2,
        "width": 8,
        "device": "cpu",
    },
    "emod": {
        "pretrain_epochs": 1,
        "pretrain_steps": 2,
        "per_region": 1,
        "finetune_epochs": 2,
        "width": 8,
        "depth": 1,
        "plane_windows": 20,
        "device": "cpu",
    },
    "mlp": {"epochs": 2, "hidden": (8,), "device": "cpu"},
    "dann": {"epochs": 2, "hidden": (8, 4), "discriminator": 4, "device": "cpu"},
    "dan": {"epochs": 2, "hidden": (8, 4), "batch_size": 16, "device": "cpu"},
}
THREE = ("negative", "neutral", "positive")
FOUR = ("neutral", "sad", "fear", "happy")
CHANNELS = ("Fz", "Cz", "Pz", "T7", "T8")
BANDS = {"theta": (4.0, 8.0), "alpha": (8.0, 14.0), "beta": (14.0, 31.0), "gamma": (31.0, 45.0)}


def quick(name: str, **overrides: Any) -> Any:
    return make_method(name, **{**QUICK.get(name, {}), **overrides})


def windows_of(
    corpus: str, words: tuple[str, ...], *, subjects: int = 3, repeats: int = 4, seed: int = 0
) -> Windows:
    """Trials of all words in turn, 5 windows each, with a class mean that can be learnt."""
    rng = np.random.default_rng(seed)
    n_trials, n_windows = repeats * len(words), 5
    rows = [
        {
            "corpus": corpus,
            "subject": subject,
            "trial": trial + 1,
            "emotion": words[(trial + trial // len(words)) % len(words)],
            "clip": f"{corpus}/{trial + 1}",
            "window": window,
            "start_s": float(window),
        }
        for subject in range(1, subjects + 1)
        for trial in range(n_trials)
        for window in range(n_windows)
    ]
    table = pd.DataFrame(rows)
    index = table["emotion"].map({word: i for i, word in enumerate(words)}).to_numpy(dtype=int)
    means = np.random.default_rng(99).standard_normal((len(words), len(CHANNELS), len(BANDS)))
    x = rng.standard_normal((len(table), len(CHANNELS), len(BANDS))) + means[index]
    return Windows.from_arrays(
        x.astype(np.float32), table, sfreq=128.0, channels=CHANNELS, bands=BANDS, recipe="test"
    )


def signals_of(corpus: str, words: tuple[str, ...], *, seed: int = 0, **options: Any) -> Windows:
    """The same trials as `windows_of`, as signals of one second with a rhythm per class (volts)."""
    features = windows_of(corpus, words, seed=seed, **options)
    index = features.table["emotion"].map({word: i for i, word in enumerate(words)})
    hertz = np.array([6.0, 11.0, 19.0, 28.0])[index.to_numpy(dtype=int)]
    rng = np.random.default_rng(seed)
    phase = rng.uniform(0, 2 * np.pi, (len(features), len(CHANNELS), 1))
    time = np.arange(64) / 64.0
    x = rng.standard_normal((*phase.shape[:2], 64)) + 2 * np.sin(
        2 * np.pi * hertz[:, None, None] * time + phase
    )
    return Windows.from_arrays(
        (1e-5 * x).astype(np.float32),
        features.table,
        sfreq=64.0,
        channels=CHANNELS,
        kind="raw",
        recipe="test",
    )


def granted(fold: Any) -> list[Any]:
    grants = (fold.access.source, fold.access.calibration, fold.access.unlabelled)
    return [grant for grant in grants if grant is not None]


def food(name: str) -> tuple[Any, dict[str, Any]]:
    """What makes windows that the method learns from, and options of their folds."""
    if get_method_class(name).kinds == ("raw",):
        return signals_of, {"scaling": "none", "va_table": "emod"}
    return windows_of, {}


def folds_of(protocol: str, words: tuple[str, ...] = THREE, name: str = "svm") -> list[Any]:
    make, options = food(name)
    first, second = make("A", words, seed=1), make("B", words, seed=2)
    if protocol == "leave-one-subject-out":
        return make_folds(first, protocol, classes=words, **options)
    if protocol.endswith("calibrated"):
        options["calibration_trials"] = 2 * len(words)
    return make_folds([first, second], protocol, source="A", target="B", classes=words, **options)


PROTOCOLS = (
    "cross-corpus/calibrated",
    "cross-corpus/zero-shot",
    "cross-corpus/unsupervised",
    "leave-one-subject-out",
)
# Methods that adapt to unlabelled target signals run only where those are granted.
ADAPTIVE = tuple(name for name in METHODS if "target_unlabelled" in get_method_class(name).needs)
# These call it `finetune_on`.
OWN_ARM = ("scmm", "emod")
EVERYWHERE = tuple(name for name in METHODS if name not in ADAPTIVE)


def home(name: str) -> str:
    """A protocol that the method runs under."""
    return "cross-corpus/unsupervised" if name in ADAPTIVE else "cross-corpus/calibrated"


@pytest.mark.parametrize(
    ("name", "protocol"),
    [
        (name, protocol)
        for name in METHODS
        for protocol in PROTOCOLS
        if name in EVERYWHERE or protocol == home(name)
    ],
)
def test_it_runs_under_every_protocol(name: str, protocol: str) -> None:
    fold = folds_of(protocol, name=name)[0]
    before = [
        (
            grant.windows.x.copy(),
            grant.windows.table.copy(),
            None if grant.y is None else grant.y.copy(),
        )
        for grant in granted(fold)
    ]
    seen: list[tuple[int, int]] = []

    def observer(epoch: int, n_epochs: int, predict: Any) -> None:
        scores = predict(fold.test)
        assert scores.shape == (len(fold.test), 3)
        seen.append((epoch, n_epochs))

    method = quick(name)
    assert method.fit(fold.access, observer=observer) is method
    scores = method.predict_proba(fold.test)

    assert scores.shape == (len(fold.test), 3)
    assert scores.dtype == np.float64
    assert (scores >= 0).all()
    np.testing.assert_allclose(scores.sum(axis=1), 1.0, atol=1e-6)
    assert method.classes_ == THREE
    assert (method.predict(fold.test) == scores.argmax(axis=1)).all()
    assert seen == [(epoch, seen[-1][1]) for epoch in range(1, seen[-1][1] + 1)]
    for (x, table, y), grant in zip(before, granted(fold), strict=True):
        np.testing.assert_array_equal(x, grant.windows.x)
        pd.testing.assert_frame_equal(table, grant.windows.table)
        if y is not None:
            np.testing.assert_array_equal(y, grant.y)


@pytest.mark.parametrize("name", METHODS)
def test_four_classes_work_where_three_do(name: str) -> None:
    fold = folds_of(home(name), FOUR, name)[0]
    scores = quick(name).fit(fold.access).predict_proba(fold.test)
    assert scores.shape == (len(fold.test), 4)
    np.testing.assert_allclose(scores.sum(axis=1), 1.0, atol=1e-6)


@pytest.mark.parametrize("name", METHODS)
def test_the_seed_decides_everything(name: str) -> None:
    fold = folds_of(home(name), name=name)[0]
    first = quick(name, seed=3).fit(fold.access).predict_proba(fold.test)
    again = quick(name, seed=3).fit(fold.access).predict_proba(fold.test)
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("name", METHODS)
def test_state_gives_the_same_predictions(name: str) -> None:
    fold = folds_of(home(name), name=name)[0]
    method = quick(name).fit(fold.access)
    arrays, meta = method.state()
    meta = json.loads(json.dumps(meta, allow_nan=False))
    assert all(array.dtype.kind in "fiub" for array in arrays.values())
    restored = restore_method({key: np.array(value) for key, value in arrays.items()}, meta)
    assert restored.classes_ == method.classes_
    np.testing.assert_array_equal(
        method.predict_proba(fold.test), restored.predict_proba(fold.test)
    )


@pytest.mark.parametrize("name", METHODS)
def test_what_is_not_granted_is_refused_before_training(name: str) -> None:
    windows = food(name)[0]("A", THREE)
    signals_only = Access(
        protocol="cross-corpus/unsupervised", classes=THREE, source=Grant(windows, None)
    )
    with pytest.raises(AccessError) as caught:
        quick(name).fit(signals_only)
    message = str(caught.value)
    assert name in message
    assert "leave-one-subject-out" in message or "cross-corpus/" in message


@pytest.mark.parametrize("arm", ["calibration", "source", "both"])
@pytest.mark.parametrize("name", [name for name in EVERYWHERE if name not in OWN_ARM])
def test_every_baseline_has_every_arm(name: str, arm: str) -> None:
    fold = folds_of("cross-corpus/calibrated")[0]
    method = quick(name, arm=arm).fit(fold.access)
    assert method.label == f"{name} [{arm}]"
    assert method.predict_proba(fold.test).shape == (len(fold.test), 3)
    zero_shot = folds_of("cross-corpus/zero-shot")[0]
    if arm != "source":
        with pytest.raises(AccessError, match="cross-corpus/calibrated"):
            quick(name, arm=arm).fit(zero_shot.access)


@pytest.mark.parametrize("name", EVERYWHERE)
def test_source_labels_of_another_task_are_not_mixed_in(name: str) -> None:
    make, options = food(name)
    first, second = make("A", FOUR, seed=1), make("B", THREE, seed=2)
    fold = make_folds(
        [first, second],
        "cross-corpus/calibrated",
        source="A",
        target="B",
        classes=THREE,
        source_classes=FOUR,
        calibration_trials=6,
        **options,
    )[0]
    arm = {"finetune_on": "source"} if name in OWN_ARM else {"arm": "source"}
    with pytest.raises(AccessError, match="class"):
        quick(name, **arm).fit(fold.access)
    # the target's own trials still teach its classes
    assert quick(name).fit(fold.access).classes_ == THREE


@pytest.mark.parametrize("name", METHODS)
def test_it_says_what_it_is(name: str) -> None:
    info = method_info(name)
    assert info.description
    assert info.sees
    assert all(parameter.description for parameter in info.parameters)
    with pytest.raises(ConfigError, match="unknown parameter 'sed'"):
        make_method(name, sed=1)
    with pytest.raises(ConfigError, match="not fitted"):
        quick(name).predict_proba(food(name)[0]("A", THREE))


@pytest.mark.parametrize("name", ["mlp", "scmm-scratch"])
def test_validation_trials_choose_the_epoch(name: str) -> None:
    """With selection on validation the kept weights are those of its best epoch, not the last."""
    windows = windows_of("A", THREE, subjects=3, repeats=6)
    fold = make_folds(
        windows, "leave-one-subject-out", classes=list(THREE), selection="validation"
    )[0]
    assert fold.access.validation is not None
    seen: list[Any] = []
    epochs = {"finetune_epochs": 6} if name == "scmm-scratch" else {"epochs": 6}
    method = quick(name, seed=3, **epochs)
    held = fold.access.validation

    def observer(epoch: int, n_epochs: int, predict: Any) -> None:
        seen.append(predict(held.windows))

    method.fit(fold.access, observer=observer)
    recalls = [
        np.mean([(p.argmax(axis=1) == held.y)[held.y == c].mean() for c in np.unique(held.y)])
        for p in seen
    ]
    kept = method.predict_proba(held.windows)
    np.testing.assert_allclose(kept, seen[int(np.argmax(recalls))], atol=1e-6)
