"""Real, openly licensed recordings, read from the file to the figure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from affectrum.errors import ElectrodeError, RecordingError
from affectrum.inference import load_bundle
from affectrum.recipes import Recipe, get_recipe
from affectrum.recordings import open_recording

REAL = Path(__file__).parents[3] / "shared" / "data" / "real_eeg"
SAMPLE = REAL / "eeglab_sample"

pytestmark = pytest.mark.skipif(
    not REAL.is_dir(), reason=f"real recordings are not here ({REAL}); see their README"
)


def model_for(*electrodes: str) -> Recipe:
    return get_recipe("de32").replace(name="own-electrodes", electrodes=electrodes)


def test_eeglab_thirty_electrodes(bundle_folder: Callable[..., Path], tmp_path: Path) -> None:
    timeline = load_bundle(bundle_folder()).predict(open_recording(SAMPLE / "eeglab_data.set"))
    assert len(timeline.table) == 238
    assert timeline.meta["recording"]["sfreq"] == 128.0
    assert timeline.meta["recording"]["interpolated"] == ["Fp1", "AF3", "F7", "Fp2", "AF4", "F8"]
    assert timeline.coverage == pytest.approx(26 / 32)
    assert any("128 Hz" in w and "simulated SEED at 200 Hz" in w for w in timeline.warnings)
    assert "EOG1" not in timeline.meta["recording"]["electrodes"]
    assert np.isfinite(timeline.scores()).all()
    assert timeline.plot(tmp_path / "a.png").axes
    assert (tmp_path / "a.png").stat().st_size > 10_000


def test_edf_with_old_names(bundle_folder: Callable[..., Path]) -> None:
    notes: list[str] = []
    raw = open_recording(SAMPLE / "test.edf", notes=notes)
    with pytest.raises(ElectrodeError, match="--electrodes Fp1,Fp2,T7,T8,P7"):
        load_bundle(bundle_folder()).predict(raw)
    own = model_for("Fp1", "Fp2", "F3", "F4", "C3", "C4", "T7", "T8", "P7", "P8", "O1", "O2")
    timeline = load_bundle(bundle_folder(own)).predict(raw, notes=notes)
    assert len(timeline.table) == 60
    assert timeline.coverage == 1.0
    assert "T7" in timeline.meta["recording"]["electrodes"]


def test_brainvision(bundle_folder: Callable[..., Path]) -> None:
    timeline = load_bundle(bundle_folder()).predict(
        open_recording(SAMPLE / "testbva.vhdr", notes=[])
    )
    assert len(timeline.table) == 10
    assert timeline.meta["recording"]["interpolated"] == ["AF3", "PO3", "Oz", "AF4", "PO4"]
    assert not any("200 Hz" in w for w in timeline.warnings)  # the training rate too
    assert any("10.6 s" in w for w in timeline.warnings)
    assert any("only 10 windows" in w for w in timeline.warnings)


def test_biosemi_names_are_not_guessed(bundle_folder: Callable[..., Path]) -> None:
    raw = open_recording(SAMPLE / "test.bdf", notes=[])
    with pytest.raises(ElectrodeError, match="BioSemi"):
        load_bundle(bundle_folder()).predict(raw)


def test_muse_headset(bundle_folder: Callable[..., Path]) -> None:
    files = sorted((REAL / "muse_n170").glob("*.csv"))
    assert files
    bundle = load_bundle(bundle_folder(model_for("TP9", "AF7", "AF8", "TP10"), classes="emotion4"))
    for path in files:
        timeline = bundle.predict(open_recording(path, notes=[]), name=path.name)
        assert 110 <= len(timeline.table) <= 120
        assert timeline.coverage == 1.0
        assert timeline.table[["valence", "arousal"]].notna().all().all()
        assert timeline.meta["recording"]["name"] == path.name
    with pytest.raises(ElectrodeError, match="--electrodes TP9,AF7,AF8,TP10"):
        load_bundle(bundle_folder()).predict(open_recording(files[0], notes=[]))


def test_a_summary_export_is_no_recording() -> None:
    with pytest.raises(RecordingError, match="summary export"):
        open_recording(SAMPLE / "testmusemonitor.csv")


def test_xdf_with_names_given(bundle_folder: Callable[..., Path]) -> None:
    # The stream names no electrodes; these names stand in for those that its owner would give.
    names = ("Fp1", "Fp2", "C3", "C4", "P7", "P8", "O1", "O2")
    raw = open_recording(SAMPLE / "test.xdf", channels=names, notes=[])
    timeline = load_bundle(bundle_folder(model_for(*names))).predict(raw)
    assert timeline.coverage == 1.0
    assert len(timeline.table) >= 1
    assert np.isfinite(timeline.scores()).all()
