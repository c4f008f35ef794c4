from __future__ import annotations

import numpy as np
import pytest
from scipy import signal as scipy_signal

from affectrum.errors import ConfigError, ElectrodeError, FileFormatError
from affectrum.features import differential_entropy, smooth_lds
from affectrum.harmonise import DEAP32
from affectrum.pipeline import process, process_shipped, process_trial
from affectrum.recipes import Recipe, get_recipe

CHANNELS = ("Fp1", "Fz", "Cz", "Pz", "Oz")
TARGET = ("Oz", "Fz", "Cz")
SFREQ = 200.0
BANDS = {"theta": (4.0, 8.0), "alpha": (8.0, 14.0)}


def recipe(**changes) -> Recipe:
    return Recipe(**{"electrodes": TARGET, "bands": BANDS, **changes})


@pytest.fixture
def x() -> np.ndarray:
    return np.random.default_rng(0).normal(scale=1e-5, size=(5, 2100))


def plain_entropy(x: np.ndarray) -> np.ndarray:
    """The steps one by one, window by window: pick, reference, Hann spectrum, logarithm."""
    picked = np.array([x[CHANNELS.index(name)] for name in TARGET])
    common = picked - picked.mean(axis=0)
    hann = scipy_signal.get_window("hann", 200)
    out = np.empty((x.shape[1] // 200, 3, 2))
    for window in range(len(out)):
        for channel in range(3):
            piece = common[channel, window * 200 : (window + 1) * 200]
            spectrum = np.abs(np.fft.fft(hann * (piece - piece.mean()))) ** 2
            power = spectrum / (200 * (hann**2).sum())
            for band, (low, high) in enumerate(BANDS.values()):
                bins = [k for k in range(1, 100) if low <= k * SFREQ / 200 < high]
                variance = 2 * power[bins].sum()
                out[window, channel, band] = 0.5 * np.log(2 * np.pi * np.e * variance)
    return out


def test_entropy_follows_the_steps_written_out(x: np.ndarray) -> None:
    values, start_s = process_trial(x, CHANNELS, SFREQ, recipe())
    assert values.dtype == np.float32
    assert start_s.tolist() == list(range(10))
    np.testing.assert_allclose(values, plain_entropy(x), rtol=1e-6)


def test_smoothing_runs_along_the_trial(x: np.ndarray) -> None:
    plain = plain_entropy(x)
    offline = process(x, CHANNELS, SFREQ, recipe(smoothing="lds")).x
    np.testing.assert_allclose(offline, smooth_lds(plain), rtol=1e-6)
    causal = process(x, CHANNELS, SFREQ, recipe(smoothing="lds-causal")).x
    np.testing.assert_allclose(causal, smooth_lds(plain, causal=True), rtol=1e-6)
    average = process(x, CHANNELS, SFREQ, recipe(smoothing="moving-average", smoothing_windows=3))
    np.testing.assert_allclose(average.x[1:-1], (plain[:-2] + plain[1:-1] + plain[2:]) / 3, 1e-6)
    slow = process(x, CHANNELS, SFREQ, recipe(smoothing="lds", lds_transition_cov=0)).x
    assert np.ptp(slow, axis=0).max() < np.ptp(offline, axis=0).max()


def test_electrodes_outside_the_set_have_no_say(x: np.ndarray) -> None:
    values = process(x, CHANNELS, SFREQ, recipe()).x
    x[[0, 3]] = np.nan  # Fp1 and Pz
    other = process(x, CHANNELS, SFREQ, recipe())
    np.testing.assert_array_equal(other.x, values)
    assert other.rejected == {}


def test_order_of_electrodes_in_the_file_has_no_say(x: np.ndarray) -> None:
    turned = process(x[::-1], CHANNELS[::-1], SFREQ, recipe()).x
    np.testing.assert_allclose(turned, process(x, CHANNELS, SFREQ, recipe()).x, rtol=1e-6)


def test_raw_windows_are_volts_of_the_common_set(x: np.ndarray) -> None:
    result = process(x, CHANNELS, SFREQ, recipe(kind="raw", step_s=0.5))
    picked = x[[4, 1, 2]] - x[[4, 1, 2]].mean(axis=0)
    assert result.x.shape == (20, 3, 200)
    for number, window in enumerate(result.x):
        piece = picked[:, 100 * number : 100 * number + 200]
        np.testing.assert_allclose(window, piece, rtol=1e-6, atol=1e-12)
    assert result.start_s[3] == 1.5


def test_filter_and_notch_come_after_the_reference_and_before_windows() -> None:
    time = np.arange(4000) / SFREQ
    x = 1e-5 * (np.sin(2 * np.pi * 10 * time) + np.sin(2 * np.pi * 50 * time) + 20)
    x = np.outer([0, 1, 0, 0, 0], x)
    filtered = process(x, CHANNELS, SFREQ, recipe(kind="raw", bandpass=(4, 45), notch_hz=50)).x
    spectrum = np.abs(np.fft.rfft(filtered[10, 1])) / 100
    # Fz holds everything, so two thirds of it remain under the average reference.
    assert spectrum[10] == pytest.approx(2e-5 / 3, rel=0.02)
    assert spectrum[50] < 1e-8
    assert spectrum[0] < 1e-8


def test_causal_filtering_does_not_know_the_future(x: np.ndarray) -> None:
    settings = recipe(kind="raw", bandpass=(4, 45), causal=True)
    early = process(x, CHANNELS, SFREQ, settings).x[:5]
    x[:, 1000:] = 0.0
    np.testing.assert_array_equal(process(x, CHANNELS, SFREQ, settings).x[:5], early)


def test_resampling_moves_windows_to_the_new_rate(x: np.ndarray) -> None:
    result = process(x, CHANNELS, SFREQ, recipe(kind="raw", sfreq=128.0))
    assert result.x.shape == (10, 3, 128)
    assert result.sfreq == 128.0
    np.testing.assert_array_equal(result.start_s, np.arange(10.0))
    same = process(x, CHANNELS, SFREQ, recipe(kind="raw", sfreq=SFREQ)).x
    np.testing.assert_array_equal(same, process(x, CHANNELS, SFREQ, recipe(kind="raw")).x)


def test_missing_electrodes(x: np.ndarray) -> None:
    wanted = ("Fz", "Cz", "O1")
    with pytest.raises(ElectrodeError, match="O1"):
        process(x, CHANNELS, SFREQ, recipe(electrodes=wanted))
    padded = process(
        x, CHANNELS, SFREQ, recipe(electrodes=wanted, how="pad", reference="none", kind="raw")
    )
    assert padded.mask.tolist() == [True, True, False]
    assert not padded.x[:, 2].any()


def test_the_number_of_threads_changes_no_bit() -> None:
    from threadpoolctl import threadpool_limits

    x = np.random.default_rng(0).normal(scale=1e-5, size=(32, 47003))
    wide = recipe(electrodes="SEED62", how="interpolate", kind="raw")
    results = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            results.append(process(x, DEAP32, SFREQ, wide).x)
    np.testing.assert_array_equal(*results)


# ---------------------------------------------------------------- bad samples


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_windows_with_bad_samples_are_left_out_and_counted(x: np.ndarray, bad: float) -> None:
    clean = process(x, CHANNELS, SFREQ, recipe())
    x[2, 399:401] = bad  # the last sample of window 1 and the first of window 2
    x[4, 1800] = bad
    result = process(x, CHANNELS, SFREQ, recipe())
    assert result.window.tolist() == [0, 3, 4, 5, 6, 7, 8]
    assert result.start_s.tolist() == result.window.tolist()
    assert result.rejected == {"samples not finite": 3}
    np.testing.assert_array_equal(result.x, clean.x[result.window])


def test_smoothing_carries_on_across_windows_left_out(x: np.ndarray) -> None:
    plain = plain_entropy(x)
    x[1, 450] = np.nan
    plain[2] = np.nan
    result = process(x, CHANNELS, SFREQ, recipe(smoothing="lds"))
    np.testing.assert_allclose(result.x, np.delete(smooth_lds(plain), 2, axis=0), rtol=1e-6)


def test_filters_bridge_gaps(x: np.ndarray) -> None:
    settings = recipe(kind="raw", bandpass=(4, 45))
    clean = process(x, CHANNELS, SFREQ, settings)
    x[1, 1000:1010] = np.nan
    result = process(x, CHANNELS, SFREQ, settings)
    assert np.isfinite(result.x).all()
    assert 5 not in result.window
    far = np.abs(result.window - 5) > 2
    np.testing.assert_allclose(result.x[far], clean.x[result.window[far]], atol=1e-7)


def test_an_electrode_that_is_missing_throughout_leaves_nothing(x: np.ndarray) -> None:
    x[2] = np.nan
    result = process(x, CHANNELS, SFREQ, recipe(smoothing="lds"))
    assert result.x.shape == (0, 3, 2)
    assert result.rejected == {"samples not finite": 10}


def test_a_trial_shorter_than_a_window_gives_none(x: np.ndarray) -> None:
    for kind, last in (("de", 2), ("power", 2), ("raw", 200)):
        result = process(x[:, :150], CHANNELS, SFREQ, recipe(kind=kind))
        assert result.x.shape == (0, 3, last)
        assert result.rejected == {"trial shorter than a window": 1}
    assert process(x[:, :0], CHANNELS, SFREQ, recipe()).x.shape == (0, 3, 2)


def test_artefacts_are_marked_on_the_signal_as_recorded(x: np.ndarray) -> None:
    x[1, 600:800] = 3e-6  # flat: the average reference would hide it
    x[4, 1300] = 5e-4
    x[0, :] = 1.0  # Fp1 is not in the set
    result = process(x, CHANNELS, SFREQ, recipe())
    assert np.flatnonzero(result.artefact).tolist() == [3, 6]
    assert result.marked == {"flat": 1, "amplitude": 1, "jump": 1}
    assert len(result.x) == 10
    lenient = process(x, CHANNELS, SFREQ, recipe(artefact_share=0.5))
    assert not lenient.artefact.any()
    off = recipe(artefact_flat_uv=None, artefact_amplitude_uv=None, artefact_jump_uv=None)
    assert process(x, CHANNELS, SFREQ, off).marked == {}


def test_marks_meet_their_windows_after_resampling(x: np.ndarray) -> None:
    x[1, 1450] = 5e-4  # at 7.25 s
    for step in (None, 0.3):
        result = process(x, CHANNELS, SFREQ, recipe(sfreq=128.0, step_s=step))
        hit = (result.start_s <= 7.25) & (result.start_s + 1 > 7.25)
        assert np.flatnonzero(result.artefact).tolist() == np.flatnonzero(hit).tolist()


def test_a_flat_electrode_gives_finite_numbers(x: np.ndarray) -> None:
    x[1] = 0.0
    result = process(x, CHANNELS, SFREQ, recipe(reference="none"))
    assert np.isfinite(result.x).all()
    assert result.artefact.all()
    assert result.marked["flat"] == 10


# ---------------------------------------------------------------- refusals


def test_shapes_and_sources_are_checked(x: np.ndarray) -> None:
    with pytest.raises(ConfigError, match=r"shape \(5, 2100\); expected \(4, n_samples\)"):
        process(x, CHANNELS[:4], SFREQ, recipe())
    with pytest.raises(ConfigError, match="can't be applied to signals"):
        process(x, CHANNELS, SFREQ, get_recipe("shipped-seed"))
    with pytest.raises(ConfigError, match="Nyquist"):
        process(x, CHANNELS, SFREQ, recipe(bandpass=(1, 150)))


def test_the_input_is_left_as_it_was(x: np.ndarray) -> None:
    x[1, 3] = np.nan
    before = x.copy()
    process(x, CHANNELS, SFREQ, recipe(bandpass=(4, 45), notch_hz=50, smoothing="lds"))
    np.testing.assert_array_equal(x, before)
    x.flags.writeable = False
    process(x.astype(np.float32), CHANNELS, SFREQ, recipe())


def test_seed_scale_is_taken_of_microvolts(x: np.ndarray) -> None:
    ours = process(x, CHANNELS, SFREQ, recipe(scale="seed", reference="none", window_s=4.0)).x
    microvolts = x[[4, 1, 2]] * 1e6
    theirs = differential_entropy(microvolts, SFREQ, bands=BANDS, window=4.0, scale="seed")
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


# ---------------------------------------------------------------- shipped features


def shipped(**changes) -> Recipe:
    return recipe(**{"source": "shipped:de_LDS", "reference": "none", "window_s": 4.0, **changes})


def test_shipped_features_are_only_picked() -> None:
    features = np.arange(6 * 5 * 2, dtype=float).reshape(6, 5, 2)
    features[3, 4, 0] = np.nan
    features[1, 0, 0] = np.nan  # Fp1 is not in the set
    result = process_shipped(features, CHANNELS, None, shipped())
    assert result.window.tolist() == [0, 1, 2, 4, 5]
    assert result.start_s.tolist() == [0, 4, 8, 16, 20]
    assert result.rejected == {"features not finite": 1}
    np.testing.assert_array_equal(result.x, features[[0, 1, 2, 4, 5]][:, [4, 1, 2]])


def test_shipped_features_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ElectrodeError, match=r"lack 1 of the 2 electrodes .* O1"):
        process_shipped(np.zeros((3, 5, 2)), CHANNELS, None, shipped(electrodes=("Fz", "O1")))
    with pytest.raises(FileFormatError, match=r"expected \(n_windows, 5, 2\)"):
        process_shipped(np.zeros((3, 5, 4)), CHANNELS, None, shipped())
