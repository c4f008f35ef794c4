"""Corpora drawn in memory for a recovery study, and right and wrong places of their words."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affectrum import affect, catalog
from affectrum.errors import ConfigError
from affectrum.reproduce.recovery.plan import RecoveryPlan
from affectrum.twins.generator import Cap, TwinGenerator
from affectrum.windows import Windows

__all__ = [
    "Draw",
    "arm_places",
    "draw_corpora",
    "linear_accuracy",
    "source_words",
    "wrong_places",
]

FloatArray = NDArray[np.float64]
Places = dict[str, tuple[float, float]]

_SPREAD = 1000  # twin seeds of two replicates are so far apart


@dataclass(frozen=True)
class Draw:
    """The corpora of one level and one replicate.

    Attributes
    ----------
    sources : tuple of Windows
        For pre-training; raw, volts.
    train, test : Windows
        Of the corpus that pre-training never sees: other people and other clips on each side.
    y_train, y_test : ndarray of int64
        Classes.
    classes : tuple of str
        Their names.
    """

    sources: tuple[Windows, ...]
    train: Windows
    test: Windows
    y_train: NDArray[np.int64]
    y_test: NDArray[np.int64]
    classes: tuple[str, ...]


def draw_corpora(plan: RecoveryPlan, level: float, seed: int, *, sources: bool = True) -> Draw:
    """Simulate what the arms of one level and one seed see.

    Parameters
    ----------
    plan : RecoveryPlan
        The study.
    level : float
        Planted effect. The same people, clips and noise at every level of a seed.
    seed : int
        Replicate.
    sources : bool
        Also the pre-training corpora.

    Returns
    -------
    Draw
    """
    parts = []
    for name in plan.sources if sources else ():
        generator = _generator(plan, name, level, seed)
        parts.append(_windows(plan, generator, _source_trials(plan, generator)))
    generator = _generator(plan, plan.target, level, seed)
    scheme = affect.get_scheme(plan.classes)
    train_rows, test_rows = _target_rows(plan, generator, scheme)
    last = plan.train_subjects
    train = _windows(plan, generator, [(s, *row) for s in range(1, last + 1) for row in train_rows])
    test_people = range(last + 1, last + plan.test_subjects + 1)
    test = _windows(plan, generator, [(s, *row) for s in test_people for row in test_rows])
    return Draw(
        tuple(parts),
        train,
        test,
        _classes_of(train, plan, scheme),
        _classes_of(test, plan, scheme),
        scheme.classes,
    )


def source_words(plan: RecoveryPlan) -> list[list[str]]:
    """Return the emotion word of each window of each pre-training corpus, without simulating it."""
    found = []
    for name in plan.sources:
        generator = _generator(plan, name, 0.0, plan.seeds[0])
        words = []
        for _, session, row in _source_trials(plan, generator):
            n_windows = generator.seconds(session, row) // plan.window_seconds
            words += [str(generator.facts.clips[session - 1][row - 1].emotion)] * n_windows
        found.append(words)
    return found


def _source_trials(plan: RecoveryPlan, generator: TwinGenerator) -> list[tuple[int, int, int]]:
    """Choose (subject, session, row) of a pre-training corpus; people take sessions in turn."""
    trials = []
    for subject in range(1, plan.source_subjects + 1):
        session = (subject - 1) % len(generator.facts.clips) + 1
        rows = _rows_by_word(generator, session, plan.source_trials)
        trials += [(subject, session, row) for row in rows]
    return trials


def _generator(plan: RecoveryPlan, corpus: str, level: float, seed: int) -> TwinGenerator:
    return TwinGenerator(
        corpus, plan.settings(level), seed=_SPREAD * (seed + 1), trial_seconds=plan.trial_seconds
    )


def _windows(
    plan: RecoveryPlan, generator: TwinGenerator, trials: Sequence[tuple[int, int, int]]
) -> Windows:
    """Cut trials (subject, session, row) into windows."""
    cap = Cap(
        electrodes=catalog.get(plan.cap).electrodes,
        sfreq=plan.sfreq,
        passband=plan.passband,
        reference="average",
        eye_gain=generator.profile.eye_residual,
    )
    length = round(plan.window_seconds * plan.sfreq)
    before = round(generator.facts.baseline_s * plan.sfreq)
    pieces, rows = [], []
    for subject, session, row in trials:
        x = generator.trial(subject, session, row, cap).x[:, before:]
        clip = generator.facts.clips[session - 1][row - 1]
        trial = generator.presentation(subject, session).index(row) + 1
        for window in range(x.shape[1] // length):
            pieces.append(x[:, window * length : (window + 1) * length])
            rows.append(
                {
                    "corpus": generator.facts.name,
                    "subject": subject,
                    "session": session,
                    "trial": trial,
                    "row": row,
                    "clip": clip.clip,
                    "film": clip.film,
                    "emotion": clip.emotion,
                    "window": window,
                    "start_s": float(window * plan.window_seconds),
                    "simulated": True,
                }
            )
    return Windows.from_arrays(
        np.stack(pieces) * np.float32(1e-6),
        pd.DataFrame(rows),
        sfreq=plan.sfreq,
        channels=cap.electrodes,
        kind="raw",
        recipe="recovery",
    )


def _rows_by_word(generator: TwinGenerator, session: int, n: int) -> list[int]:
    """Take rows of a session, words in turn, until there are `n`."""
    clips = generator.facts.clips[session - 1]
    by_word: dict[str, list[int]] = {}
    for row, clip in enumerate(clips, start=1):
        if clip.emotion is None:
            raise ConfigError(
                f"{generator.facts.name} has no emotion words, so no table of places moves it; "
                "take corpora with words for a recovery study."
            )
        by_word.setdefault(clip.emotion, []).append(row)
    turns = itertools.zip_longest(*by_word.values())
    return sorted([row for turn in turns for row in turn if row is not None][:n])


def _target_rows(
    plan: RecoveryPlan, generator: TwinGenerator, scheme: affect.ClassScheme
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Choose (session, row) of the target: the first clips of each class to train, others to test.

    Words and sessions take turns. Films are split whole.
    """
    places = [
        (session, row, clip)
        for session, clips in enumerate(generator.facts.clips, start=1)
        for row, clip in enumerate(clips, start=1)
    ]
    table = pd.DataFrame(
        {"corpus": generator.facts.name, "emotion": [clip.emotion for _, _, clip in places]}
    )
    codes = _codes(table, generator.facts.name, scheme)
    train: list[tuple[int, int]] = []
    test: list[tuple[int, int]] = []
    seen = set()
    for code in range(len(scheme.classes)):
        queues: dict[tuple[str | None, int], list[int]] = {}
        for k in np.flatnonzero(codes == code):
            session, _, clip = places[int(k)]
            queues.setdefault((clip.emotion, session), []).append(int(k))
        order = sorted(queues, key=lambda key: (key[1], str(key[0])))
        turns = itertools.zip_longest(*(queues[key] for key in order))
        mine = [k for turn in turns for k in turn if k is not None]
        chosen = mine[: plan.train_clips]
        train += [places[k][:2] for k in chosen]
        seen |= {places[k][2].film or places[k][2].clip for k in chosen}
        left = mine[plan.train_clips :]
        test += [places[k][:2] for k in left[: plan.test_clips]]
    test = [
        (session, row)
        for session, row in test
        if _film(generator.facts.clips[session - 1][row - 1]) not in seen
    ]
    missing = [
        name
        for code, name in enumerate(scheme.classes)
        if not any(_code_at(codes, places, place) == code for place in test)
    ]
    if missing:
        raise ConfigError(
            f"{generator.facts.name} has no clip left to test {', '.join(missing)} on; lower "
            "'train_clips' or take another target."
        )
    return sorted(train), sorted(test)


def _film(clip: catalog.Clip) -> str:
    return clip.film or clip.clip


def _code_at(
    codes: NDArray[np.int64], places: Sequence[tuple[int, int, catalog.Clip]], at: tuple[int, int]
) -> int:
    return int(codes[[place[:2] for place in places].index(at)])


def _codes(table: pd.DataFrame, corpus: str, scheme: affect.ClassScheme) -> NDArray[np.int64]:
    return np.asarray(scheme.assign(table, corpus), dtype=np.int64)


def _classes_of(
    windows: Windows, plan: RecoveryPlan, scheme: affect.ClassScheme
) -> NDArray[np.int64]:
    return _codes(windows.table, plan.target, scheme)


def arm_places(plan: RecoveryPlan, arm: str, words: Iterable[str]) -> Places:
    """Return where an arm puts words.

    Parameters
    ----------
    plan : RecoveryPlan
        Names the tables.
    arm : {"right", "wrong", "narrow", "other"}
        Which arm.
    words : iterable of str
        Words of all pre-training corpora; a wrong table deals their places.

    Returns
    -------
    dict of str to (float, float)
        Valence and arousal, -1..1; words without a place are left out.
    """
    entries = affect.get_table(plan.other_table if arm == "other" else plan.table).entries
    places = {word: (point.valence, point.arousal) for word, point in entries.items()}
    return wrong_places(places, sorted(words)) if arm == "wrong" else places


def wrong_places(places: Places, words: Sequence[str]) -> Places:
    """Deal the places of some words to other words, so that nearness agrees least.

    Parameters
    ----------
    places : dict of str to (float, float)
        Right places.
    words : sequence of str
        Words that occur; those without a place stay without one. Words that share a place
        (such as sad and sadness) share another one afterwards.

    Returns
    -------
    dict of str to (float, float)
        The deal, among all in which nobody keeps a place (with more than seven places among
        those of 20,000 random deals), whose distances between places correlate least with the right
        ones; the first of equals in the order of sorted words.

    Raises
    ------
    ConfigError
        If the words have fewer than three places.

    Notes
    -----
    Windows of one word still share a place: a wrong table is wrong about which words are near
    each other, not about which windows carry the same word. It misleads, it is not neutral.
    """
    known = sorted({word for word in words if word in places})
    own = list(dict.fromkeys(places[word] for word in known))
    if len(own) < 3:
        raise ConfigError(
            f"{', '.join(known) or 'No word'} has or have {len(own)} places in the plane; a wrong "
            "table needs three."
        )
    points = np.array(own)
    distance = np.linalg.norm(points[:, None] - points[None], axis=-1)
    pairs = np.triu_indices(len(own), 1)
    right = distance[pairs] - distance[pairs].mean()
    best, lowest = None, np.inf
    for deal in _deals(len(own)):
        moved = distance[np.ix_(deal, deal)][pairs]
        agreement = float(right @ (moved - moved.mean()))
        if agreement < lowest - 1e-12:
            best, lowest = deal, agreement
    assert best is not None
    dealt = {place: own[k] for place, k in zip(own, best, strict=True)}
    return {word: dealt[places[word]] for word in known}


_ALL_DEALS = 7  # places up to which every deal is tried: 7! = 5,040


def _deals(n: int) -> list[list[int]]:
    """Deals in which nobody keeps his place: all of them, or many drawn ones for many places."""
    if n <= _ALL_DEALS:
        tried = [list(deal) for deal in itertools.permutations(range(n))]
    else:
        rng = np.random.default_rng(n)
        tried = [[int(k) for k in rng.permutation(n)] for _ in range(20_000)]
    return [deal for deal in tried if all(k != place for place, k in enumerate(deal))]


def linear_accuracy(draw: Draw) -> float:
    """Balanced accuracy of a linear reading of band power, for setting levels without a network.

    Parameters
    ----------
    draw : Draw
        Target windows.

    Returns
    -------
    float
        Mean recall over classes of ridge regression on standardised log power of five bands,
        trained on the training side only.
    """
    first, second = (_log_power(windows) for windows in (draw.train, draw.test))
    mean, sd = first.mean(axis=0), first.std(axis=0) + 1e-9
    first, second = (first - mean) / sd, (second - mean) / sd
    n = len(draw.classes)
    goal = np.eye(n)[draw.y_train] / np.bincount(draw.y_train, minlength=n)[draw.y_train][:, None]
    kernel = first @ first.T
    ridge = 0.1 * np.trace(kernel) / len(kernel)
    weights = np.linalg.solve(kernel + ridge * np.eye(len(kernel)), goal - goal.mean(axis=0))
    guess = ((second @ first.T) @ weights).argmax(axis=1)
    return float(np.mean([np.mean(guess[draw.y_test == code] == code) for code in range(n)]))


def _log_power(windows: Windows) -> FloatArray:
    from affectrum.features import differential_entropy

    assert windows.sfreq is not None
    seconds = windows.shape[2] / windows.sfreq
    found = differential_entropy(windows.x, windows.sfreq, bands="cross-corpus", window=seconds)
    return np.asarray(found, dtype=np.float64).reshape(len(windows), -1)
