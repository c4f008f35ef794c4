"""How fast twins are written, beside only storing as many random numbers with SciPy.

Measures one full-size SEED session (62 electrodes, 200 Hz, 3394 s) simulated into memory and
written compressed, the same number of white-noise values through `scipy.io.savemat`, and the three
corpora of the `small` size as the demo needs them. Aims: a session well under a minute on one
core, the small set under 60 s on two.

    python benchmarks/bench_twins.py [--workers 2] [--difficulty]

With --difficulty it also prints spectra, autocorrelation, shares of variance and the table of
difficulty (about three minutes; the same as `python -m affectrum.twins --controls`).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy.io import savemat

from affectrum.twins import SIZES, TwinGenerator, write_twin

AIM_SESSION_S = 60.0
AIM_SMALL_S = 60.0


def simulate_session() -> float:
    """Seconds to simulate a session without writing it."""
    generator = TwinGenerator("SEED")
    start = time.perf_counter()
    for row in range(1, 16):
        generator.trial(1, 1, row)
    return time.perf_counter() - start


def write_session(folder: Path) -> tuple[float, int]:
    """Seconds to simulate and write a session, and its bytes on disk."""
    start = time.perf_counter()
    write_twin("SEED", folder, subjects=1, sessions=1)
    seconds = time.perf_counter() - start
    return seconds, next(folder.rglob("1_*.mat")).stat().st_size


def save_noise(path: Path) -> tuple[float, int]:
    """Seconds to draw and save as many random numbers, and their bytes on disk."""
    generator, rng = TwinGenerator("SEED"), np.random.default_rng(0)
    start = time.perf_counter()
    noise = {
        f"x_eeg{row}": rng.standard_normal((62, 200 * generator.seconds(1, row) + 1))
        for row in range(1, 16)
    }
    savemat(path, noise, do_compression=True)
    return time.perf_counter() - start, path.stat().st_size


def write_small(folder: Path, workers: int) -> dict[str, float]:
    """Seconds to write each corpus of the small size."""
    subjects, sessions, trial_seconds = SIZES["small"]
    seconds = {}
    for corpus in ("SEED", "SEED-IV", "DEAP"):
        start = time.perf_counter()
        write_twin(
            corpus,
            folder / corpus,
            subjects=subjects,
            sessions=sessions,
            trial_seconds=trial_seconds,
            workers=workers,
        )
        seconds[corpus] = time.perf_counter() - start
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--difficulty", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        simulated = simulate_session()
        written, size = write_session(folder / "session")
        noise, noise_size = save_noise(folder / "noise.mat")
        small = write_small(folder / "small", arguments.workers)
    print("one full-size SEED session (3394 s of 62 electrodes)")
    print(
        f"  simulated into memory            {simulated:6.1f} s"
        f"  ({3394 / simulated:.0f} x real time)"
    )
    print(f"  simulated and written            {written:6.1f} s  {size / 1e6:.0f} MB")
    print(f"  white noise by scipy.io.savemat  {noise:6.1f} s  {noise_size / 1e6:.0f} MB")
    print(f"  aim                              {AIM_SESSION_S:6.1f} s")
    cells = ", ".join(f"{corpus} {seconds:.1f} s" for corpus, seconds in small.items())
    print(f"small size, {arguments.workers} workers: {sum(small.values()):.1f} s ({cells})")
    print(f"  aim {AIM_SMALL_S:.0f} s")
    if arguments.difficulty:
        from affectrum.twins.summary import summary

        print()
        print(summary(seeds=(0, 1, 2), with_controls=True))


if __name__ == "__main__":
    main()
