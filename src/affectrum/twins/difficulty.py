"""How hard a twin is, measured with a linear support-vector machine.

This is the generator's own check of itself: a few lines of differential entropy and cross-
validation that share no code with the rooms they are an oracle for. Trials are simulated straight
into memory, without files.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affectrum import catalog
from affectrum.twins.generator import TwinGenerator
from affectrum.twins.settings import SIZES, TwinSettings
from affectrum.twins.stimuli import FACED_RATINGS
from affectrum.twins.vendor_features import lds_smooth

__all__ = [
    "DIFFICULTY_BANDS",
    "Task",
    "balanced_accuracy",
    "controls",
    "difficulty",
    "entropy_windows",
    "leave_one_subject_out",
    "make_task",
    "permute_labels",
    "split_inside_trials",
    "stimulus_disjoint",
    "within_subject",
    "zero_shot",
]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_FIVE_BANDS = ((1.0, 4.0), (4.0, 8.0), (8.0, 14.0), (14.0, 31.0), (31.0, 50.0))
_FOUR_BANDS = ((4.0, 8.0), (8.0, 14.0), (14.0, 31.0), (31.0, 45.0))
_SVM_COST = 0.01

# design/twins.md: (lowest, highest) balanced accuracy
DIFFICULTY_BANDS: dict[str, dict[str, tuple[float, float]]] = {
    "SEED 3 classes": {
        "within-subject": (0.70, 0.90),
        "leave-one-subject-out": (0.42, 0.62),
        "leave-one-subject-out, standardised": (0.60, 0.82),
        "zero-shot": (0.36, 0.58),
    },
    "SEED-IV 4 classes": {
        "within-subject": (0.45, 0.75),
        "leave-one-subject-out": (0.30, 0.50),
        "leave-one-subject-out, standardised": (0.40, 0.65),
        "zero-shot": (0.26, 0.45),
    },
    "DEAP valence 2 classes": {
        "within-subject": (0.52, 0.66),
        "leave-one-subject-out": (0.48, 0.56),
        "leave-one-subject-out, standardised": (0.50, 0.60),
        "zero-shot": (0.48, 0.56),
    },
}


@dataclass(frozen=True)
class Task:
    """Windows of one corpus with their classes.

    Attributes
    ----------
    x : ndarray, shape (n_windows, n_features)
        Differential entropy in nats, smoothed within trials.
    y : ndarray of int, shape (n_windows,)
        Class; -1 for windows that are left out.
    subject, session, row, position, window : ndarray of int, shape (n_windows,)
        Who; when; which row of the file; position as presented; which window of the trial.
    clip, film : ndarray of str, shape (n_windows,)
        The stimulus at two levels (the clip where the film is not known).
    """

    x: FloatArray
    y: IntArray
    subject: IntArray
    session: IntArray
    row: IntArray
    position: IntArray
    window: IntArray
    clip: NDArray[np.str_]
    film: NDArray[np.str_]

    def select(self, keep: NDArray[np.bool_]) -> Task:
        """Return some of the windows."""
        parts = {name: getattr(self, name)[keep] for name in self.__dataclass_fields__}
        return Task(**parts)


def entropy_windows(
    x: FloatArray, sfreq: float, bands: tuple[tuple[float, float], ...]
) -> FloatArray:
    """Differential entropy of 1-s windows: ``log(2 pi e s^2) / 2`` of each band's variance.

    Parameters
    ----------
    x : ndarray, shape (n_channels, n_samples)
        Signals.
    sfreq : float
        Sampling rate in Hz.
    bands : tuple of (float, float)
        Edges in Hz, the upper one excluded.

    Returns
    -------
    ndarray, shape (n_channels, n_windows, n_bands)
        Nats.
    """
    length = round(sfreq)
    n_windows = x.shape[1] // length
    taper = np.hanning(length + 1)[:-1]
    windows = x[:, : n_windows * length].reshape(x.shape[0], n_windows, length) * taper
    power = np.abs(np.fft.rfft(windows, axis=2)) ** 2 * 2 / (length * np.sum(taper**2))
    frequencies = np.fft.rfftfreq(length, 1 / sfreq)
    variance = np.stack(
        [power[:, :, (frequencies >= a) & (frequencies < b)].sum(axis=2) for a, b in bands], axis=2
    )
    return np.asarray(0.5 * np.log(2 * np.pi * np.e * np.maximum(variance, 1e-12)))


def make_task(
    corpus: str,
    settings: TwinSettings | None = None,
    *,
    seed: int = 0,
    n_subjects: int | None = None,
    n_sessions: int = 1,
    trial_seconds: float | None = None,
    common: bool = False,
    classes: str = "own",
    smoothing: str = "lds",
) -> Task:
    """Simulate a corpus's first subjects and sessions and compute their windows.

    Parameters
    ----------
    corpus : str
        Its name.
    settings : TwinSettings, optional
        The dials.
    seed : int
        The twin's seed.
    n_subjects, n_sessions : int, optional
        How many; subjects as the `small` size when missing.
    trial_seconds : float, optional
        As the `small` size when missing.
    common : bool
        The 32 electrodes and four bands that all three corpora share, instead of the corpus's own
        electrodes (and five bands, where its filter leaves them).
    classes : {"own", "valence3", "valence2", "emotion4"}
        Own: SEED 3, SEED-IV 4, DEAP valence above 5. valence3: fear and sad are negative.
        valence2: neutral left out. emotion4: a rated trial is the nearest of SEED-IV's emotions.
    smoothing : {"lds", "none"}
        Linear dynamical system over each trial, or nothing.

    Returns
    -------
    Task
        Windows of 1 s.
    """
    small_subjects, _, small_seconds = SIZES["small"]
    n_subjects = n_subjects or small_subjects or 6
    generator = TwinGenerator(corpus, settings, seed, trial_seconds or small_seconds)
    facts = generator.facts
    electrodes = catalog.get("DEAP").electrodes if common else facts.electrodes
    cap = replace(generator.cap, electrodes=electrodes)
    bands = _FOUR_BANDS if common or (facts.passband_hz or (0, 0))[0] > 1 else _FIVE_BANDS
    parts: list[dict[str, Any]] = []
    trials = (
        (subject, session, row)
        for subject in range(1, n_subjects + 1)
        for session in range(1, n_sessions + 1)
        for row in range(1, facts.trials_per_session[session - 1] + 1)
    )
    for subject, session, row in trials:
        clip = facts.clips[session - 1][row - 1]
        order = generator.presentation(subject, session)
        x = generator.trial(subject, session, row, cap).x.astype(np.float64)
        x = x[:, int(facts.baseline_s * facts.sfreq) :]
        x -= x.mean(axis=0)  # common average over the set
        entropy = entropy_windows(x, facts.sfreq, bands)
        if smoothing == "lds":
            entropy = lds_smooth(entropy)
        n_windows = entropy.shape[1]
        parts.append(
            {
                "x": entropy.transpose(1, 0, 2).reshape(n_windows, -1),
                "y": np.full(n_windows, _class_of(generator, subject, session, row, classes)),
                "subject": np.full(n_windows, subject),
                "session": np.full(n_windows, session),
                "row": np.full(n_windows, row),
                "position": np.full(n_windows, order.index(row) + 1),
                "window": np.arange(1, n_windows + 1),
                "clip": np.full(n_windows, clip.clip),
                "film": np.full(n_windows, clip.film or clip.clip),
            }
        )
    task = Task(**{key: np.concatenate([part[key] for part in parts]) for key in parts[0]})
    return task.select(task.y >= 0)


def _class_of(generator: TwinGenerator, subject: int, session: int, row: int, classes: str) -> int:
    """Class of a trial, -1 if it has none."""
    facts = generator.facts
    if facts.is_rated:
        reported = generator.rating(subject, session, row).reported
        if classes != "emotion4":
            return int(reported[0] > 0)
        point = np.array(reported[:2])
        centres = [np.mean(FACED_RATINGS[word], axis=0) for word in _FACED_FOUR]
        distances = [np.linalg.norm(point - (centre - 3.5) / 3.5) for centre in centres]
        return int(np.argmin(distances))
    word = facts.clips[session - 1][row - 1].emotion or ""
    if classes == "own":
        return facts.emotions.index(word)
    if classes == "emotion4":
        return catalog.get("SEED-IV").emotions.index(word)
    valence = {"neutral": 1, "positive": 2, "happy": 2}.get(word, 0)
    if classes == "valence3":
        return valence
    return {0: 0, 1: -1, 2: 1}[valence]


# SEED-IV's emotions in the order of its codes, as FACED measured them
_FACED_FOUR = ("neutral", "sadness", "fear", "joy")


# scores --------------------------------------------------------------------------------------


def balanced_accuracy(y: IntArray, predicted: IntArray) -> float:
    """Mean over classes of the share of its windows that are recognised."""
    return float(np.mean([np.mean(predicted[y == k] == k) for k in np.unique(y)]))


def _fit_predict(train: Task, test: Task, *, standardised: bool = False) -> IntArray:
    """Scale on the training windows (or each subject by itself), fit, predict."""
    from sklearn.svm import LinearSVC

    if standardised:
        x, z = _by_subject(train), _by_subject(test)
    else:
        mean, sd = train.x.mean(axis=0), train.x.std(axis=0) + 1e-9
        x, z = (train.x - mean) / sd, (test.x - mean) / sd
    model = LinearSVC(C=_SVM_COST, dual=False, tol=1e-3, max_iter=2000, class_weight="balanced")
    return np.asarray(model.fit(x, train.y).predict(z), dtype=np.int64)


def _by_subject(task: Task) -> FloatArray:
    scaled = np.empty_like(task.x)
    for subject in np.unique(task.subject):
        rows = task.subject == subject
        scaled[rows] = (task.x[rows] - task.x[rows].mean(axis=0)) / (
            task.x[rows].std(axis=0) + 1e-9
        )
    return scaled


def _score(task: Task, folds: Iterator[tuple[Task, Task, bool]]) -> float:
    """Mean over subjects of the balanced accuracy over all their test windows."""
    truth: dict[int, list[IntArray]] = {}
    guess: dict[int, list[IntArray]] = {}
    for train, test, standardised in folds:
        predicted = _fit_predict(train, test, standardised=standardised)
        for subject in np.unique(test.subject):
            rows = test.subject == subject
            truth.setdefault(int(subject), []).append(test.y[rows])
            guess.setdefault(int(subject), []).append(predicted[rows])
    scores = [balanced_accuracy(np.concatenate(truth[s]), np.concatenate(guess[s])) for s in truth]
    return float(np.mean(scores))


def within_subject(task: Task, n_train: int | None = None) -> float:
    """Score each subject's later trials by its first `n_train`, or five folds of trials."""

    def folds() -> Iterator[tuple[Task, Task, bool]]:
        for subject in np.unique(task.subject):
            own = task.select(task.subject == subject)
            if n_train is not None:
                early = own.position <= n_train
                yield own.select(early), own.select(~early), False
                continue
            for fold in range(5):
                held = own.position % 5 == fold
                yield own.select(~held), own.select(held), False

    return _score(task, folds())


def leave_one_subject_out(task: Task, *, standardised: bool) -> float:
    """Score each subject by all others; standardised scales each subject by itself."""

    def folds() -> Iterator[tuple[Task, Task, bool]]:
        for subject in np.unique(task.subject):
            held = task.subject == subject
            yield task.select(~held), task.select(held), standardised

    return _score(task, folds())


def zero_shot(source: Task, target: Task) -> float:
    """Score every target subject by a classifier and a scaler fitted on the source."""
    return _score(target, iter([(source, target, False)]))


def stimulus_disjoint(task: Task) -> float:
    """Leave one subject out, standardised, and train on other films than are tested."""

    def folds() -> Iterator[tuple[Task, Task, bool]]:
        films = np.unique(task.film)
        # films dealt to folds so that each fold of test films holds every class where possible
        by_class = [np.unique(task.film[task.y == k]) for k in np.unique(task.y)]
        n_folds = max(2, min(len(names) for names in by_class))
        fold_of = {film: place % n_folds for names in by_class for place, film in enumerate(names)}
        assert len(fold_of) == len(films)
        number = np.array([fold_of[film] for film in task.film])
        for subject in np.unique(task.subject):
            held = task.subject == subject
            for fold in range(n_folds):
                test = held & (number == fold)
                if np.any(test):
                    yield task.select(~held & (number != fold)), task.select(test), True

    return _score(task, folds())


def permute_labels(task: Task, seed: int = 0) -> Task:
    """Exchange the classes of whole trials within each subject."""
    rng = np.random.default_rng(seed)
    y = task.y.copy()
    for subject in np.unique(task.subject):
        rows = np.unique(task.row[task.subject == subject])
        first = {
            r: int(np.flatnonzero((task.subject == subject) & (task.row == r))[0]) for r in rows
        }
        classes = rng.permutation([task.y[first[r]] for r in rows])
        for r, value in zip(rows, classes, strict=True):
            y[(task.subject == subject) & (task.row == r)] = value
    return replace(task, y=y)


def split_inside_trials(task: Task) -> float:
    """Train on each trial's odd windows and test on its even ones: a leak, made on purpose."""

    def folds() -> Iterator[tuple[Task, Task, bool]]:
        for subject in np.unique(task.subject):
            own = task.select(task.subject == subject)
            odd = own.window % 2 == 1
            yield own.select(odd), own.select(~odd), False

    return _score(task, folds())


def difficulty(
    settings: TwinSettings | None = None,
    *,
    seed: int = 0,
    n_subjects: int | None = None,
    trial_seconds: float | None = None,
) -> dict[str, dict[str, float]]:
    """Measure the table of difficulty.

    Parameters
    ----------
    settings : TwinSettings, optional
        The dials; the defaults when missing.
    seed : int
        The twins' seed.
    n_subjects : int, optional
        Subjects of each corpus; the `small` size's number when missing.
    trial_seconds : float, optional
        As `n_subjects`.

    Returns
    -------
    dict of str to dict of str to float
        Balanced accuracy, keys as `DIFFICULTY_BANDS`. Zero-shot: SEED from SEED-IV with three
        classes; SEED-IV's four classes from DEAP, whose trials take the emotion nearest to their
        rating; DEAP from SEED's positive and negative trials.
    """

    def task(corpus: str, **options: Any) -> Task:
        return make_task(
            corpus,
            settings,
            seed=seed,
            n_subjects=n_subjects,
            trial_seconds=trial_seconds,
            **options,
        )

    table: dict[str, dict[str, float]] = {}
    for name, corpus, n_train in (
        ("SEED 3 classes", "SEED", 9),
        ("SEED-IV 4 classes", "SEED-IV", 12),
        ("DEAP valence 2 classes", "DEAP", None),
    ):
        own = task(corpus)
        table[name] = {
            "within-subject": within_subject(own, n_train),
            "leave-one-subject-out": leave_one_subject_out(own, standardised=False),
            "leave-one-subject-out, standardised": leave_one_subject_out(own, standardised=True),
        }
    common = {"common": True}
    table["SEED 3 classes"]["zero-shot"] = zero_shot(
        task("SEED-IV", classes="valence3", **common), task("SEED", classes="valence3", **common)
    )
    table["SEED-IV 4 classes"]["zero-shot"] = zero_shot(
        task("DEAP", classes="emotion4", **common), task("SEED-IV", **common)
    )
    table["DEAP valence 2 classes"]["zero-shot"] = zero_shot(
        task("SEED", classes="valence2", **common), task("DEAP", **common)
    )
    return table


def controls(
    settings: TwinSettings | None = None, *, seed: int = 0, n_subjects: int | None = None
) -> dict[str, float]:
    """Measure what a leak or a missing effect does to SEED's three classes.

    Parameters
    ----------
    settings : TwinSettings, optional
        The dials; the defaults when missing.
    seed, n_subjects : int
        As `difficulty`.

    Returns
    -------
    dict of str to float
        Balanced accuracy of each control.
    """
    usual = make_task("SEED", settings, seed=seed, n_subjects=n_subjects)
    shuffled = permute_labels(usual, seed)
    base = (settings or TwinSettings()).model_dump()
    null = make_task(
        "SEED",
        TwinSettings(**{**base, "effect": 0.0, "signature": 1.0}),
        seed=seed,
        n_subjects=n_subjects,
    )
    return {
        "within-subject": within_subject(usual, 9),
        "split inside trials": split_inside_trials(usual),
        "labels permuted by trial, within-subject": within_subject(shuffled, 9),
        "labels permuted by trial, split inside trials": split_inside_trials(shuffled),
        "labels permuted by trial, leave-one-subject-out": leave_one_subject_out(
            shuffled, standardised=True
        ),
        "leave-one-subject-out, standardised": leave_one_subject_out(usual, standardised=True),
        "the same, stimulus-disjoint": stimulus_disjoint(usual),
        "no emotion, leave-one-subject-out, standardised": leave_one_subject_out(
            null, standardised=True
        ),
        "no emotion, the same, stimulus-disjoint": stimulus_disjoint(null),
    }
