"""A method without torch whose score is known beforehand, and an experiment of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest

from affectrum.methods import registry
from affectrum.methods.base import Method, MethodConfig
from affectrum.reproduce import experiment as experiments
from affectrum.reproduce.experiment import Experiment, Sweep, Transfer, Variant
from affectrum.windows import Windows

EMOTIONS = ["positive", "neutral", "negative"] * 5
CODE = {"negative": 0, "neutral": 1, "positive": 2}


class ScriptedConfig(MethodConfig):
    right: tuple[float, ...] = (1.0, 0.0)
    honest: bool = True


class Scripted(Method):
    """Each window holds its class; `right` is the share of trials answered rightly per epoch.

    The last epoch counts, so that the score with the last weights and with the best test epoch are
    known beforehand. A wrong answer is the next class.
    """

    name = "test-scripted"
    Config: ClassVar[type[MethodConfig]] = ScriptedConfig
    needs = ("calibration_signals", "calibration_labels")
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "strict": {},
        "released": {"right": (1.0, 0.5, 0.0)},
    }

    def fit(
        self, access: Any, *, observer: Any = None, pretrained: Any = None, progress: Any = None
    ) -> Scripted:
        self.check_access(access)
        self.classes_ = access.classes
        for epoch, share in enumerate(self.config.right, start=1):
            self.share_ = share
            if observer is not None:
                observer(epoch, len(self.config.right), self.predict_proba)
        return self

    def predict_proba(self, windows: Windows) -> np.ndarray:
        label = np.rint(windows.x[:, 0, 0]).astype(int)
        order = np.rint(windows.x[:, 1, 0]).astype(int)
        wrong = order >= self.share_ * 100
        answer = np.where(wrong, (label + 1) % 3, label)
        return np.eye(3)[answer] * 0.97 + 0.01

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        return {}, {**self.base_meta(), "share": self.share_}

    def load_state(self, arrays: Any, meta: Any) -> Scripted:
        self.share_, self.classes_ = meta["share"], tuple(meta["classes"])
        return self


class NeedsValidation(Scripted):
    name = "test-needs-validation-too"
    needs = ("validation",)


def make_windows(corpus: str, n_subjects: int = 2) -> Windows:
    """Class in the first electrode; in the second, 0 or 50 by turns within each class."""
    rng = np.random.default_rng(len(corpus))  # the audit takes equal values for one signal
    rows, values = [], []
    for subject in range(1, n_subjects + 1):
        for row, emotion in enumerate(EMOTIONS, start=1):
            for window in range(2):
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
                told = np.array([[CODE[emotion]], [50 * ((row - 1) // 3 % 2)]])
                values.append(told + 0.1 * rng.uniform(-1, 1, size=(2, 1)))
    return Windows.from_arrays(
        np.array(values, dtype=np.float32),
        pd.DataFrame(rows),
        sfreq=200.0,
        channels=("Fz", "Cz"),
        bands={"alpha": (8.0, 14.0)},
        recipe="test",
    )


@pytest.fixture(scope="module")
def windows() -> dict[str, Windows]:
    """Windows of two corpora, as `reproduce` and `waterfall` take them."""
    return {"SEED": make_windows("SEED"), "SEED-IV": make_windows("SEED-IV")}


COMMON = {
    "source": "SEED-IV",
    "target": "SEED",
    "classes": "valence3",
    "calibration_trials": 9,
    "scaling": "none",
    "scaler": "none",
}


@pytest.fixture(scope="module")
def experiment(_known_methods: None) -> Iterator[Experiment]:
    """Return an experiment of the scripted method, known for the time of one file of tests."""
    found = Experiment(
        method="test-scripted",
        title="A scripted experiment",
        reference="Nobody, nowhere",
        transfers=(
            Transfer(
                "SEED-IV->SEED",
                "SEED-IV -> SEED",
                {**COMMON, "selection": "oracle", "recipe": "de62"},
                {**COMMON, "selection": "last", "recipe": "de62"},
                unknown=("the colour of the cap",),
            ),
            Transfer(
                "DEAP->SEED",
                "DEAP -> SEED",
                {**COMMON, "source": "DEAP", "source_labels": False, "selection": "oracle"},
                {**COMMON, "source": "DEAP", "source_labels": False},
            ),
        ),
        presets=("released", "strict"),
        ablations=(Variant("half right", {"right": (1.0, 0.5)}), Variant("same", {"honest": True})),
        sweeps=(Sweep("right", "share", ((0.0,), (0.5,), (1.0,)), ((0.0,), (1.0,))),),
        sweep_base={"right": (0.0,)},
        study=("SEED-IV->SEED",),
        descents=("SEED-IV->SEED",),
        quick={"honest": True},
        unknown=("everything",),
    )
    experiments._REGISTERED[found.method] = found
    yield found
    del experiments._REGISTERED[found.method]


@pytest.fixture(scope="module", autouse=True)
def _known_methods() -> Iterator[None]:
    mine = {cls.name: cls for cls in (Scripted, NeedsValidation)}
    registry._REGISTERED.update(mine)
    yield
    for name in mine:
        registry._REGISTERED.pop(name, None)
