"""Do the intervals cover, do the tests keep their level, and what do they cost?

Run: python benchmarks/bench_statistics.py [repeats]

Simulated crossed truth: people and clips both change the chance that a window is right. The first
table asks how often 95 % intervals of one score hold the truth; the second how often two methods
that differ by chance only, for some people and on some clips, are called different at 5 %.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from numpy.typing import NDArray

from affectrum.evaluation import (
    crossed_bootstrap,
    crossed_error,
    paired_permutation_test,
    replicate_scores,
    subject_scores,
)

# people, clips, classes
DESIGNS = ((15, 30, 2), (8, 12, 3), (15, 6, 3), (5, 6, 3), (32, 40, 2))
SPREADS = ((0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (0.5, 0.5))
N_WINDOWS = 20

Array = NDArray[np.float64]


def logistic(z: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-z)))


def counts_of(right: Array, n_classes: int) -> Array:
    n_subjects, n_clips = right.shape
    counts = np.zeros((n_subjects, n_clips, n_classes, n_classes))
    for clip in range(n_clips):
        label = clip % n_classes
        counts[:, clip, label, label] = right[:, clip]
        counts[:, clip, label, (label + 1) % n_classes] = N_WINDOWS - right[:, clip]
    return counts


def effects(rng: np.random.Generator, n_subjects: int, n_clips: int, sds: tuple[float, float]):
    return rng.normal(0, sds[0], (n_subjects, 1)) + rng.normal(0, sds[1], (1, n_clips))


def coverage(design: tuple[int, int, int], sds: tuple[float, float], repeats: int) -> list[float]:
    n_subjects, n_clips, n_classes = design
    rng = np.random.default_rng(1)
    truth = logistic(0.4 + effects(np.random.default_rng(9), 3000, 3000, sds)).mean()
    held = np.zeros(2)
    for repeat in range(repeats):
        right = rng.binomial(N_WINDOWS, logistic(0.4 + effects(rng, n_subjects, n_clips, sds)))
        counts = counts_of(right.astype(float), n_classes)
        for number, expand in enumerate((False, True)):
            got = crossed_bootstrap(counts, n_replicates=400, seed=repeat, expand=expand)
            held[number] += got.low <= truth <= got.high
    return list(held / repeats)


def size(design: tuple[int, int, int], sds: tuple[float, float], repeats: int) -> list[float]:
    n_subjects, n_clips, n_classes = design
    rng = np.random.default_rng(1)
    found = np.zeros(3)
    for _ in range(repeats):
        common = 0.3 + effects(rng, n_subjects, n_clips, (0.5, 0.5))
        pair = []
        for _ in range(2):
            z = common + effects(rng, n_subjects, n_clips, sds)
            right = rng.binomial(N_WINDOWS, logistic(z)).astype(float)
            pair.append(counts_of(right, n_classes))
        over_subjects = paired_permutation_test(*map(subject_scores, pair)).p_value
        crossed = crossed_error(*pair).p_value()
        found += np.array([over_subjects, crossed, max(over_subjects, crossed)]) < 0.05
    return list(found / repeats)


def main(repeats: int) -> None:
    print("95 % intervals that hold the truth: percentiles alone, widened")
    for design in DESIGNS:
        for sds in SPREADS:
            shown = "  ".join(f"{value:.3f}" for value in coverage(design, sds, repeats))
            print(
                f"{design[0]:3d} people {design[1]:3d} clips {design[2]} classes  sd {sds}: {shown}"
            )
    print("called different at 5 %: over people, crossed, both (what is reported)")
    for design in DESIGNS:
        for sds in SPREADS:
            shown = "  ".join(f"{value:.3f}" for value in size(design, sds, repeats))
            print(
                f"{design[0]:3d} people {design[1]:3d} clips {design[2]} classes  sd {sds}: {shown}"
            )
    rng = np.random.default_rng(0)
    right = [rng.binomial(N_WINDOWS, 0.6, (32, 40)).astype(float) for _ in range(2)]
    pair = [counts_of(one, 2) for one in right]
    for name, call in {
        "crossed bootstrap, 2000 replicates": lambda: crossed_bootstrap(pair[0]),
        "replicates of two methods, 2000": lambda: replicate_scores({"a": pair[0], "b": pair[1]}),
        "crossed error of a difference": lambda: crossed_error(*pair),
        "permutation test": lambda: paired_permutation_test(*map(subject_scores, pair)),
    }.items():
        began = time.process_time()
        for _ in range(5):
            call()
        print(f"{name} (32 people, 40 clips): {1000 * (time.process_time() - began) / 5:.1f} ms")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 400)
