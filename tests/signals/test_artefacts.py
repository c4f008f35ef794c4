"""Artefact marks: each criterion alone, counts, limits."""

from __future__ import annotations

import numpy as np
import pytest

from affectrum.errors import ConfigError
from affectrum.signals import bandpass, mark_artefacts, segment
from affectrum.signals.artefacts import REASONS

SFREQ = 200.0


@pytest.fixture
def windows() -> np.ndarray:
    """Clean simulated windows, (6, 4, 200) volts: 10 µV of noise below 20 Hz."""
    x = np.random.default_rng(0).normal(size=(4, 1200))
    low = bandpass(x, SFREQ, 1, 20)
    return np.array(segment(10e-6 * low / low.std(), SFREQ, 1.0))


def test_clean_windows_have_no_mark(windows) -> None:
    marks = mark_artefacts(windows, SFREQ)
    assert tuple(marks.reasons) == REASONS
    assert marks.counts() == dict.fromkeys(REASONS, 0)
    assert marks.mask.shape == (6, 4)
    assert not marks.windows().any()


@pytest.mark.parametrize("reason", REASONS)
def test_each_artefact_is_marked_by_its_reason_where_it_is(windows, reason) -> None:
    rng = np.random.default_rng(1)
    target = windows[2, 1]
    if reason == "not finite":
        target[7] = np.nan
    elif reason == "flat":
        target[:] = 3e-6
    elif reason == "amplitude":
        target += 150e-6 * np.sin(2 * np.pi * 2 * np.arange(200) / SFREQ)
    elif reason == "jump":
        target[:] = 0
        target[100:] = 120e-6
    else:
        target += 60e-6 * bandpass(rng.normal(size=200), SFREQ, 32, 44)
    marks = mark_artefacts(windows, SFREQ)
    assert marks.counts() == {name: int(name == reason) for name in REASONS}
    assert np.argwhere(marks.reasons[reason]).tolist() == [[2, 1]]
    assert marks.windows().tolist() == [False, False, True, False, False, False]
    assert not marks.windows(share=0.25).any()
    assert f"{reason} 1" in str(marks)
    assert "1 of 24" in str(marks)


def test_nothing_is_dropped_or_changed(windows) -> None:
    windows[0, 0, 0] = np.inf
    copy = windows.copy()
    marks = mark_artefacts(windows, SFREQ)
    np.testing.assert_array_equal(windows, copy)
    assert marks.mask.shape == windows.shape[:-1]


def test_criteria_can_be_switched_off_and_low_rates_have_no_muscle_band(windows) -> None:
    marks = mark_artefacts(windows, SFREQ, flat=None, jump=None)
    assert set(marks.reasons) == {"not finite", "amplitude", "muscle"}
    assert set(marks.thresholds) == {"amplitude", "muscle"}
    assert "muscle" not in mark_artefacts(windows, 64.0).reasons
    loose = mark_artefacts(windows, SFREQ, amplitude=1e-6)
    assert loose.reasons["amplitude"].all()


def test_axes_and_limits_are_checked(windows) -> None:
    batch = np.stack([windows, windows])
    assert mark_artefacts(batch, SFREQ).mask.shape == (2, 6, 4)
    with pytest.raises(ConfigError, match="'flat'"):
        mark_artefacts(windows, SFREQ, flat=-1.0)
    with pytest.raises(ConfigError, match="'share'"):
        mark_artefacts(windows, SFREQ).windows(share=2)
    with pytest.raises(ConfigError, match="shape"):
        mark_artefacts(windows[0, 0], SFREQ)
