"""Eye movements taken out by independent components."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affectrum.errors import ConfigError

__all__ = ["EYE_ELECTRODES", "remove_eye_components"]

EYE_ELECTRODES: tuple[tuple[str, str], ...] = (("Fp1", "Fp2"), ("AF3", "AF4"))
"""Pairs of electrodes near the eyes, the first that is there stands for eye movements."""

# FastICA starts from random numbers; a fixed seed makes a trial's result its own.
_SEED = 97
# Components are told apart by their share of blinks, which need some seconds to show.
_MIN_SECONDS = 2.0


def remove_eye_components(
    x: NDArray[Any], channels: Sequence[str], sfreq: float
) -> NDArray[np.float64]:
    """Remove the independent components that go with the electrodes near the eyes.

    FastICA by MNE; components whose band-passed (1-10 Hz) course correlates with Fp1 or Fp2 (AF3
    or AF4 where these are absent) beyond three standard deviations of all correlations are taken
    out, as EMOD's released code does trial by trial (arXiv:2511.05863). Of fewer than 11 components
    none can lie so far out, so caps of fewer electrodes stay as they are.

    Parameters
    ----------
    x : ndarray, shape (n_channels, n_samples)
        One trial in volts, band-passed, finite.
    channels : sequence of str
        Canonical electrode names, in the order of axis 0.
    sfreq : float
        Sampling rate in Hz.

    Returns
    -------
    ndarray of float64, shape (n_channels, n_samples)
        The signal without these components; a copy of `x` where the trial is shorter than 2 s or
        flat, or no component stands out.

    Raises
    ------
    ConfigError
        If none of the electrodes near the eyes is there.
    """
    names = list(channels)
    near = next(
        (
            [name for name in pair if name in names]
            for pair in EYE_ELECTRODES
            if any(name in names for name in pair)
        ),
        None,
    )
    if near is None:
        raise ConfigError(
            "Removing eye movements needs Fp1 and Fp2, or AF3 and AF4; these electrodes are "
            f"{', '.join(names)}. Set ica: none in the recipe."
        )
    signal = np.array(x, dtype=np.float64)
    varies = signal.std(axis=1) > 0
    if signal.shape[1] < _MIN_SECONDS * sfreq or varies.sum() < 3:
        return signal
    import mne

    kept = [name for name, one in zip(names, varies, strict=True) if one]
    near = [name for name in near if name in kept]
    if not near:
        return signal
    with mne.utils.use_log_level("ERROR"), warnings.catch_warnings():
        # FastICA that has not settled after its iterations is used as it is, as published.
        warnings.simplefilter("ignore")
        raw = mne.io.RawArray(signal[varies], mne.create_info(kept, sfreq, "eeg"))
        ica = mne.preprocessing.ICA(method="fastica", rng=_SEED, max_iter="auto")
        ica.fit(raw)
        found: list[int] = []
        for name in near:
            found += ica.find_bads_eog(raw, ch_name=name)[0]
        ica.exclude = sorted(set(found))
        if ica.exclude:
            ica.apply(raw)
    signal[varies] = raw.get_data()
    return signal
