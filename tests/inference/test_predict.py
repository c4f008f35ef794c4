from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import mne
import numpy as np
import pandas as pd
import pytest

from affectrum.errors import ElectrodeError, FileFormatError, RecordingError
from affectrum.inference import load_bundle, read_timeline, train_bundle
from affectrum.inference.deploy import training_side
from affectrum.inference.recording import choose_electrodes
from affectrum.inference.trust import assess_trust
from affectrum.methods import make_method
from affectrum.pipeline import process_trial
from affectrum.recipes import get_recipe
from affectrum.windows import Windows

DE32 = get_recipe("de32")
COLUMNS = [
    "start_s",
    "end_s",
    "class",
    "p_negative",
    "p_neutral",
    "p_positive",
    "valence",
    "arousal",
    "novelty",
    "novel",
    "artefact",
]


def test_a_timeline_has_a_row_per_window(bundle: Any, make_raw: Any) -> None:
    timeline = bundle.predict(make_raw(seconds=70.5), name="me.edf")
    table = timeline.table
    assert list(table.columns) == COLUMNS
    assert len(table) == 70
    np.testing.assert_allclose(table["end_s"] - table["start_s"], 1.0)
    np.testing.assert_allclose(timeline.scores().sum(axis=1), 1.0)
    winner = np.array(timeline.classes)[timeline.scores().argmax(axis=1)]
    assert (table["class"].to_numpy() == winner).all()
    # the expected coordinate, by hand (EMOD's table: -0.25, 0, 0.75)
    np.testing.assert_allclose(
        table["valence"], -0.25 * table["p_negative"] + 0.75 * table["p_positive"]
    )
    assert table["arousal"].isna().all()
    assert any("can't tell arousal" in warning for warning in timeline.warnings)
    assert timeline.coverage == 1.0
    assert timeline.simulated
    assert timeline.trust_level == "demonstration only"
    assert "SIMULATED" in timeline.trust
    assert timeline.warnings[0].startswith("The model was trained on SIMULATED data")
    assert "me.edf: 70 windows" in str(timeline)
    assert "mean arousal: not told" in str(timeline)


def test_features_come_from_the_one_path(bundle: Any, make_raw: Any) -> None:
    raw = make_raw()
    x, start = process_trial(raw.get_data(), raw.ch_names, 128.0, DE32)
    mean, sd = x.astype(np.float64).mean(axis=0), x.astype(np.float64).std(axis=0)
    own = ((x - mean) / sd).astype(np.float32)
    stored = bundle.method
    logits = (own.reshape(len(own), -1) - stored.mean_) / stored.scale_ @ stored.coef_.T
    logits += stored.intercept_
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    timeline = bundle.predict(raw)
    np.testing.assert_allclose(timeline.scores(), odds / odds.sum(axis=1, keepdims=True), atol=1e-5)
    np.testing.assert_array_equal(timeline.table["start_s"], start)


def test_channel_order_spelling_and_extra_channels_do_not_matter(
    bundle: Any, make_raw: Any
) -> None:
    raw = make_raw()
    expected = bundle.predict(raw).scores()
    data = raw.get_data()
    old = {"T7": "T3", "T8": "T4", "P7": "T5", "P8": "T6"}
    names = [f"EEG {old.get(name, name).upper()}-REF" for name in raw.ch_names]
    order = np.random.default_rng(0).permutation(len(names))
    other = mne.io.RawArray(
        np.vstack([data[order], 100e-6 * np.ones((1, data.shape[1])), data[:1]]),
        mne.create_info([names[i] for i in order] + ["HEOG", "TP9"], 128.0, "eeg"),
        verbose="ERROR",
    )
    np.testing.assert_allclose(bundle.predict(other).scores(), expected, atol=1e-5)


def test_a_few_missing_electrodes_are_interpolated_and_said(bundle: Any, make_raw: Any) -> None:
    names = [name for name in DE32.electrode_names() if name not in ("F3", "Oz", "CP6")]
    timeline = bundle.predict(make_raw(names))
    assert timeline.coverage == pytest.approx(29 / 32)
    assert timeline.meta["recording"]["interpolated"] == ["F3", "Oz", "CP6"]
    assert any("interpolated by spherical splines: F3, Oz, CP6" in w for w in timeline.warnings)
    assert "91% of the model's electrodes were measured" in timeline.trust


def test_bad_flat_and_empty_channels_count_as_missing(bundle: Any, make_raw: Any) -> None:
    raw = make_raw()
    data = raw.get_data()
    data[raw.ch_names.index("Cz")] = 3e-6
    data[raw.ch_names.index("O1")] = np.nan
    faulty = mne.io.RawArray(data, raw.info, verbose="ERROR")
    faulty.info["bads"] = ["F4"]
    timeline = bundle.predict(faulty)
    text = " ".join(timeline.warnings)
    assert "flat: Cz" in text
    assert "without any value (NaN): O1" in text
    assert "marked bad in the file: F4" in text
    assert set(timeline.meta["recording"]["interpolated"]) == {"Cz", "O1", "F4"}
    assert timeline.table.notna().drop(columns="arousal").all().all()


@pytest.mark.parametrize("name", DE32.electrode_names())
def test_any_one_electrode_may_be_bad(name: str, make_raw: Any) -> None:
    raw = make_raw(seconds=2)
    raw.info["bads"] = [name]
    choice = choose_electrodes(raw, raw.get_data(), DE32)
    assert choice.missing == (name,)
    assert choice.recipe.how == "interpolate"


def test_too_few_electrodes_are_refused_with_what_would_do(bundle: Any, make_raw: Any) -> None:
    with pytest.raises(ElectrodeError) as caught:
        bundle.predict(make_raw(["TP9", "AF7", "AF8", "TP10"]))
    message = str(caught.value)
    assert "4 usable electrodes" in message
    assert "--electrodes TP9,AF7,AF8,TP10" in message
    assert "the model reads 32" in message


def test_names_that_only_look_like_electrodes_are_not_mapped(bundle: Any, make_raw: Any) -> None:
    with pytest.raises(ElectrodeError, match=r"BioSemi.*--channels"):
        bundle.predict(make_raw([f"A{i}" for i in range(1, 33)]))
    with pytest.raises(ElectrodeError, match=r"None of the 8 channels.*--channels"):
        bundle.predict(make_raw([f"channel {i}" for i in range(8)]))


def test_what_is_no_recording_of_eeg_is_refused(bundle: Any, make_raw: Any) -> None:
    with pytest.raises(RecordingError, match=r"lasts 0.5 s; the model reads windows of 1 s"):
        bundle.predict(make_raw(seconds=0.5))
    with pytest.raises(RecordingError, match="rate is 64 Hz.*up to 45 Hz"):
        bundle.predict(make_raw(sfreq=64.0))
    flat = make_raw()
    flat._data[:] = 1e-6
    with pytest.raises(RecordingError, match="No electrode of this recording holds a signal: flat"):
        bundle.predict(flat)
    empty = make_raw()
    empty._data[:] = np.nan
    with pytest.raises(RecordingError, match="NaN"):
        bundle.predict(empty)
    gaps = make_raw()
    gaps._data[:, ::100] = np.nan  # a hole in every window
    with pytest.raises(RecordingError, match="No usable window is left of 70 s: samples not"):
        bundle.predict(gaps)


def test_a_gap_leaves_windows_out_and_says_so(bundle: Any, make_raw: Any) -> None:
    raw = make_raw()
    raw._data[3, 1000:1300] = np.nan
    timeline = bundle.predict(raw)
    missing = set(range(70)) - set(timeline.table["start_s"].astype(int))
    assert missing == {7, 8, 9, 10}
    assert any("Windows left out: samples not finite: 4" in w for w in timeline.warnings)


def test_annotations_and_large_amplitudes_mark_artefacts(bundle: Any, make_raw: Any) -> None:
    raw = make_raw()
    raw._data[:, 128 * 20 : 128 * 21] *= 50
    raw.set_annotations(mne.Annotations([30.2, 50.0], [1.5, 3.0], ["BAD_movement", "blink"]))
    marked = np.flatnonzero(bundle.predict(raw).table["artefact"])
    assert marked.tolist() == [20, 30, 31]
    cropped = raw.copy().crop(tmin=10.0)
    assert np.flatnonzero(bundle.predict(cropped).table["artefact"]).tolist() == [10, 20, 21]


def test_scaling_of_a_recording(bundle_folder: Callable[..., Path], make_raw: Any) -> None:
    bundle = load_bundle(bundle_folder(scaling="source"))
    raw = make_raw(seconds=130)
    louder = raw.copy()
    louder._data *= 10
    louder._data[:, 128 * 65 :] *= 2
    assert bundle.predict(raw).meta["scaling"] == {"applied": "model", "trained_with": "source"}
    results = {how: bundle.predict(louder, scaling=how) for how in ("recording", "first-minute")}
    # a gain is a shift of every entropy: the recording's own statistics take it out
    even = raw.copy()
    even._data *= 7
    np.testing.assert_allclose(
        bundle.predict(raw, scaling="recording").scores(),
        bundle.predict(even, scaling="recording").scores(),
        atol=1e-3,
    )
    assert not np.allclose(bundle.predict(raw).scores(), bundle.predict(even).scores(), atol=0.01)
    assert "first minute" in results["first-minute"].trust
    assert "relative to its own average" in results["recording"].trust


def test_the_first_minute_does_not_see_what_comes_later(bundle: Any, training_windows: Any) -> None:
    one = training_windows.select((training_windows.table["subject"] == 1).to_numpy())
    x = one.x.copy()
    x[60:] += 3.0
    early = bundle.predict_windows(one, scaling="first-minute").scores()
    later = bundle.predict_windows(one.with_x(x), scaling="first-minute").scores()
    np.testing.assert_array_equal(early[:60], later[:60])
    assert not np.array_equal(early[60:], later[60:])
    whole = bundle.predict_windows(one, scaling="recording").scores()
    other = bundle.predict_windows(one.with_x(x), scaling="recording").scores()
    assert not np.allclose(whole[:60], other[:60], atol=0.01)  # "recording" does see it


def test_artefacts_are_scaled_but_not_learnt_from(bundle: Any, training_windows: Any) -> None:
    artefact = np.arange(len(training_windows)) % 5 == 0
    x = training_windows.x.copy()
    x[artefact] += 8.0
    marked = training_windows.with_x(x).with_column("artefact", artefact)
    clean = training_windows.select(~artefact)
    one, other = (training_side(part, recipe=DE32) for part in (marked, clean))
    assert one.access.source is not None
    assert other.access.source is not None
    np.testing.assert_array_equal(one.access.source.windows.x, other.access.source.windows.x)
    np.testing.assert_array_equal(one.unscaled.center_, other.unscaled.center_)
    for scaling in ("recording", "first-minute"):
        first = bundle.predict_windows(marked, scaling=scaling)
        assert first.table["artefact"].to_numpy().tolist() == artefact.tolist()
        if scaling == "recording":
            second = bundle.predict_windows(clean, scaling=scaling)
            np.testing.assert_array_equal(first.scores()[~artefact], second.scores())
    # where hardly anything else is left, all of it is used
    few = marked.select(np.arange(20))
    assert any("only 20 windows" in text for text in bundle.predict_windows(few).warnings)


def test_the_first_minute_is_that_of_the_presentation(bundle: Any, training_windows: Any) -> None:
    one = training_windows.select((training_windows.table["subject"] == 1).to_numpy())
    by_trial = one.table["trial"].to_numpy(dtype=np.int64)
    turned = np.lexsort((one.table["window"], -by_trial))
    scores = bundle.predict_windows(one, scaling="first-minute").scores()
    again = bundle.predict_windows(one.select(turned), scaling="first-minute").scores()
    np.testing.assert_allclose(again, scores[turned], atol=1e-6)


def test_unlike_recordings_are_noticed(bundle_folder: Callable[..., Path], make_raw: Any) -> None:
    bundle = load_bundle(bundle_folder(scaling="source", simulated=False))
    timeline = bundle.predict(make_raw())
    assert timeline.novel_share == 1.0
    assert timeline.trust_level == "low"
    assert "100% of the windows lie outside" in timeline.trust
    assert "standard deviations" in timeline.trust
    assert not timeline.simulated
    assert "SIMULATED" not in timeline.trust + " ".join(timeline.warnings)
    assert timeline.meta["shift_sd"] > 2


def test_training_windows_are_not_unlike_themselves(bundle: Any, training_windows: Any) -> None:
    timeline = bundle.predict_windows(training_windows)
    assert timeline.novel_share < 0.03
    assert timeline.meta["shift_sd"] < 0.5
    assert list(timeline.table.columns[:4]) == ["corpus", "subject", "session", "row"]
    assert "These windows are SIMULATED." in timeline.warnings
    assert timeline.table["simulated"].all()


def test_trust_is_never_high() -> None:
    fine = {
        "simulated": False,
        "coverage": 1.0,
        "interpolated": (),
        "novel_share": 0.01,
        "shift": 0.2,
        "artefact_share": 0.0,
        "scaling": "model",
        "n_classes": 3,
        "n_people": 15,
        "made_up": (),
        "score": {"balanced_accuracy": 0.41, "protocol": "leave-one-subject-out"},
    }
    level, text = assess_trust(**fine)
    assert level == "limited"
    assert "0.41 (chance 0.33) under leave-one-subject-out" in text
    for change in (
        {"novel_share": 0.2},
        {"novel_share": 0.9},
        {"coverage": 0.7, "interpolated": ("Cz",)},
        {"shift": 5.0},
        {"artefact_share": 0.6},
        {"made_up": ("TP9",)},
    ):
        assert assess_trust(**{**fine, **change})[0] == "low"
    assert assess_trust(**{**fine, "simulated": True})[0] == "demonstration only"
    assert "3 training people only" in assess_trust(**{**fine, "n_people": 3})[1]
    assert "not recorded" in assess_trust(**{**fine, "score": None})[1]
    assert "unnoticed" in assess_trust(**{**fine, "novel_share": float("nan")})[1]


# ---------------------------------------------------------------------------- CSV and figure


def test_csv_round_trip(bundle: Any, make_raw: Any, tmp_path: Path) -> None:
    timeline = bundle.predict(make_raw(), name="own.edf")
    path = timeline.to_csv(tmp_path / "out" / "own.csv")
    text = path.read_text()
    assert text.startswith("# Affectrum timeline\n# MODEL TRAINED ON SIMULATED DATA")
    plain = pd.read_csv(path, comment="#")
    assert list(plain.columns) == COLUMNS
    assert plain["arousal"].isna().all()
    again = read_timeline(path)
    assert again.classes == timeline.classes
    assert again.warnings == timeline.warnings
    assert again.trust == timeline.trust
    assert again.meta == timeline.meta
    np.testing.assert_allclose(again.scores(), timeline.scores(), atol=1e-4)
    assert [p.name for p in path.parent.iterdir()] == ["own.csv"]
    timeline.to_csv(path)
    assert path.read_text() == text
    (tmp_path / "no.csv").write_text("a,b\n1,2\n")
    with pytest.raises(FileFormatError, match="not a timeline"):
        read_timeline(tmp_path / "no.csv")


def words_in(figure: Any) -> str:
    texts = [text.get_text() for text in figure.texts]
    for axes in figure.axes:
        texts += [text.get_text() for text in axes.texts]
        if axes.get_legend() is not None:
            texts += [text.get_text() for text in axes.get_legend().get_texts()]
    return "\n".join(texts)


def test_the_figure_says_what_matters(bundle: Any, make_raw: Any, tmp_path: Path) -> None:
    raw = make_raw()
    raw._data[:, 128 * 20 : 128 * 21] *= 50
    timeline = bundle.predict(raw, name="own.edf")
    path = tmp_path / "figures" / "own.png"
    figure = timeline.plot(path)
    assert path.read_bytes().startswith(b"\x89PNG")
    text = words_in(figure)
    for part in (
        "MODEL TRAINED ON SIMULATED DATA",
        "own.edf",
        "trained on simulated SEED",
        "trust: demonstration only",
        "arousal: this model can't tell",
        "valence",
        "artefact",
        "positive",
    ):
        assert part in text
    first = path.read_bytes()
    timeline.plot(path)
    assert path.read_bytes() == first
    timeline.plot(tmp_path / "own.svg")
    timeline.plot(tmp_path / "own.pdf")
    inside = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    assert inside.x0 >= 0
    assert inside.y0 >= 0
    assert inside.x1 <= width
    assert inside.y1 <= height


def test_a_long_name_leaves_room_for_the_mark(bundle: Any, make_raw: Any) -> None:
    figure = bundle.predict(make_raw(seconds=3), name="a" * 80 + "session2.edf").plot()
    boxes = {text.get_text()[:5]: text.get_window_extent() for text in figure.texts}
    assert boxes["aaaaa"].x1 < boxes["MODEL"].x0


def test_electrodes_that_training_lacked_are_told(
    tmp_path: Path, make_raw: Any, training_windows: Any
) -> None:
    mask = np.ones(32, dtype=bool)
    mask[[3, 20]] = False
    parts = Windows.from_arrays(
        training_windows.x,
        training_windows.table,
        sfreq=200.0,
        channels=training_windows.channels,
        kind="de",
        bands=training_windows.bands,
        recipe=training_windows.recipe,
        mask=mask,
    )
    folder = train_bundle(make_method("logistic"), parts, tmp_path / "m", recipe=DE32)
    timeline = load_bundle(folder).predict(make_raw())
    assert f"F7, {DE32.electrode_names()[20]}" in timeline.trust
    assert "as they really are" in timeline.trust


def test_a_figure_of_one_window_or_with_gaps(
    bundle_folder: Callable[..., Path], make_raw: Any
) -> None:
    bundle = load_bundle(bundle_folder(classes="emotion4", simulated=False))
    one = bundle.predict(make_raw(seconds=1.2))
    assert len(one.table) == 1
    assert np.isfinite(one.table[["valence", "arousal"]].to_numpy()).all()
    text = words_in(one.plot())
    assert "SIMULATED" not in text
    assert "arousal" in text
    raw = make_raw()
    raw._data[3, 1000:1300] = np.nan
    figure = bundle.predict(raw).plot()
    line = figure.axes[0].lines[1]
    assert np.isnan(line.get_ydata()).sum() == 1  # broken where windows are missing
