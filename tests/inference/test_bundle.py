from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

import affectrum as af
from affectrum.errors import BundleError, ConfigError, LabelError, ProtocolError
from affectrum.inference import (
    load_bundle,
    load_pretrained,
    save_bundle,
    save_pretrained,
    train_bundle,
)
from affectrum.inference.bundle_io import read_bundle_files, write_bundle_files
from affectrum.protocols import Access, Grant
from affectrum.recipes import get_recipe

QUICK: dict[str, dict[str, Any]] = {
    "svm": {},
    "logistic": {},
    "most-frequent": {},
    "mlp": {"epochs": 1, "device": "cpu"},
    "scmm-scratch": {"finetune_epochs": 1, "width": 8, "device": "cpu"},
    "scmm": {
        "pretrain_steps": 2,
        "pretrain_batch": 16,
        "search": 0,
        "finetune_epochs": 1,
        "width": 8,
        "device": "cpu",
    },
}


@pytest.mark.parametrize("name", list(QUICK))
def test_any_method_becomes_a_bundle_and_comes_back(
    name: str, tmp_path: Path, training_windows: Any
) -> None:
    method = af.make_method(name, **QUICK[name])
    recipe = get_recipe("de32")
    folder = train_bundle(method, training_windows, tmp_path / "m", recipe=recipe, scaling="source")
    bundle = load_bundle(folder)
    scaled = training_windows.with_x(bundle.scaler.transform(training_windows.x))
    np.testing.assert_array_equal(bundle.method.predict_proba(scaled), method.predict_proba(scaled))
    timeline = bundle.predict_windows(training_windows)
    np.testing.assert_array_equal(timeline.scores(), method.predict_proba(scaled))
    assert bundle.classes == ("negative", "neutral", "positive")
    assert bundle.recipe == recipe
    assert bundle.simulated


def test_what_a_bundle_remembers(bundle_folder: Callable[..., Path]) -> None:
    folder = bundle_folder()
    facts = read_bundle_files(folder).facts
    assert facts["simulated"] is True
    corpus = facts["provenance"]["corpora"][0]
    assert corpus == {
        "name": "SEED",
        "subjects": 4,
        "trials": 24,
        "windows": 360,
        "windows_per_class": {"negative": 120, "neutral": 120, "positive": 120},
        "sfreq": 200.0,
        "electrodes": 32,
        "simulated": True,
        "interpolated": [],
    }
    assert facts["provenance"]["versions"]["affectrum"] == af.__version__
    assert facts["provenance"]["grants"] == ["source_signals", "source_labels"]
    assert facts["channels"] == list(get_recipe("de32").electrode_names())
    assert facts["coordinates"]["points"]["positive"][1] is None
    card = (folder / "README.md").read_text()
    assert "TRAINED ON SIMULATED DATA" in card
    assert "Score on unseen people: not available" in card
    assert "must not be used for" in card
    assert "| positive | +0.75 | can't tell |" in card
    real = bundle_folder(simulated=False)
    assert "SIMULATED" not in (real / "README.md").read_text()


def test_the_same_training_gives_the_same_bundle(
    bundle_folder: Callable[..., Path], tmp_path: Path, training_windows: Any
) -> None:
    again = train_bundle(
        af.make_method("logistic"),
        training_windows,
        tmp_path / "model",
        recipe=get_recipe("de32"),
        date="2026-01-01",
    )
    for name in ("model.safetensors", "bundle.json", "README.md", "manifest.json"):
        assert (again / name).read_bytes() == (bundle_folder() / name).read_bytes()


def test_training_scopes(tmp_path: Path, training_windows: Any) -> None:
    recipe = get_recipe("de32")
    expected = {
        "per-subject": "recording",
        "rest": "first-minute",
        "source": "model",
        "none": "none",
    }
    for scope, scaling in expected.items():
        folder = train_bundle(
            af.make_method("logistic"), training_windows, tmp_path / scope, recipe=recipe,
            scaling=scope,
        )  # fmt: skip
        bundle = load_bundle(folder)
        assert bundle.scaling == bundle.resolve_scaling("auto") == scaling
        timeline = bundle.predict_windows(training_windows)
        assert timeline.meta["scaling"]["applied"] == scaling
        # trained on these very windows: their classes are found again
        truth = training_windows.table["emotion"].to_numpy()
        assert (timeline.table["class"].to_numpy() == truth).mean() > 0.9
    with pytest.raises(ProtocolError, match="scaling"):
        train_bundle(
            af.make_method("logistic"), training_windows, tmp_path / "x", recipe=recipe,
            scaling="released",
        )  # fmt: skip
    with pytest.raises(ConfigError, match="scaling"):
        bundle.resolve_scaling("per-subject")


def test_training_refuses_what_can_not_work(tmp_path: Path, training_windows: Any) -> None:
    with pytest.raises(BundleError, match="made with recipe 'de32x5'"):
        train_bundle(
            af.make_method("logistic"), training_windows, tmp_path / "m",
            recipe=get_recipe("de32x5"),
        )  # fmt: skip
    one = training_windows.select((training_windows.table["emotion"] == "neutral").to_numpy())
    with pytest.raises(LabelError, match="two classes"):
        train_bundle(af.make_method("logistic"), one, tmp_path / "m", recipe=get_recipe("de32"))
    with pytest.raises(BundleError, match="trial numbers"):
        train_bundle(
            af.make_method("position"), training_windows, tmp_path / "m", recipe=get_recipe("de32")
        )
    assert not (tmp_path / "m").exists()


def test_saving_collects_every_fault(tmp_path: Path, training_windows: Any) -> None:
    y = np.arange(len(training_windows)) % 2
    access = Access("own", ("a", "b"), source=Grant(training_windows, y))
    method = af.make_method("logistic").fit(access)
    with pytest.raises(BundleError) as caught:
        save_bundle(
            method,
            tmp_path / "m",
            recipe=get_recipe("shipped-seed"),
            scheme="valence2",
            simulated=True,
            channels=("Fz", "Cz"),
            classes=("b", "a"),
            scaling_scope="source",
        )
    message = str(caught.value)
    for part in ("shipped features", "electrodes (Fz, Cz)", "classes are", "needs the fitted"):
        assert part in message
    with pytest.raises(ConfigError, match="not fitted"):
        save_bundle(
            af.make_method("svm"), tmp_path / "m", recipe=get_recipe("de32"), scheme="valence2",
            simulated=False,
        )  # fmt: skip


def change_facts(folder: Path, target: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    """Write a bundle with other facts, digests and all: as another version would."""
    files = read_bundle_files(folder)
    facts = json.loads(json.dumps(files.facts))
    change(facts)
    facts.pop("format")
    facts.pop("schema_version")
    return write_bundle_files(target, files.arrays, facts, files.card)


def test_bundles_of_other_versions_say_what_is_wrong(
    bundle_folder: Callable[..., Path], tmp_path: Path
) -> None:
    folder = bundle_folder()
    cases: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
        "method": (lambda f: f["method"].update(method="future-net"), "from_module"),
        "config": (lambda f: f["method"]["config"].update(heads=8), "unknown parameter 'heads'"),
        "recipe": (lambda f: f["recipe"].update(wavelets=3), "wavelets"),
        "digest": (lambda f: f.update(recipe_digest="0" * 20), "Train the model again"),
        "missing": (lambda f: f.pop("coordinates"), "export the model again"),
    }
    for name, (change, says) in cases.items():
        with pytest.raises(BundleError, match=says):
            load_bundle(change_facts(folder, tmp_path / name, change))


def test_a_model_trained_on_a_gpu_loads_without_one(
    bundle_folder: Callable[..., Path], tmp_path: Path
) -> None:
    folder = bundle_folder(method="mlp")
    moved = change_facts(
        folder, tmp_path / "gpu", lambda f: f["method"]["config"].update(device="cuda")
    )
    assert load_bundle(moved).method.config.device == "auto"


class Tiny(nn.Module):
    def __init__(self, n_channels: int, n_features: int, n_classes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(n_channels * n_features, n_classes))

    def forward(self, x: Any) -> Any:
        return self.layers(x)


def test_a_users_own_module_in_a_bundle(tmp_path: Path, training_windows: Any) -> None:
    method = af.methods.from_module(Tiny, name="tiny", epochs=1, device="cpu")
    folder = train_bundle(method, training_windows, tmp_path / "m", recipe=get_recipe("de32"))
    with pytest.raises(BundleError, match="from_module"):
        load_bundle(folder)
    fresh = af.methods.from_module(Tiny, name="tiny")
    bundle = load_bundle(folder, method=fresh)
    assert bundle.method.config.epochs == 1
    with pytest.raises(BundleError, match="holds method 'tiny'"):
        load_bundle(folder, method=af.make_method("svm"))
    assert len(bundle.predict_windows(training_windows).table) == len(training_windows)


def test_pretrained_weights_are_kept_apart(tmp_path: Path, training_windows: Any) -> None:
    y = np.arange(len(training_windows)) % 3
    access = Access("own", ("a", "b", "c"), source=Grant(training_windows, y))
    method = af.make_method("scmm", **QUICK["scmm"])
    weights = method.pretrain(access)
    assert weights is not None
    folder = save_pretrained(
        weights, tmp_path / "p", method=method, simulated=True, date="2026-01-01"
    )
    assert "no classifier yet" in (folder / "README.md").read_text()
    with pytest.raises(BundleError, match="affectrum finetune"):
        load_bundle(folder)
    again, loaded = load_pretrained(folder)
    assert loaded.fingerprint == weights.fingerprint
    first = method.fit(access, pretrained=weights).predict_proba(training_windows)
    second = again.fit(access, pretrained=loaded).predict_proba(training_windows)
    np.testing.assert_array_equal(first, second)


def test_windows_of_another_kind_are_refused(bundle: Any, training_windows: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        bundle.predict_windows(training_windows.select(np.zeros(0, dtype=np.int64)))
    assert "there are none" in str(caught.value)
    other = af.Windows.from_arrays(
        training_windows.x[:, :2],
        training_windows.table,
        sfreq=200.0,
        channels=("Fz", "Cz"),
        kind="de",
        bands=training_windows.bands,
        recipe="another",
    )
    with pytest.raises(ConfigError, match="recipe another.*electrodes are Fz, Cz"):
        bundle.predict_windows(other)
