"""Tiny windows and methods without torch, for tests of the benchmark."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from affectrum.benchmark import Plan
from affectrum.methods import registry
from affectrum.methods.base import Method, MethodConfig, Pretrained
from affectrum.windows import Windows

LABELS = ["positive", "neutral", "negative"] * 3 + ["negative", "neutral", "positive"] * 2
CHANNELS = ("Fp1", "Fp2", "Cz", "O1")
LOG: list[str] = []


class CentroidConfig(MethodConfig):
    epochs: int = 3
    pause_s: float = 0.0
    pretraining: bool = True


class Centroid(Method):
    """Nearest class centroid, with made-up epochs: each one moves closer to the centroids."""

    name = "test-centroid"
    Config: ClassVar[type[MethodConfig]] = CentroidConfig
    needs = ("calibration_signals", "calibration_labels")

    def pretrain_fingerprint(self, access: Any) -> str | None:
        if not self.config.pretraining:
            return None
        return f"centroid-{access.fingerprint('source')}"

    def pretrain(self, access: Any, *, progress: Any = None) -> Pretrained | None:
        LOG.append("pretrain")
        if progress is not None:
            progress("pre-training", 1, 1)
        mean = access.source.windows.x.mean(axis=0)
        return Pretrained(self.pretrain_fingerprint(access), {"mean": mean}, {"steps": 1})

    def fit(
        self, access: Any, *, observer: Any = None, pretrained: Any = None, progress: Any = None
    ):
        LOG.append("fit")
        self.check_access(access)
        self.classes_ = access.classes
        rng = np.random.default_rng(access.seed)
        x, y = access.calibration.windows.x, access.calibration.y
        goal = np.stack(
            [
                x[y == index].mean(axis=0) if (y == index).any() else np.zeros(x.shape[1:])
                for index in range(len(self.classes_))
            ]
        )
        for epoch in range(1, self.config.epochs + 1):
            time.sleep(self.config.pause_s)
            noise = rng.standard_normal(goal.shape) * (self.config.epochs - epoch)
            self.centres_ = goal + noise
            if observer is not None:
                observer(epoch, self.config.epochs, self.predict_proba)
        return self

    def predict_proba(self, windows: Windows):
        distance = np.square(windows.x[:, None] - self.centres_).sum(axis=(2, 3))
        weight = np.exp(-(distance - distance.min(axis=1, keepdims=True)))
        return weight / weight.sum(axis=1, keepdims=True)

    def predict_valence_arousal(self, windows: Windows):
        valence = self.predict_proba(windows) @ np.array([-1.0, 0.0, 1.0])
        return np.column_stack([valence, np.full(len(valence), np.nan)])

    def embed(self, windows: Windows):
        return windows.x.reshape(len(windows), -1)

    def state(self):
        return {"centres": self.centres_}, self.base_meta()

    def load_state(self, arrays, meta):
        self.centres_, self.classes_ = arrays["centres"], tuple(meta["classes"])
        return self


class SourceCentroid(Centroid):
    """The same, but it asks for validation data."""

    name = "test-needs-validation"
    needs = ("validation",)


@contextlib.contextmanager
def registered() -> Iterator[None]:
    """Make the methods above known for a while; tests of the registry must not see them."""
    mine = {cls.name: cls for cls in (Centroid, SourceCentroid)}
    registry._REGISTERED.update(mine)
    try:
        yield
    finally:
        for name in mine:
            registry._REGISTERED.pop(name, None)


def make_windows(corpus: str, n_subjects: int = 3, n_windows: int = 3, seed: int = 0) -> Windows:
    rng = np.random.default_rng(seed + len(corpus))
    rows, values = [], []
    for subject in range(1, n_subjects + 1):
        offset = rng.standard_normal((4, 2))
        for row, emotion in enumerate(LABELS, start=1):
            effect = {"positive": 1.0, "neutral": 0.0, "negative": -1.0}[emotion]
            for window in range(n_windows):
                rows.append(
                    {
                        "corpus": corpus,
                        "subject": subject,
                        "session": 1,
                        "row": row,
                        "trial": row,
                        "clip": f"{corpus}/{row:02d}",
                        "emotion": emotion,
                        "window": window,
                        "start_s": float(window),
                        "simulated": True,
                    }
                )
                # the effect sits on the front of the head only
                value = offset + 0.5 * rng.standard_normal((4, 2))
                value[:2] += effect
                values.append(value)
    return Windows.from_arrays(
        np.array(values, dtype=np.float32),
        pd.DataFrame(rows),
        sfreq=200.0,
        channels=CHANNELS,
        bands={"theta": (4.0, 8.0), "alpha": (8.0, 14.0)},
        recipe="test",
    )


def make_parts() -> dict[str, Windows]:
    return {"SEED": make_windows("SEED"), "other": make_windows("other", seed=5)}


def make_plan(**changes: Any) -> Plan:
    data: dict[str, Any] = {
        "name": "test",
        "tasks": [{"source": "other", "target": "SEED", "calibration_trials": 9}],
        "methods": ["test-centroid"],
        "seeds": [0, 1],
    }
    return Plan.from_dict({**data, **changes})
