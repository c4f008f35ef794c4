"""What a twin's signals are like, as a table to read: spectra, autocorrelation, variance shares."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from affectrum.twins.difficulty import (
    DIFFICULTY_BANDS,
    Task,
    controls,
    difficulty,
    make_task,
)
from affectrum.twins.generator import TwinGenerator
from affectrum.twins.people import BANDS
from affectrum.twins.settings import TwinSettings

__all__ = ["autocorrelation", "band_amplitudes", "summary", "variance_shares"]

FloatArray = NDArray[np.float64]


def band_amplitudes(
    corpus: str, settings: TwinSettings | None = None, *, seed: int = 0, n_subjects: int = 3
) -> dict[str, float]:
    """Median RMS over electrodes, subjects and a few trials in each band.

    Parameters
    ----------
    corpus : str
        Its name.
    settings : TwinSettings, optional
        The dials.
    seed, n_subjects : int
        The twin's seed; how many subjects.

    Returns
    -------
    dict of str to float
        Microvolts by band, and ``"1-45 Hz"``; average reference, vendor's filter.
    """
    generator = TwinGenerator(corpus, settings, seed, 12.0)
    cap = replace(generator.cap, reference="average")
    edges = {name: (low, high) for name, (low, high, _) in BANDS.items()}
    edges["1-45 Hz"] = (1.0, 45.0)
    found: dict[str, list[FloatArray]] = {name: [] for name in edges}
    for subject in range(1, n_subjects + 1):
        for row in (1, 2, 3):
            x = generator.trial(subject, 1, row, cap).x.astype(np.float64)
            power = 2 * np.abs(np.fft.rfft(x, axis=1)) ** 2 / x.shape[1] ** 2
            frequencies = np.fft.rfftfreq(x.shape[1], 1 / cap.sfreq)
            for name, (low, high) in edges.items():
                inside = (frequencies >= low) & (frequencies < high)
                found[name].append(np.sqrt(power[:, inside].sum(axis=1)))
    return {name: float(np.median(values)) for name, values in found.items()}


def autocorrelation(task: Task, lags: tuple[int, ...] = (1, 2, 4, 8)) -> dict[int, float]:
    """Correlation of unsmoothed windows with later ones of the same trial.

    Parameters
    ----------
    task : Task
        Windows without smoothing.
    lags : tuple of int
        How many windows later.

    Returns
    -------
    dict of int to float
        Mean over features, after each subject's mean is taken away; it stays above 0 at long lags
        because trials differ.
    """
    x = _centred(task.x, task.subject, task.session)
    x = x / x.std(axis=0)
    trial = task.subject * 10_000 + task.session * 1000 + task.row
    out = {}
    for lag in lags:
        same = trial[lag:] == trial[:-lag]
        out[lag] = float(np.mean(x[lag:][same] * x[:-lag][same]))
    return out


def _centred(x: FloatArray, *groups: NDArray[np.int64]) -> FloatArray:
    return x - _group_means(x, *groups)


def _group_means(x: FloatArray, *groups: NDArray[np.int64]) -> FloatArray:
    """Each row's group mean; a group is one combination of the given numbers."""
    _, index = np.unique(np.stack(groups), axis=1, return_inverse=True)
    index = np.ravel(index)
    count = np.bincount(index)
    sums = np.zeros((count.size, x.shape[1]))
    np.add.at(sums, index, x)
    return np.asarray((sums / count[:, None])[index])


def variance_shares(task: Task) -> dict[str, float]:
    """Where the variance of differential entropy comes from, step by step.

    Parameters
    ----------
    task : Task
        Windows without smoothing, at least two sessions if the session's share is wanted.

    Returns
    -------
    dict of str to float
        Shares of the total, mean over features, that add up to 1: subject; session within subject;
        emotion (class means over all people); clip within emotion (the same); trial (what one
        viewing adds, the person's own response included); window within trial.
    """
    names = ("subject", "session", "emotion", "clip", "trial", "window")
    clip = np.unique(task.clip, return_inverse=True)[1].astype(np.int64)
    rest = task.x - task.x.mean(axis=0)
    total = rest.var(axis=0)
    steps: tuple[tuple[NDArray[np.int64], ...], ...] = (
        (task.subject,),
        (task.subject, task.session),
        (task.y,),
        (clip,),
        (task.subject, task.session, task.row),
    )
    shares = []
    for groups in steps:
        means = _group_means(rest, *groups)
        shares.append(float(np.mean((rest.var(axis=0) - (rest - means).var(axis=0)) / total)))
        rest = rest - means
    shares.append(float(np.mean(rest.var(axis=0) / total)))
    return dict(zip(names, shares, strict=True))


def summary(
    settings: TwinSettings | None = None,
    *,
    seeds: tuple[int, ...] = (0,),
    with_controls: bool = False,
) -> str:
    """Describe the twins of all corpora in plain text.

    Parameters
    ----------
    settings : TwinSettings, optional
        The dials.
    seeds : tuple of int
        The twins' seeds: scores are the mean over them, the rest is of the first. With six
        subjects a single seed scatters by a tenth.
    with_controls : bool
        Whether to add the controls (leaks, permuted labels, no emotion).

    Returns
    -------
    str
        Amplitudes, autocorrelation, variance shares, and the table of difficulty with its bands.
    """
    seed = seeds[0]
    lines = ["SIMULATED EEG: this describes a generator, not people.", ""]
    lines.append("Median RMS in uV, average reference")
    for corpus in ("SEED", "SEED-IV", "DEAP"):
        amplitudes = band_amplitudes(corpus, settings, seed=seed)
        cells = "  ".join(f"{name} {value:.1f}" for name, value in amplitudes.items())
        lines.append(f"  {corpus:8s} {cells}")
    task = make_task("SEED", settings, seed=seed, n_sessions=2, smoothing="none")
    lines += ["", "SEED, differential entropy of 1-s windows without smoothing, two sessions"]
    within = "  ".join(f"{lag} s {value:.2f}" for lag, value in autocorrelation(task).items())
    lines.append(f"  correlation within trials   {within}")
    shares = "  ".join(f"{name} {value:.3f}" for name, value in variance_shares(task).items())
    lines.append(f"  shares of variance          {shares}")
    numbers = ", ".join(str(number) for number in seeds)
    lines += ["", f"Linear support-vector machine, balanced accuracy, mean of seeds {numbers}"]
    tables = [difficulty(settings, seed=number) for number in seeds]
    for name, protocols in DIFFICULTY_BANDS.items():
        lines.append(f"  {name}")
        for protocol, (low, high) in protocols.items():
            lines.append(
                _score_line(protocol, [table[name][protocol] for table in tables], low, high)
            )
    if with_controls:
        lines += ["", "Controls, SEED 3 classes (chance 0.33), the same seeds"]
        measured = [controls(settings, seed=number) for number in seeds]
        for name in measured[0]:
            score = float(np.mean([one[name] for one in measured]))
            lines.append(f"    {name:55s} {score:.2f}")
    return "\n".join(lines)


def _score_line(name: str, scores: list[float], low: float, high: float) -> str:
    mean = float(np.mean(scores))
    mark = "" if low <= mean <= high else "  OUTSIDE"
    return (
        f"    {name:38s} {mean:.2f}  from {min(scores):.2f} to {max(scores):.2f}"
        f"  (band {low:.2f}-{high:.2f}){mark}"
    )
