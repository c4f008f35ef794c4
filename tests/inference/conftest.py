"""A small model trained on made-up features, and small recordings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import mne
import numpy as np
import pandas as pd
import pytest

import affectrum as af
from affectrum.inference import load_bundle, train_bundle
from affectrum.recipes import Recipe, get_recipe
from affectrum.windows import Windows

WORDS = {
    "valence3": ("negative", "neutral", "positive"),
    "emotion4": ("neutral", "sad", "fear", "happy"),
}


def make_windows(
    recipe: Recipe, classes: str = "valence3", *, n_subjects: int = 4, simulated: bool = True
) -> Windows:
    """Entropies around values that microvolt signals have (ln V is about -26), with classes."""
    rng = np.random.default_rng(0)
    words = WORDS[classes]
    corpus = "SEED" if classes == "valence3" else "SEED-IV"
    table = pd.DataFrame(
        [
            {
                "corpus": corpus,
                "subject": s,
                "session": 1,
                "row": t + 1,
                "trial": t + 1,
                "emotion": words[t % len(words)],
                "window": w,
                "start_s": float(w),
                "simulated": simulated,
            }
            for s in range(1, n_subjects + 1)
            for t in range(2 * len(words))
            for w in range(15)
        ]
    )
    y = table["emotion"].map({word: i for i, word in enumerate(words)}).to_numpy(dtype=int)
    channels, bands = recipe.electrode_names(), recipe.resolved_bands()
    patterns = np.random.default_rng(5).standard_normal((len(words), len(channels), len(bands)))
    level = -12.0 - 0.5 * np.arange(len(bands))
    x = level + 0.3 * rng.standard_normal((len(table), len(channels), len(bands))) + patterns[y]
    return Windows.from_arrays(
        x.astype(np.float32),
        table,
        sfreq=200.0,
        channels=channels,
        kind="de",
        bands=bands,
        recipe=recipe.digest(),
    )


@pytest.fixture(scope="session")
def bundle_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Train (once) and save a model; returns its folder."""
    made: dict[tuple[Any, ...], Path] = {}

    def make(
        recipe: Recipe | None = None,
        classes: str = "valence3",
        method: str = "logistic",
        simulated: bool = True,
        **options: Any,
    ) -> Path:
        recipe = recipe or get_recipe("de32")
        key = (recipe.digest(), classes, method, simulated, *sorted(map(str, options.items())))
        if key not in made:
            made[key] = train_bundle(
                af.make_method(method),
                make_windows(recipe, classes, simulated=simulated),
                tmp_path_factory.mktemp("bundles") / "model",
                recipe=recipe,
                classes=classes,
                date="2026-01-01",
                **options,
            )
        return made[key]

    return make


@pytest.fixture(scope="session")
def training_windows() -> Windows:
    return make_windows(get_recipe("de32"))


@pytest.fixture
def bundle(bundle_folder: Callable[..., Path]) -> Any:
    return load_bundle(bundle_folder())


@pytest.fixture
def make_raw() -> Callable[..., mne.io.BaseRaw]:
    """Pink-ish noise in volts at named electrodes."""

    def make(
        channels: Any = None, sfreq: float = 128.0, seconds: float = 70.0, seed: int = 0
    ) -> mne.io.BaseRaw:
        names = list(get_recipe("de32").electrode_names() if channels is None else channels)
        rng = np.random.default_rng(seed)
        n = round(sfreq * seconds)
        spectrum = np.fft.rfft(rng.standard_normal((len(names), n)), axis=1)
        spectrum /= np.sqrt(np.maximum(np.fft.rfftfreq(n, 1 / sfreq), 1.0))
        data = np.fft.irfft(spectrum, n, axis=1)
        data *= 10e-6 / data.std()
        return mne.io.RawArray(data, mne.create_info(names, sfreq, "eeg"), verbose="ERROR")

    return make
