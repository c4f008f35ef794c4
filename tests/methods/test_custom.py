from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from torch import nn

import affectrum as af
from affectrum.errors import AccessError, ConfigError
from affectrum.methods import custom, registry, restore_method
from affectrum.windows import Windows

CLASSES = ("negative", "neutral", "positive")


def own_windows(corpus: str, seed: int) -> Windows:
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        [
            {
                "corpus": corpus,
                "subject": s,
                "trial": t + 1,
                "emotion": CLASSES[t % 3],
                "start_s": float(w),
                "window": w,
            }
            for s in (1, 2, 3)
            for t in range(9)
            for w in range(5)
        ]
    )
    y = table["emotion"].map({c: i for i, c in enumerate(CLASSES)}).to_numpy(dtype=int)
    means = np.random.default_rng(7).standard_normal((3, 4, 5))
    x = (rng.standard_normal((len(table), 4, 5)) + 2 * means[y]).astype(np.float32)
    return Windows.from_arrays(
        x, table, sfreq=128.0, channels=("Fz", "Cz", "T7", "T8"), kind="features", recipe="t"
    )


# The worked example of affectrum.methods.custom, as a user writes it.
class BandAttention(nn.Module):
    def __init__(self, n_channels: int, n_features: int, n_classes: int) -> None:
        super().__init__()
        self.weights = nn.Sequential(nn.Linear(n_features, n_features), nn.Softmax(dim=-1))
        self.head = nn.Sequential(
            nn.Flatten(), nn.Linear(n_channels * n_features, 64), nn.ELU(), nn.Linear(64, n_classes)
        )

    def forward(self, x: Any) -> Any:
        return self.head(x * self.weights(x))


@pytest.mark.parametrize(
    ("protocol", "options"),
    [
        ("within-subject", {"calibration_trials": 6}),
        ("leave-one-subject-out", {}),
        ("cross-corpus/zero-shot", {"source": "A", "target": "B"}),
        ("cross-corpus/calibrated", {"source": "A", "target": "B", "calibration_trials": 6}),
    ],
)
def test_a_users_own_module_joins_every_protocol(protocol: str, options: dict[str, Any]) -> None:
    method = af.methods.from_module(BandAttention, name="band-attention", epochs=20, device="cpu")
    windows: Any = [own_windows("A", 1), own_windows("B", 2)]
    folds = af.make_folds(
        windows if "cross-corpus" in protocol else windows[0], protocol, classes=CLASSES, **options
    )
    for fold in folds:
        model = method.clone().fit(fold.access)
        scores = model.predict_proba(fold.test)
        assert scores.shape == (len(fold.test), 3)
        truth = af.protocols.truth(windows, fold) if "cross" in protocol else None
        if truth is not None:
            assert (scores.argmax(axis=1) == truth).mean() > 0.8


def test_the_worked_example_is_under_40_lines() -> None:
    text = custom.__doc__ or ""
    block = text.split("complete", 1)[1].split("With ``register")[0]
    lines = [line for line in block.splitlines()[1:] if line.strip()]
    assert len(lines) < 40
    assert "from_module" in block
    assert "make_folds" in block


def test_state_comes_back_into_the_same_module() -> None:
    fold = af.make_folds(own_windows("A", 1), "leave-one-subject-out", classes=CLASSES)[0]
    method = af.methods.from_module(BandAttention, epochs=2, seed=4, device="cpu").fit(fold.access)
    assert method.name == "BandAttention"
    arrays, meta = method.state()
    other = method.clone().load_state(arrays, json.loads(json.dumps(meta)))
    np.testing.assert_array_equal(method.predict_proba(fold.test), other.predict_proba(fold.test))
    wider = af.methods.from_module(lambda c, f, k: BandAttention(c, f + 1, k), epochs=2)
    with pytest.raises((ConfigError, RuntimeError)):
        wider.load_state(arrays, meta)


def test_registered_by_name() -> None:
    try:
        af.methods.from_module(BandAttention, name="own-for-test", register=True)
        made = af.make_method("own-for-test", epochs=1, device="cpu")
        fold = af.make_folds(own_windows("A", 1), "leave-one-subject-out", classes=CLASSES)[0]
        arrays, meta = made.fit(fold.access).state()
        np.testing.assert_array_equal(
            made.predict_proba(fold.test), restore_method(arrays, meta).predict_proba(fold.test)
        )
    finally:
        registry._REGISTERED.pop("own-for-test", None)


def test_a_pretrain_hook_runs_once_per_source_and_matters() -> None:
    calls: list[tuple[int, ...]] = []

    def hook(network: nn.Module, x: Any, seed: int) -> None:
        calls.append(tuple(x.shape))
        for parameter in network.parameters():
            parameter.data.mul_(0.5)

    parts = [own_windows("A", 1), own_windows("B", 2)]
    folds = af.make_folds(
        parts,
        "cross-corpus/calibrated",
        source="A",
        target="B",
        classes=CLASSES,
        calibration_trials=6,
    )
    method = af.methods.from_module(
        BandAttention, name="hooked", pretrain=hook, epochs=1, device="cpu"
    )
    shared = method.pretrain(folds[0].access)
    assert calls == [(135, 4, 5)]
    scores = [
        method.clone().fit(fold.access, pretrained=shared).predict_proba(fold.test)
        for fold in folds
    ]
    assert len(calls) == 1
    own = method.clone().fit(folds[0].access).predict_proba(folds[0].test)
    np.testing.assert_array_equal(own, scores[0])
    plain = af.methods.from_module(BandAttention, name="hooked", epochs=1, device="cpu")
    assert plain.pretrain_fingerprint(folds[0].access) is None
    assert not np.array_equal(own, plain.fit(folds[0].access).predict_proba(folds[0].test))
    assert shared is not None
    with pytest.raises(ConfigError, match="another source"):
        method.clone(seed=9).fit(folds[0].access, pretrained=shared)
    calibration_only = af.protocols.Access(
        protocol="own", classes=CLASSES, calibration=folds[0].access.calibration
    )
    with pytest.raises(AccessError, match="source_signals"):
        method.clone().fit(calibration_only)


def test_values_a_factory_or_hook_closed_over_change_the_pretraining_key() -> None:
    def made(width: int, scale: float) -> Any:
        def factory(n_channels: int, n_features: int, n_classes: int) -> nn.Module:
            return nn.Sequential(
                nn.Flatten(), nn.Linear(n_channels * n_features, width), nn.Linear(width, n_classes)
            )

        def hook(network: nn.Module, x: Any, seed: int) -> None:
            for parameter in network.parameters():
                parameter.data.mul_(scale)

        return af.methods.from_module(factory, name="closed", pretrain=hook, epochs=1, device="cpu")

    fold = af.make_folds(own_windows("A", 1), "leave-one-subject-out", classes=CLASSES)[0]
    keys = [
        made(width, scale).pretrain_fingerprint(fold.access)
        for width, scale in ((4, 0.5), (8, 0.5), (4, 0.25), (4, 0.5))
    ]
    assert keys[0] == keys[3]
    assert len(set(keys)) == 3


def test_what_does_not_fit_is_refused_with_a_reason() -> None:
    with pytest.raises(ConfigError, match="class or function"):
        af.methods.from_module(BandAttention(4, 5, 3))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="unknown parameter 'epoch'. Did you mean 'epochs'"):
        af.methods.from_module(BandAttention, epoch=3)
    fold = af.make_folds(own_windows("A", 1), "leave-one-subject-out", classes=CLASSES)[0]
    wrong = af.methods.from_module(
        lambda c, f, k: nn.Sequential(nn.Flatten(), nn.Linear(c * f, k + 1)), name="wrong"
    )
    with pytest.raises(ConfigError, match=r"logits \(batch, 3\); it returned \(4,\)"):
        wrong.fit(fold.access)
    no_module = af.methods.from_module(lambda c, f, k: "text", name="no")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="must return a torch.nn.Module"):
        no_module.fit(fold.access)
