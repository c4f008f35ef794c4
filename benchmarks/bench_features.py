"""CPU time of differential entropy and signal processing beside the plain loops of the field.

Usage: ``python benchmarks/bench_features.py [--seconds S] [--repeats N] [--full]``

One trial of 62 electrodes at 200 Hz (240 s by default), windows of 1 s, five bands. CPU time is
that of all threads (`time.process_time`), the best of the repeats, after one call that fills the
caches of filter designs. The loops walk windows, channels and bands one at a time; they run on a
twentieth of the trial and their time is scaled up, unless --full is given.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable

import numpy as np
from scipy import signal

from affectrum.features import differential_entropy, get_bands, moving_average, smooth_lds
from affectrum.signals import bandpass, mark_artefacts, notch, resample, segment

SFREQ = 200
BANDS = get_bands("seed")


def loop_fft(x: np.ndarray) -> np.ndarray:
    """One FFT per window and channel, one sum per band."""
    n = SFREQ
    hann = signal.get_window("hann", n)
    freqs = np.fft.rfftfreq(n, 1 / SFREQ)
    out = np.empty((x.shape[1] // n, x.shape[0], len(BANDS)))
    for w in range(out.shape[0]):
        for c in range(x.shape[0]):
            piece = x[c, w * n : (w + 1) * n]
            spectrum = np.abs(np.fft.rfft((piece - piece.mean()) * hann)) ** 2
            for b, band in enumerate(BANDS):
                inside = (freqs >= band.low) & (freqs < band.high)
                power = 2 * spectrum[inside].sum() / (n * (hann**2).sum())
                out[w, c, b] = 0.5 * np.log(2 * np.pi * np.e * power)
    return out


def loop_filter(x: np.ndarray) -> np.ndarray:
    """One filter design and one filtering per window, channel and band, as several peers do."""
    n = SFREQ
    out = np.empty((x.shape[1] // n, x.shape[0], len(BANDS)))
    for w in range(out.shape[0]):
        for c in range(x.shape[0]):
            for b, band in enumerate(BANDS):
                sos = signal.butter(4, (band.low, band.high), "bandpass", fs=SFREQ, output="sos")
                filtered = signal.sosfilt(sos, x[c, w * n : (w + 1) * n])
                out[w, c, b] = 0.5 * np.log(2 * np.pi * np.e * filtered.var())
    return out


def trial_filter(x: np.ndarray) -> np.ndarray:
    """SciPy's forward-backward filter over the whole trial, band by band."""
    n = SFREQ
    out = np.empty((x.shape[1] // n, x.shape[0], len(BANDS)))
    for b, band in enumerate(BANDS):
        sos = signal.butter(4, (band.low, band.high), "bandpass", fs=SFREQ, output="sos")
        filtered = signal.sosfiltfilt(sos, x).reshape(x.shape[0], -1, n)
        out[..., b] = 0.5 * np.log(2 * np.pi * np.e * filtered.var(axis=-1)).T
    return out


def cpu_time(call: Callable[[], object], repeats: int) -> float:
    best = float("inf")
    for _ in range(repeats):
        start = time.process_time()
        call()
        best = min(best, time.process_time() - start)
    return best


def machine() -> str:
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.split(":", 1)[1].strip() for line in file if "model name" in line]
        model = names[0] if names else model
    except OSError:
        pass  # not Linux
    versions = f"Python {platform.python_version()}, NumPy {np.__version__}"
    return f"{model}, {os.cpu_count()} cores, {versions}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seconds", type=int, default=240, help="length of the trial")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--full", action="store_true", help="run the loops on the whole trial")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    x = 20e-6 * rng.normal(size=(62, options.seconds * SFREQ))
    short = x if options.full else x[:, : max(1, options.seconds // 20) * SFREQ]
    scale = x.shape[1] / short.shape[1]

    fast_fft = differential_entropy(x, SFREQ)
    differential_entropy(x, SFREQ, method="filter")
    same = np.abs(loop_fft(short) - fast_fft[: short.shape[1] // SFREQ]).max()

    def timed(call: Callable[[], object], repeats: int | None = None) -> float:
        return cpu_time(call, repeats or options.repeats)

    windows = segment(x, SFREQ, 1.0)
    times = {
        "DE by FFT": timed(lambda: differential_entropy(x, SFREQ)),
        "DE by FFT, plain loop": timed(lambda: loop_fft(short), 1) * scale,
        "DE by filter": timed(lambda: differential_entropy(x, SFREQ, method="filter")),
        "DE by filter, SciPy per band": timed(lambda: trial_filter(x), 1),
        "DE by filter, plain loop": timed(lambda: loop_filter(short), 1) * scale,
        "LDS smoother": timed(lambda: smooth_lds(fast_fft)),
        "moving average of 5": timed(lambda: moving_average(fast_fft, 5)),
        "band-pass 1-45 Hz": timed(lambda: bandpass(x, SFREQ, 1, 45)),
        "notch 50 Hz": timed(lambda: notch(x, SFREQ)),
        "resample to 128 Hz": timed(lambda: resample(x, SFREQ, 128)),
        "artefact marks": timed(lambda: mark_artefacts(windows, SFREQ)),
    }
    beside = {
        "DE by FFT, plain loop": "DE by FFT",
        "DE by filter, SciPy per band": "DE by filter",
        "DE by filter, plain loop": "DE by filter",
    }
    print(f"62 electrodes, {SFREQ} Hz, {options.seconds} s, 1-s windows, 5 bands; CPU time")
    print(machine())
    for name, seconds in times.items():
        ratio = f"{seconds / times[beside[name]]:8.1f} times as long" if name in beside else ""
        print(f"{name:30s} {seconds * 1e3:10.1f} ms {ratio}")
    print(f"largest difference between DE by FFT and its plain loop: {same:.1e} nats")


if __name__ == "__main__":
    main()
