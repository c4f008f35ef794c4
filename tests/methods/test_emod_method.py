"""EMOD as a method: fine-tuning against plain loops, arms, readouts, refusals."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import cohen_kappa_score
from torch import nn

from affectrum.errors import AccessError, BundleError, ConfigError
from affectrum.methods import make_method, restore_method
from affectrum.methods.base import Pretrained
from affectrum.methods.emod.config import PRESETS, PRETRAIN_FIELDS, EMODConfig
from affectrum.methods.emod.finetuning import (
    Classifier,
    Labelled,
    cohen_kappa,
    finetune,
    make_optimizer,
    windows_at_once,
)
from affectrum.methods.emod.heads import make_head
from affectrum.methods.emod.labelled import WindowPool, ahead, placed_grants
from affectrum.methods.emod.models import FineTuned
from affectrum.methods.emod.networks import build_backbone, seeded
from affectrum.protocols import Access, Grant
from affectrum.windows import Windows

WORDS = ("negative", "neutral", "positive")
PLACES = np.array([[-0.25, 0.25], [0.0, 0.0], [0.75, 0.5]])
SMALL: dict[str, Any] = {
    "width": 8,
    "depth": 1,
    "per_region": 1,
    "pretrain_epochs": 1,
    "pretrain_steps": 2,
    "finetune_epochs": 2,
    "finetune_batch": 8,
    "plane_windows": 12,
    "device": "cpu",
}


def corpus(
    name: str, channels: tuple[str, ...], sfreq: float, *, n: int = 24, seconds: float = 1.0
) -> tuple[Windows, np.ndarray]:
    """Signals of two people with a rhythm per class, in volts; and their classes."""
    rng = np.random.default_rng(len(name) + n)
    table = pd.DataFrame(
        {
            "corpus": name,
            "subject": 1 + np.arange(n) % 2,
            "trial": 1 + np.arange(n) // 2,
            "window": 0,
        }
    )
    y = (np.arange(n) // 2) % 3
    n_samples = int(seconds * sfreq)
    time = np.arange(n_samples) / sfreq
    rhythm = np.sin(2 * np.pi * np.array([6, 11, 19])[y][:, None, None] * time)
    x = 1e-5 * (2 * rhythm + rng.standard_normal((n, len(channels), n_samples)))
    made = Windows.from_arrays(x, table, sfreq=sfreq, channels=channels, kind="raw", recipe="test")
    return made, y


def grant(parts: tuple[Windows, np.ndarray], *, labels: bool = True, plane: bool = True) -> Grant:
    windows, y = parts
    return Grant(windows, y if labels else None, PLACES[y] if plane else None)


A = corpus("A", ("Fz", "Cz"), 64.0)
B = corpus("B", ("Fp1", "O1", "T3"), 50.0)
TARGET = corpus("SEED", ("F3", "F4", "Oz", "CB1"), 40.0, seconds=1.5)


def access(**parts: Any) -> Access:
    given = {
        "calibration": grant(TARGET),
        "source_parts": (grant(A, labels=False), grant(B, labels=False)),
    }
    return Access("pretrain-finetune", WORDS, **{**given, **parts})


def make(**overrides: Any) -> Any:
    return make_method("emod", **{**SMALL, **overrides})


# -------------------------------------------------------------------------------- fine-tuning


def classifier_of(config: EMODConfig, dropout: float = 0.0) -> Classifier:
    backbone = build_backbone(config, dropout=dropout, seed=1)
    with seeded(2):
        head = make_head(
            "linear", width=config.width, n_channels=4, n_tokens=8, n_classes=3, dropout=dropout
        )
    return Classifier(backbone, head)


def test_fine_tuning_is_the_plain_loop() -> None:
    """Two learning rates, AdamW, cosine per epoch, clipping, label smoothing."""
    config = EMODConfig(**{**SMALL, "finetune_epochs": 3, "finetune_batch": 7}, finetune_clip=0.05)
    windows, y = TARGET
    mine, plain = classifier_of(config), classifier_of(config)
    records = finetune(
        mine, Labelled(WindowPool([windows], [3]), y), config, device=torch.device("cpu"), seed=5
    )

    optimizer = torch.optim.AdamW(
        [
            {"params": plain.head.parameters(), "lr": 1e-3},
            {"params": plain.backbone.parameters(), "lr": 5e-4},
        ],
        weight_decay=1e-4,
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 3, eta_min=1e-6)
    ids = plain.backbone.electrode_ids(windows.channels)
    loss = nn.CrossEntropyLoss(label_smoothing=0.1)
    plain.train()
    for epoch in range(1, 4):
        order = np.random.default_rng([5, epoch]).permutation(len(y))
        for start in range(0, len(y), 7):
            rows = order[start : start + 7]
            optimizer.zero_grad()
            logits = plain(torch.from_numpy(windows.x[rows]), ids, 40.0)
            torch.autograd.backward(loss(logits, torch.from_numpy(y[rows])))
            nn.utils.clip_grad_norm_(plain.parameters(), 0.05)
            optimizer.step()
        rate = optimizer.param_groups[1]["lr"]
        assert records[epoch - 1].learning_rate == pytest.approx(rate, rel=1e-9)
        schedule.step()
    for (name, one), other in zip(
        mine.state_dict().items(), plain.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=2e-4, atol=2e-6, msg=name)


def test_a_batch_of_several_corpora_weighs_every_window_alike() -> None:
    config = EMODConfig(**{**SMALL, "finetune_epochs": 1, "finetune_batch": 12})
    pool = WindowPool([A[0], B[0]], [5, 24])
    y = np.concatenate([A[1], B[1]])
    pieces = pool.read(np.array([3, 30, 1, 47, 2, 4, 0, 5]))
    assert [(piece.part, piece.rows.tolist()) for piece in pieces] == [
        (0, [3, 1, 2, 4, 0]),
        (0, [5]),
        (1, [30, 47]),
    ]
    np.testing.assert_array_equal(pieces[2].x, B[0].x[[6, 23]])
    network, alone = classifier_of(config), classifier_of(config)
    # one batch of all, without a step: its gradient is that of the mean over all windows
    wide = config.model_copy(update={"finetune_batch": 48, "finetune_clip": 1e9})
    finetune(network, Labelled(pool, y), wide, device=torch.device("cpu"), seed=0)
    total = torch.zeros(())
    for windows, labels in (A, B):
        ids = alone.backbone.electrode_ids(windows.channels)
        logits = alone(torch.from_numpy(windows.x.copy()), ids, windows.sfreq or 0.0)
        total = total + nn.functional.cross_entropy(
            logits, torch.from_numpy(labels), label_smoothing=0.1, reduction="sum"
        )
    torch.autograd.backward(total / 48)
    for (name, one), other in zip(network.named_parameters(), alone.parameters(), strict=True):
        if one.grad is None:
            assert other.grad is None, name
            continue
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-3, atol=1e-6, msg=name)


def test_kappa() -> None:
    rng = np.random.default_rng(0)
    for n_classes in (2, 5):
        y, told = rng.integers(0, n_classes, (2, 50))
        assert cohen_kappa(y, told) == pytest.approx(cohen_kappa_score(y, told))
    # by hand: 3 of 4 agree, by chance 1/2
    assert cohen_kappa(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 0])) == pytest.approx(0.5)
    assert cohen_kappa(np.array([1, 1]), np.array([1, 1])) == 0.0


@pytest.mark.parametrize("metric", ["kappa", "balanced-accuracy"])
def test_validation_chooses_the_epoch(metric: str) -> None:
    windows, y = TARGET
    held = np.arange(24) % 2 == 1
    # unequal classes, so that kappa and balanced accuracy are not the same
    held &= ~((y == 2) & (np.arange(24) > 12))
    given = access(
        calibration=Grant(windows.select(~held), y[~held], PLACES[y[~held]]),
        validation=Grant(windows.select(held), y[held]),
    )
    seen: list[np.ndarray] = []
    method = make(
        pretraining=False,
        finetune_epochs=8,
        backbone_rate=0.02,
        head_rate=0.02,
        validation_metric=metric,
        seed=4,
    )
    method.fit(given, observer=lambda epoch, n, predict: seen.append(predict(windows)))
    values = []
    for scores in seen:
        told = scores[held].argmax(axis=1)
        recalls = [(told == y[held])[y[held] == c].mean() for c in range(3)]
        kappa = cohen_kappa_score(y[held], told)
        values.append(kappa if metric == "kappa" else float(np.mean(recalls)))
    assert [record.validation for record in method.history_] == pytest.approx(values)
    assert len(set(values)) > 1
    best = int(np.argmax(values))
    np.testing.assert_allclose(method.predict_proba(windows), seen[best], atol=1e-6)


def test_both_arms_are_trained_alike() -> None:
    """From scratch and pre-trained: one head, one order of batches, one optimizer."""
    given = access()
    weights = make().pretrain(given)
    starts: dict[bool, dict[str, torch.Tensor]] = {}
    for pretraining in (True, False):
        method = make(pretraining=pretraining, finetune_epochs=0)
        method.fit(given, pretrained=weights if pretraining else None)
        starts[pretraining] = method._model.classifier.state_dict()
    for name in ("head.1.weight", "head.1.bias"):
        torch.testing.assert_close(starts[True][name], starts[False][name])
    for name, value in weights.arrays.items():
        if name.startswith("backbone."):
            np.testing.assert_array_equal(starts[True][name].numpy(), value)
    kinds = {
        (choice, pretraining): make_optimizer(
            classifier_of(EMODConfig(**SMALL)),
            EMODConfig(**SMALL, finetune_optimizer=choice, pretraining=pretraining),
        )
        for choice in ("adamw", "adam", "as-released")
        for pretraining in (True, False)
    }
    for choice, kind in (("adamw", torch.optim.AdamW), ("adam", torch.optim.Adam)):
        for pretraining in (True, False):
            optimizer, rates = kinds[choice, pretraining]
            assert type(optimizer) is kind
            assert rates == (1e-3, 5e-4)
    # the released code's arms differ in optimizer and rate
    assert type(kinds["as-released", True][0]) is torch.optim.Adam
    assert kinds["as-released", True][1] == (1e-3, 5e-4)
    assert type(kinds["as-released", False][0]) is torch.optim.AdamW
    assert kinds["as-released", False][1] == (1e-3, 1e-3)


def test_a_frozen_backbone_stays_as_it_is() -> None:
    given = access()
    method = make(freeze_backbone=True)
    weights = method.pretrain(given)
    method.fit(given, pretrained=weights)
    arrays, _ = method.state()
    for name, value in weights.arrays.items():
        if name.startswith("backbone."):
            np.testing.assert_array_equal(arrays[name], value)
    assert make(freeze_backbone=True).pretrain_fingerprint(given) == weights.fingerprint


def test_the_budget_is_kept_and_the_rest_follows_the_seed() -> None:
    given = access()
    seen: list[tuple[str, int, int]] = []
    method = make(pretraining=False, finetune_epochs=2, finetune_max_steps=4)
    method.fit(given, progress=lambda *told: seen.append(told))
    assert seen[-1] == ("fine-tuning", 4, 4)
    first = method.predict_proba(TARGET[0])
    again = make(pretraining=False, finetune_epochs=2, finetune_max_steps=4).fit(given)
    np.testing.assert_array_equal(again.predict_proba(TARGET[0]), first)
    state = torch.get_rng_state()
    make(pretraining=False).fit(given)
    assert torch.equal(torch.get_rng_state(), state)


def test_memory_is_bounded_by_pieces() -> None:
    cpu = torch.device("cpu")
    faced = (1000, 32, 2500)
    assert windows_at_once(faced, 128, cpu, training=True) < 10
    assert windows_at_once(faced, 128, cpu, training=False) < 20
    assert windows_at_once((10, 14, 512), 32, cpu, training=True) > 100
    assert windows_at_once((10, 500, 10**6), 128, cpu, training=True) == 1
    pool = WindowPool([A[0], B[0]], [7, 10])
    assert [len(piece.rows) for piece in pool.in_order()] == [7, 7, 7, 3, 10, 10, 4]


def test_reading_ahead_keeps_order_and_errors() -> None:
    def items() -> Any:
        yield 1
        yield 2
        raise ConfigError("broken")

    coming = ahead(items())
    assert [next(coming), next(coming)] == [1, 2]
    with pytest.raises(ConfigError, match="broken"):
        next(coming)


# ------------------------------------------------------------------------------------- shapes


def test_source_corpora_of_any_shape_train_one_classifier() -> None:
    given = Access("leave-one-corpus-out/zero-shot", WORDS, source_parts=(grant(A), grant(B)))
    method = make().fit(given)
    scores = method.predict_proba(TARGET[0])
    assert scores.shape == (24, 3)
    assert method.trained_on_ == ["A", "B"]
    with pytest.raises(ConfigError, match=r"head='seed'.*A 2 x 1 s; B 3 x 1 s.*'pooled'"):
        make(head="seed").fit(given)
    assert method.predict_proba(TARGET[0].select([])).shape == (0, 3)
    assert method.predict_valence_arousal(TARGET[0].select([])).shape == (0, 2)


def test_the_released_head_is_that_of_the_target() -> None:
    method = make(head="released", finetune_epochs=1, pretraining=False).fit(access())
    assert method._model.head["kind"] == "seed"
    with pytest.raises(ConfigError, match="4 electrodes x 8 tokens"):
        method.predict_proba(A[0])
    other = corpus("own", ("F3", "F4"), 40.0)
    pooled = make(head="released", finetune_epochs=1, pretraining=False)
    assert pooled.fit(access(calibration=grant(other)))._model.head["kind"] == "pooled"


# ----------------------------------------------------------------------------------- readouts


@pytest.mark.parametrize("readout", ["linear-probe", "prototypes", "plane"])
def test_readouts_leave_the_backbone_and_come_back_from_their_state(readout: str) -> None:
    given = access()
    method = make(readout=readout)
    weights = method.pretrain(given)
    told: list[Any] = []
    method.fit(given, pretrained=weights, observer=lambda *args: told.append(args[:2]))
    assert told == [(1, 1)]
    arrays, meta = method.state()
    for name, value in weights.arrays.items():
        np.testing.assert_array_equal(arrays[name], value)
    restored = restore_method(arrays, meta)
    windows = A[0]
    np.testing.assert_array_equal(method.predict_proba(windows), restored.predict_proba(windows))
    np.testing.assert_array_equal(
        method.predict_valence_arousal(windows), restored.predict_valence_arousal(windows)
    )
    np.testing.assert_array_equal(method.embed(windows), restored.embed(windows))
    broken = {name: value for name, value in arrays.items() if name != "reader.temperature"}
    if readout != "linear-probe":
        with pytest.raises(BundleError, match="not complete"):
            restore_method(broken, meta)


def test_the_plane_needs_no_class_labels() -> None:
    given = Access(
        "cross-corpus/zero-shot",
        WORDS,
        source_parts=(grant(A, labels=False), grant(B, labels=False)),
    )
    method = make(readout="plane").fit(given)
    assert method.predict_proba(TARGET[0]).shape == (24, 3)
    assert method.used_grants(given) == ("source_signals", "source_plane")
    with pytest.raises(AccessError, match="emod"):
        make().fit(given)


def test_valence_and_arousal_are_read_out_of_the_space() -> None:
    given = access()
    method = make(pretraining=False, finetune_epochs=1).fit(given)
    told = method.predict_valence_arousal(TARGET[0])
    assert told.shape == (24, 2)
    assert np.abs(told).max() <= 1
    assert make(plane_windows=0).fit(given).predict_valence_arousal(TARGET[0]) is None
    unplaced = access(calibration=grant(TARGET, plane=False))
    assert make(pretraining=False).fit(unplaced).predict_valence_arousal(TARGET[0]) is None
    # the pre-training corpora's places do as well
    assert make().fit(unplaced).predict_valence_arousal(TARGET[0]).shape == (24, 2)


def test_windows_become_vectors_before_and_after_fine_tuning() -> None:
    given = access()
    method = make()
    weights = method.pretrain(given)
    learnt = method.representation(weights)
    unit = learnt.embed(A[0])
    assert unit.shape == (24, 128)
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1.0, atol=1e-5)
    method.fit(given, pretrained=weights)
    np.testing.assert_array_equal(method.embed(A[0], "pretrained"), learnt.embed(A[0], "backbone"))
    assert method.embed(A[0]).shape == (24, 8)
    assert (method.embed(A[0]) != learnt.embed(A[0], "backbone")).any()
    with pytest.raises(ConfigError, match="'projection'"):
        method.embed(A[0], space="projection")
    scratch = make(pretraining=False).fit(given)
    with pytest.raises(ConfigError, match="pre-training was off"):
        scratch.embed(A[0], "pretrained")
    assert learnt.embed(A[0].select([])).shape == (0, 128)
    assert learnt.embed(A[0].select([]), "backbone").shape == (0, 8)


# -------------------------------------------------------------------------------- what it sees


def test_what_it_uses_of_an_access() -> None:
    whole = access(source_parts=(grant(A), grant(B)), validation=grant(TARGET))
    everything = whole.grants
    assert make().used_grants(whole) == everything
    scratch = make(pretraining=False, plane_windows=0)
    assert scratch.used_grants(whole) == (
        "calibration_signals",
        "calibration_labels",
        "validation",
    )
    instance = make(objective="instance", plane_windows=0)
    assert instance.used_grants(whole) == ("source_signals", *scratch.used_grants(whole))
    on_source = make(finetune_on="source", pretraining=False)
    assert on_source.used_grants(whole) == ("source_signals", "source_labels", "validation")


def test_a_source_without_places_is_refused_with_what_would_do() -> None:
    bare = access(source_parts=(grant(A, labels=False, plane=False),))
    with pytest.raises(AccessError, match=r"va_table='emod'.*objective='instance'"):
        make().fit(bare)
    make(objective="instance", plane_windows=0).fit(bare)
    with pytest.raises(AccessError, match="source"):
        make().fit(access(source_parts=()))
    assert make(pretraining=False).fit(access(source_parts=())).classes_ == WORDS


def test_the_method_may_bring_a_table_of_its_own() -> None:
    windows, y = A
    worded = windows.with_column("emotion", [WORDS[number] for number in y])
    labelled = Grant(worded, y)
    given = Access("leave-one-subject-out", WORDS, source_parts=(labelled,))
    with pytest.raises(AccessError, match="va_table='emod'"):
        make().fit(given)
    method = make(va_table="emod", finetune_epochs=1).fit(given)
    assert method.predict_valence_arousal(windows).shape == (24, 2)
    (placed,) = placed_grants([labelled, labelled], "emod")
    np.testing.assert_array_equal(placed.va, PLACES[y])
    assert placed_grants([labelled], None) == [labelled]


def test_a_corpus_without_places_is_named_before_any_training() -> None:
    words = [WORDS[number] for number in B[1]]
    bare = Grant(B[0].with_column("emotion", words), B[1])
    given = Access("leave-one-corpus-out/zero-shot", WORDS, source_parts=(grant(A), bare))
    with pytest.raises(AccessError, match="those of B have none.*va_table='emod'"):
        make().check_access(given)
    make(va_table="emod").check_access(dataclasses.replace(given, source_parts=(bare,)))
    make(objective="instance", readout="plane").check_access(given)
    make(pretraining=False).check_access(given)


def test_a_readout_of_the_plane_follows_the_table_of_the_task() -> None:
    """Windows and classes are placed by one table, and labels of another task tell no place."""
    table = {word: (0.1 * number, -0.2) for number, word in enumerate(WORDS)}
    windows, y = A
    hidden = Grant(windows, None, np.array(list(table.values()))[y])
    given = Access("cross-corpus/zero-shot", WORDS, source_parts=(hidden,), va_table=table)
    method = make(readout="plane").fit(given)
    np.testing.assert_allclose(method.state()[0]["reader.points"], list(table.values()))
    # the method's own table cannot move windows whose words are hidden, unless it is the task's
    with pytest.raises(AccessError, match="are not granted"):
        make(readout="plane", va_table="emod").fit(given)
    of_task = dataclasses.replace(given, va_table="emod")
    method = make(readout="plane", va_table="emod").fit(of_task)
    np.testing.assert_allclose(method.state()[0]["reader.points"], PLACES)

    others = Access(
        "cross-corpus/calibrated",
        ("sad", "made-up"),
        source_classes=WORDS,
        source_parts=(grant(A),),
        calibration=Grant(TARGET[0], np.zeros(24, dtype=np.int64), np.zeros((24, 2))),
    )
    with pytest.raises(ConfigError, match="made-up have no place"):
        make(readout="plane").fit(others)


def test_settings_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ConfigError, match="'plane_windows' above 0") as caught:
        make(readout="plane", plane_windows=0)
    assert str(caught.value).endswith("  - readout='plane' needs 'plane_windows' above 0.")
    with pytest.raises(ConfigError, match="pretraining is False"):
        make(readout="prototypes", readout_space="projection", pretraining=False)
    bare = access(calibration=grant(TARGET, plane=False), source_parts=())
    with pytest.raises(ConfigError, match=r"none of SEED has them\. Pass va_table"):
        make(readout="plane", pretraining=False).fit(bare)


def test_features_and_windows_of_no_rate_are_refused() -> None:
    table = A[0].table
    features = Windows.from_arrays(
        np.zeros((24, 2, 4)), table, sfreq=64.0, channels=("Fz", "Cz"), kind="features"
    )
    with pytest.raises(ConfigError, match="kind 'features'.*recipe 'emod'"):
        make(pretraining=False).fit(access(calibration=Grant(features, A[1])))
    x = A[0].x.copy()
    x[3, 0, 5] = np.nan
    method = make(pretraining=False).fit(access())
    with pytest.raises(ConfigError, match="1 of 24 windows of A hold NaN"):
        method.predict_proba(A[0].with_x(x))


def test_scaled_signals_are_refused() -> None:
    windows, y = TARGET
    scaled = windows.with_x(windows.x / windows.x.std())
    with pytest.raises(ConfigError, match=r"SEED vary by [\d.]+ \(SD\).*scaling='none'"):
        make().fit(access(calibration=grant((scaled, y))))


def test_weights_of_elsewhere_must_be_asked_for() -> None:
    given = access()
    weights = make(seed=9).pretrain(given)
    with pytest.raises(ConfigError, match="other source windows.*foreign_weights=True"):
        make().fit(given, pretrained=weights)
    with pytest.raises(ConfigError, match="pretraining=False"):
        make(pretraining=False).fit(given, pretrained=weights)
    alone = access(source_parts=())
    method = make(foreign_weights=True, finetune_epochs=0)
    assert method.pretrain_fingerprint(alone) is None
    with pytest.raises(ConfigError, match="pretrained="):
        method.fit(alone)
    method.fit(alone, pretrained=weights)
    arrays, meta = method.state()
    assert meta["pretraining"]["fingerprint"] == weights.fingerprint
    for name in [name for name in weights.arrays if name.startswith("backbone.")]:
        np.testing.assert_array_equal(arrays[name], weights.arrays[name])
    with pytest.raises(BundleError, match="don't fit EMOD's network"):
        make(foreign_weights=True, width=16).fit(alone, pretrained=weights)


# ------------------------------------------------------------------------------------- presets


def test_presets_make_methods_and_differ_where_they_say() -> None:
    for name in PRESETS:
        assert make_method("emod", name).config is not None
    released = make_method("emod", "released").config
    assert (released.layout, released.region_order, released.head) == (
        "released",
        "carried",
        "released",
    )
    paper = make_method("emod", "paper").config
    assert (paper.layout, paper.head, paper.width, paper.depth) == ("correct", "linear", 128, 3)
    assert make_method("emod", "small").config.width == 32


def test_arms_and_readouts_share_one_pre_training() -> None:
    given = access()
    mine = make().pretrain_fingerprint(given)
    for change in (
        {"head": "pooled"},
        {"readout": "plane"},
        {"finetune_epochs": 9},
        {"plane_windows": 3},
    ):
        assert make(**change).pretrain_fingerprint(given) == mine
    assert make(temperature=0.1).pretrain_fingerprint(given) != mine
    assert make(pretraining=False).pretrain_fingerprint(given) is None
    assert not {"readout", "head", "foreign_weights", "plane_windows"} & set(PRETRAIN_FIELDS)


def test_the_model_that_is_fitted_knows_its_arrays() -> None:
    config = EMODConfig(**SMALL)
    head = {"kind": "linear", "n_channels": 4, "n_samples": 60, "sfreq": 40.0}
    model, other = FineTuned(config, 3, head), FineTuned(config, 3, head, 1, 1)
    arrays = copy.deepcopy(model.arrays())
    other.load(arrays)
    np.testing.assert_array_equal(other.predict_proba(TARGET[0]), model.predict_proba(TARGET[0]))
    model.start_from(Pretrained("", arrays))
    with pytest.raises(BundleError):
        model.load({})
