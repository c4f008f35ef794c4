"""A bundle of EMOD reads recordings of electrodes and rates that it was not trained on."""

from __future__ import annotations

from pathlib import Path

import mne
import numpy as np
import pandas as pd
import pytest

import affectrum as af
from affectrum.inference import load_bundle, load_pretrained, save_pretrained, train_bundle
from affectrum.inference.deploy import training_side
from affectrum.recipes import get_recipe
from affectrum.windows import Windows

WORDS = ("negative", "neutral", "positive")
PLACES = {"negative": (-0.25, 0.25), "neutral": (0.0, 0.0), "positive": (0.75, 0.5)}
RECIPE = get_recipe("emod-small")


def corpus(name: str, channels: tuple[str, ...], seed: int) -> Windows:
    """Four trials of each class and two people, 4 s at 128 Hz, volts."""
    table = pd.DataFrame(
        [
            {
                "corpus": name,
                "subject": subject,
                "trial": trial + 1,
                "emotion": WORDS[trial % 3],
                "valence": PLACES[WORDS[trial % 3]][0],
                "arousal": PLACES[WORDS[trial % 3]][1],
                "window": 0,
                "start_s": 0.0,
                "simulated": True,
            }
            for subject in (1, 2)
            for trial in range(6)
        ]
    )
    x = 1e-5 * np.random.default_rng(seed).standard_normal((len(table), len(channels), 512))
    return Windows.from_arrays(
        x, table, sfreq=128.0, channels=channels, kind="raw", recipe=RECIPE.digest()
    )


def test_weights_and_models_are_bundles(tmp_path: Path) -> None:
    parts = [corpus("SEED", ("Fz", "Cz", "CB1"), 0), corpus("own", ("F3", "F4"), 1)]
    small = {"width": 8, "depth": 1, "per_region": 1, "pretrain_epochs": 1, "pretrain_steps": 2}
    method = af.make_method("emod", **small, finetune_epochs=1, plane_windows=12, device="cpu")
    side = training_side(parts, recipe=RECIPE)
    folder = save_pretrained(
        method.pretrain(side.access), tmp_path / "weights", method=method, simulated=True
    )
    known, weights = load_pretrained(folder)
    assert known.config == method.config
    z = known.representation(weights).embed(parts[1])
    assert z.shape == (12, 128)

    model = train_bundle(method, parts, tmp_path / "model", recipe=RECIPE, pretrained=weights)
    bundle = load_bundle(model)
    np.testing.assert_array_equal(
        bundle.method.predict_proba(parts[0]), method.predict_proba(parts[0])
    )
    rng = np.random.default_rng(2)
    info = mne.create_info(["Pz", "O1", "T3", "Fp2"], 200.0, "eeg")
    raw = mne.io.RawArray(1e-5 * rng.standard_normal((4, 200 * 13)), info, verbose="error")
    timeline = bundle.predict(raw)
    scores = timeline.scores()
    assert scores.shape == (3, 3)
    np.testing.assert_allclose(scores.sum(axis=1), 1.0, atol=1e-6)
    assert bundle.simulated

    # started from a bundle alone: nothing of what it was pre-trained on is at hand
    alone = method.clone(foreign_weights=True, finetune_on="source")
    again = train_bundle(alone, parts[1], tmp_path / "own", recipe=RECIPE, pretrained=weights)
    assert load_bundle(again).method.trained_on_ == ["own"]
    with pytest.raises(af.errors.ConfigError, match="foreign_weights=True"):
        train_bundle(method, parts[1], tmp_path / "no", recipe=RECIPE, pretrained=weights)
