"""Recipes that leave electrodes and rates to each corpus, from volts to a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mne
import numpy as np
import pandas as pd
import pytest

from affectrum.errors import ConfigError, ProtocolError
from affectrum.harmonise import SEED62
from affectrum.inference import load_bundle, train_bundle
from affectrum.inference.deploy import training_side
from affectrum.methods import registry
from affectrum.methods.base import Method
from affectrum.pipeline import process
from affectrum.recipes import RECIPES, Recipe, get_recipe
from affectrum.signals import bandpass, remove_eye_components, resample
from affectrum.windows import Windows

EMOD = ("emod", "emod-ica", "emod-200hz", "emod-5s", "emod-1s", "emod-small")


def noise(n_channels: int, seconds: float, sfreq: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n_channels, round(seconds * sfreq))) * 1e-5


# ------------------------------------------------------------------------------------ recipes


@pytest.mark.parametrize(
    ("name", "seconds", "rates"),
    [
        ("emod", 10.0, {128: 128, 200: 200, 250: 250, 256: 128, 300: 300, 1000: 200}),
        ("emod-ica", 10.0, {1000: 200}),
        ("emod-200hz", 10.0, {128: 200, 250: 200, 1000: 200}),
        ("emod-5s", 5.0, {200: 200, 1000: 200}),
        ("emod-1s", 1.0, {200: 200, 1000: 200}),
        ("emod-small", 4.0, {128: 128, 300: 128, 1000: 128}),
    ],
)
def test_the_recipes_for_emod(name: str, seconds: float, rates: dict[int, int]) -> None:
    recipe = get_recipe(name)
    assert (recipe.kind, recipe.window_s, recipe.bandpass) == ("raw", seconds, (0.3, 49.0))
    assert recipe.reference == "average"
    assert recipe.own_electrodes
    assert {rate: recipe.rate_of(rate) for rate in rates} == rates
    assert recipe.ica == ("fastica" if name == "emod-ica" else "none")
    # nothing is rejected, as published
    limits = ("artefact_flat_uv", "artefact_amplitude_uv", "artefact_jump_uv", "artefact_muscle")
    assert all(getattr(recipe, limit) is None for limit in limits)


def test_own_electrodes_are_known_with_the_corpus_only(tmp_path: Path) -> None:
    recipe = get_recipe("emod")
    assert recipe.electrode_names(("Fz", "Cz")) == ("Fz", "Cz")
    with pytest.raises(ConfigError, match="takes the electrodes of each corpus"):
        recipe.electrode_names()
    assert recipe.digest() == recipe.replace(electrodes="OWN").digest()
    assert recipe.digest() != recipe.replace(electrodes="SEED62").digest()
    assert Recipe.from_yaml(recipe.to_yaml(tmp_path / "r.yaml")).digest() == recipe.digest()
    other = {256.0: 128.0, 512.0: 128.0, 1000.0: 200.0}  # the order of rates means nothing
    assert recipe.replace(resample_rates=other).digest() == recipe.digest()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"how": "interpolate"}, "electrodes 'own' are all there"),
        ({"sfreq": 128.0}, "sfreq and resample_rates both say the rate"),
        ({"resample_rates": {256: 0}}, "rates must be above 0 Hz"),
        ({"ica": "fastica", "causal": True}, "causal must be false"),
        ({"ica": "infomax"}, "ica is 'infomax'"),
    ],
)
def test_what_does_not_go_together(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        get_recipe("emod").replace(**change)


# ----------------------------------------------------------------------------------- pipeline


def test_windows_at_own_electrodes_and_rates() -> None:
    recipe = get_recipe("emod-1s")
    x = noise(5, 3.5, 256.0)
    made = process(x, SEED62[:5], 256.0, recipe)
    assert made.x.shape == (3, 5, 128)
    assert made.sfreq == 128.0
    # order by hand: average of all electrodes, filter, resample, windows
    signal = resample(bandpass(x - x.mean(axis=0), 256.0, 0.3, 49.0), 256.0, 128.0)
    expected = np.stack([signal[:, 128 * k : 128 * (k + 1)] for k in range(3)])
    np.testing.assert_allclose(made.x, expected, atol=1e-11)
    assert process(x, SEED62[:5], 250.0, recipe).x.shape == (3, 5, 250)


def test_eye_movements_are_looked_for_before_the_reference() -> None:
    names = [name for name in SEED62 if name[-1].isdigit()][:16]
    assert {"Fp1", "Fp2"} <= set(names)
    recipe = get_recipe("emod-1s").replace(ica="fastica")
    x = noise(16, 8.0, 256.0)
    time = np.arange(x.shape[1]) / 256.0
    blink = sum(np.exp(-(((time - at) / 0.1) ** 2)) for at in (1, 3, 5, 7)) * 2e-4
    x[[names.index("Fp1"), names.index("Fp2")]] += blink
    filtered = resample(bandpass(x, 256.0, 0.3, 49.0), 256.0, 128.0)
    clean = remove_eye_components(filtered, names, 128.0)
    assert np.abs(clean).max() < 0.5 * np.abs(filtered).max()
    clean -= clean.mean(axis=0)
    expected = np.stack([clean[:, 128 * k : 128 * (k + 1)] for k in range(8)])
    np.testing.assert_allclose(process(x, names, 256.0, recipe).x, expected, atol=1e-11)


# ---------------------------------------------------------------------------------- inference


class Loudness(Method):
    """Two classes by how large the signal is; reads any shape."""

    name = "test-loudness"
    takes_several_shapes = True

    def fit(self, access: Any, *, observer=None, pretrained=None, progress=None):
        self.check_access(access)
        self.classes_ = access.classes
        loud = [self._size(part.windows) for part in access.source_parts]
        y = np.concatenate([part.y for part in access.source_parts])
        size = np.concatenate(loud)
        self.border_ = np.array([size[y == k].mean() for k in range(len(self.classes_))])
        self.shapes_ = [part.windows.shape[1:] for part in access.source_parts]
        return self

    def _size(self, windows: Windows) -> np.ndarray:
        return np.log(windows.batch(slice(None)).std(axis=(1, 2)))

    def predict_proba(self, windows: Windows):
        far = np.abs(self._size(windows)[:, None] - self.border_)
        weight = np.exp(-far)
        return weight / weight.sum(axis=1, keepdims=True)

    def state(self):
        return {"border": self.border_}, self.base_meta()

    def load_state(self, arrays, meta):
        self.border_, self.classes_ = arrays["border"], tuple(meta["classes"])
        return self


@pytest.fixture
def loudness():
    registry._REGISTERED["test-loudness"] = Loudness
    yield Loudness
    registry._REGISTERED.pop("test-loudness", None)


def two_corpora(recipe: Recipe) -> list[Windows]:
    """Happy is five times as loud as sad, at 5 electrodes and 128 Hz and at 7 and 200 Hz."""
    parts = []
    for corpus, n, sfreq in (("A", 5, 128.0), ("B", 7, 200.0)):
        rows, values = [], []
        for subject in (1, 2):
            for trial, word in enumerate(("happy", "sad", "happy", "sad", "puzzled"), start=1):
                x = noise(n, 3.0, sfreq, seed=10 * subject + trial)
                made = process(x * (5 if word == "happy" else 1), SEED62[:n], sfreq, recipe)
                values.append(made.x)
                rows += [
                    {"corpus": corpus, "subject": subject, "trial": trial, "emotion": word,
                     "window": w, "valence": 0.5}
                    for w in range(len(made.x))
                ]  # fmt: skip
        parts.append(
            Windows.from_arrays(
                np.concatenate(values), pd.DataFrame(rows), sfreq=sfreq, channels=SEED62[:n],
                kind="raw", recipe=recipe.digest(),
            )
        )  # fmt: skip
    return parts


def test_a_bundle_reads_whatever_electrodes_were_recorded(loudness, tmp_path: Path) -> None:
    recipe = get_recipe("emod-1s")
    parts = two_corpora(recipe)
    classes = ["happy", "sad"]
    side = training_side(parts, recipe=recipe, classes=classes)
    assert side.access.source is None
    assert [len(part) for part in side.access.source_parts] == [24, 24]  # puzzled has no class
    assert (side.access.source_parts[0].va[:, 0] == 0.5).all()
    assert [one["sfreq"] for one in side.about()] == [128.0, 200.0]
    with pytest.raises(ProtocolError, match="per-subject"):
        training_side(parts, recipe=recipe, classes=classes, scaling="per-subject")
    folder = train_bundle(Loudness(), parts, tmp_path / "m", recipe=recipe, classes=classes)
    card = (folder / "README.md").read_text()
    assert "all that a recording has; trained on 7: Fp1" in card
    bundle = load_bundle(folder)
    assert bundle.channels == ()
    names = ["Fp1", "Fp2", "T7", "T8", "Pz", "Oz"]  # neither corpus's electrodes
    x = np.concatenate([noise(6, 4.0, 256.0), 5 * noise(6, 4.0, 256.0, 1)], axis=1)
    raw = mne.io.RawArray(x, mne.create_info(names, 256.0, "eeg"), verbose="ERROR")
    timeline = bundle.predict(raw)
    assert timeline.table["class"].tolist() == ["sad"] * 4 + ["happy"] * 4
    assert not any("interpolated" in warning for warning in timeline.warnings)
    # of these only Fp1 and Fp2 were trained on, and the smaller cap had five electrodes
    assert timeline.coverage == 2 / 5
    assert "Electrodes that the model was not trained on: T7, T8, Pz, Oz." in timeline.warnings
    assert any("Only 2 electrodes that the model knows" in w for w in timeline.warnings)
    assert timeline.table["novelty"].isna().all()
    mixed = bundle.predict_windows(parts[1])
    assert len(mixed.table) == len(parts[1])


def test_recipes_of_the_package_cover_emod() -> None:
    assert set(EMOD) <= set(RECIPES)
