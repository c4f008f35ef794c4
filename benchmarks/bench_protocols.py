"""What protocols, audit and statistics cost on corpora of real size.

Run: python benchmarks/bench_protocols.py
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from affectrum import catalog
from affectrum.evaluation import crossed_bootstrap
from affectrum.protocols import plan_folds
from affectrum.windows import Windows


def make_windows(corpus: str, sessions: int) -> Windows:
    """Random features in a corpus's own trial structure, 1-s windows, 62 electrodes, 5 bands."""
    facts = catalog.get(corpus)
    rows = []
    for subject in range(1, facts.n_subjects + 1):
        for session in range(1, sessions + 1):
            for row, clip in enumerate(facts.clips[session - 1], start=1):
                n = int(clip.duration_s or 60)
                rows.append((subject, session, row, clip.clip, clip.film, clip.emotion, n))
    trials = pd.DataFrame(
        rows, columns=["subject", "session", "row", "clip", "film", "emotion", "n"]
    )
    table = trials.loc[trials.index.repeat(trials["n"])].reset_index(drop=True)
    window = table.groupby(["subject", "session", "row"]).cumcount()
    table = table.drop(columns="n").assign(
        corpus=corpus, trial=table["row"], window=window, start_s=window.astype(float)
    )
    rng = np.random.default_rng(0)
    x = rng.standard_normal((len(table), 62, 5), dtype=np.float32)
    names = tuple(f"E{index}" for index in range(62))
    return Windows.from_arrays(
        x, table, sfreq=200.0, channels=names, bands=_bands(), recipe="bench"
    )


def _bands() -> dict[str, tuple[float, float]]:
    return {f"band {index}": (index * 8.0 + 1, index * 8.0 + 9) for index in range(5)}


def timed(label: str, work: Callable[[], Any]) -> Any:
    """Print how long something takes."""
    began = time.perf_counter()
    result = work()
    print(f"{label:<66}{time.perf_counter() - began:8.2f} s")
    return result


def main() -> None:
    seed, seed_iv = make_windows("SEED", 3), make_windows("SEED-IV", 3)
    print(f"SEED {len(seed)} windows, SEED-IV {len(seed_iv)} windows, 62 x 5 features")
    folds = timed(
        "cross-corpus/calibrated, SEED -> SEED-IV: plan",
        lambda: plan_folds(
            [seed, seed_iv], "calibrated", target="SEED-IV", classes="valence3-no-fear"
        ),
    )
    first = timed("  first fold (scales and fingerprints the whole source)", lambda: folds[0])
    second = timed("  next fold (the source is shared)", lambda: folds[1])
    timed("  audit of a fold", lambda: second.audit())
    timed("  fingerprint of the source", lambda: first.access.fingerprint("source"))
    loso = timed("leave-one-subject-out, SEED: plan", lambda: plan_folds(seed, "loso"))
    fold = timed("  one fold (scales 14 subjects)", lambda: loso[0])
    timed("  audit of a fold", lambda: fold.audit())
    own = seed_iv.with_column("corpus", np.repeat("own", len(seed_iv)))
    third = Windows.from_arrays(
        own.x, own.table, sfreq=200.0, channels=seed.channels, bands=_bands(), recipe="bench"
    )
    parts, classes = [seed, seed_iv, third], "valence3-no-fear"
    folds = timed(
        "leave-one-corpus-out/unsupervised, 2 sources -> SEED: plan (joins them)",
        lambda: plan_folds(
            parts, "leave-one-corpus-out/unsupervised", target="SEED", classes=classes
        ),
    )
    timed("  first fold (scales and fingerprints the source)", lambda: folds[0])
    fold = timed("  next fold (scales 14 unlabelled subjects)", lambda: folds[1])
    timed("  audit of a fold", lambda: fold.audit())
    timed(
        "the same again, every corpus left out in turn: plan",
        lambda: plan_folds(parts, "leave-one-corpus-out/unsupervised", classes=classes),
    )
    counts = np.random.default_rng(0).integers(0, 60, (15, 72, 4, 4)).astype(float)
    timed(
        "crossed bootstrap, 2000 replicates, 15 subjects x 72 clips",
        lambda: crossed_bootstrap(counts, n_replicates=2000),
    )


if __name__ == "__main__":
    main()
