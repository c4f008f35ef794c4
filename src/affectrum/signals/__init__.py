"""Filters, resampling, windows and artefact marks for signals of (..., n_channels, n_samples).

Every transform has an offline form, which may look at the whole recording, and a causal or
streaming form, which gives the same output whatever pieces the signal arrives in.
"""

from __future__ import annotations

from affectrum.signals.artefacts import ArtefactMarks, mark_artefacts
from affectrum.signals.filters import StreamingFilter, bandpass, filter_bank, notch
from affectrum.signals.ica import remove_eye_components
from affectrum.signals.resampling import StreamingResampler, resample
from affectrum.signals.segments import count_windows, segment, window_samples, window_starts

__all__ = [
    "ArtefactMarks",
    "StreamingFilter",
    "StreamingResampler",
    "bandpass",
    "count_windows",
    "filter_bank",
    "mark_artefacts",
    "notch",
    "remove_eye_components",
    "resample",
    "segment",
    "window_samples",
    "window_starts",
]
