from __future__ import annotations

import numpy as np
import pytest

from affectrum.errors import ConfigError
from affectrum.signals import remove_eye_components

NAMES = ("Fp1", "Fp2", "F7", "F3", "F4", "F8", "T7", "C3", "C4", "T8", "P3", "P4", "O1", "O2")
REACH = np.array([1.0, 0.9, 0.5, 0.35, 0.33, 0.45, 0.2, 0.1, 0.1, 0.2, 0.05, 0.05, 0.02, 0.02])
SFREQ = 128.0


def with_blinks(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rhythms of 13 sources, and a blink every three seconds; volts."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(24 * SFREQ)) / SFREQ
    sources = np.array(
        [
            np.sin(2 * np.pi * f * time + f) + 0.3 * rng.laplace(size=time.size)
            for f in range(12, 38, 2)
        ]
    )
    brain = rng.standard_normal((len(NAMES), len(sources))) @ sources * 4e-6
    blink = sum(np.exp(-(((time - at) / 0.12) ** 2)) for at in np.arange(1.5, 24, 3))
    blink = (blink - blink.mean()) * 2e-4
    return brain, blink, brain + REACH[:, None] * blink


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(abs(np.corrcoef(a, b)[0, 1]))


@pytest.mark.parametrize("rename", [False, True])
def test_blinks_are_taken_out_and_the_rest_stays(rename: bool) -> None:
    brain, blink, x = with_blinks()
    names = ["AF3", "AF4", *NAMES[2:]] if rename else list(NAMES)
    clean = remove_eye_components(x, names, SFREQ)
    assert correlation(x[0], blink) > 0.9
    assert correlation(clean[0], blink) < 0.1
    for row in range(len(NAMES)):
        assert correlation(clean[row], brain[row]) > 0.97
    assert np.array_equal(clean, remove_eye_components(x, names, SFREQ))  # no chance in it
    assert np.array_equal(x, with_blinks()[2])  # the input is not changed


def test_what_has_no_eye_movements_stays() -> None:
    brain = with_blinks()[0]
    short = brain[:, :100]
    assert np.array_equal(remove_eye_components(short, NAMES, SFREQ), short)
    flat = brain.copy()
    flat[:2] = 0.0  # the electrodes near the eyes are not connected
    assert np.array_equal(remove_eye_components(flat, NAMES, SFREQ), flat)
    with pytest.raises(ConfigError, match="needs Fp1 and Fp2, or AF3 and AF4.*ica: none"):
        remove_eye_components(brain[2:], NAMES[2:], SFREQ)
